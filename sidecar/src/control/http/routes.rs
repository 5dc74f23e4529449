//! Every path and what it leads to. The one table behind the router and the API document.

use std::sync::LazyLock;

use hyper::Method;
use serde_json::Value;

use super::bodies;
use super::change::Change;
use super::field::Given;
use super::shape::{Nothing, Schemas, Shape};
use super::views::{
    self, Named, attachments, attachments_in_detail, bind_servers, connections, rules, security_groups,
    security_groups_in_detail, server_groups, server_groups_in_detail, server_sets, server_sets_in_detail,
    servers, sessions, smart_groups, smart_groups_in_detail, smart_nodes, socks5_servers,
    socks5_servers_in_detail, tcp_lbs, tcp_lbs_in_detail,
};
use crate::control::command::{Counted, Figure, ListenerName};
use crate::control::controller::Controller;
use crate::control::error::CommandError;
use crate::control::grammar::{Action, Resource};
use crate::control::values;

/// Under this path are resources.
const MODULE: &str = "/api/v1/module";
/// Under this path is what comes and goes at a listener.
const CHANNEL: &str = "/api/v1/channel";
/// Under this path is what was counted.
const STATISTICS: &str = "/api/v1/statistics";

/// A method and path, and what they lead to.
pub(super) struct Route {
    pub(super) method: Method,
    /// Segments in braces stand for names.
    pub(super) path: String,
    /// What is done, in few words.
    pub(super) about: String,
    pub(super) leads: Leads,
}

/// What a route leads to.
pub(super) enum Leads {
    /// A command that changes something.
    Change(Change),
    /// Something to read.
    Read(Read),
    /// The description of the API.
    Document,
}

/// Reads something, given the path's names.
type Reader = dyn Fn(&Controller, &[String]) -> Result<Value, CommandError> + Send + Sync;

/// Something to read and what it looks like.
pub(super) struct Read {
    pub(super) schema: fn(&mut Schemas) -> Value,
    pub(super) read: Box<Reader>,
}

/// Every route.
pub(super) static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(all);

impl Route {
    /// The names in a path, where it is this route's.
    pub(super) fn names(&self, path: &[String]) -> Option<Vec<String>> {
        let mut parts = self.path.split('/').skip(1);
        let mut names = Vec::new();
        for given in path {
            let part = parts.next()?;
            if !part.starts_with('{') {
                if part != given {
                    return None;
                }
            } else if given.is_empty() {
                return None;
            } else {
                names.push(given.clone());
            }
        }
        parts.next().is_none().then_some(names)
    }

    fn change(method: Method, path: String, change: Change) -> Self {
        Self {
            method,
            path,
            about: change.to_string(),
            leads: Leads::Change(change),
        }
    }

    fn read<T: Shape>(
        path: String,
        about: String,
        read: impl Fn(&Controller, &[String]) -> Result<T, CommandError> + Send + Sync + 'static,
    ) -> Self {
        let read = move |controller: &Controller, names: &[String]| {
            let found = read(controller, names)?;
            serde_json::to_value(found).map_err(|e| CommandError::invalid("", e.to_string()))
        };
        Self {
            method: Method::GET,
            path,
            about,
            leads: Leads::Read(Read {
                schema: T::schema,
                read: Box::new(read),
            }),
        }
    }
}

/// The resources of one kind: where they are and what can be said of them.
struct Module {
    resource: Resource,
    within: Option<Resource>,
    add: &'static [Given],
    change: &'static [Given],
}

impl Module {
    const fn new(resource: Resource, add: &'static [Given], change: &'static [Given]) -> Self {
        Self {
            resource,
            within: None,
            add,
            change,
        }
    }

    const fn within(self, place: Resource) -> Self {
        Self {
            within: Some(place),
            ..self
        }
    }

    /// The routes, given how all such resources of a place are read.
    fn routes<S: Shape + Named + 'static, D: Shape + Named + 'static>(
        &self,
        short: fn(&Controller, &str) -> Result<Vec<S>, CommandError>,
        detail: fn(&Controller, &str) -> Result<Vec<D>, CommandError>,
    ) -> Vec<Route> {
        let Self { resource, within, .. } = *self;
        let (all, about) = match within {
            Some(place) => (
                format!("{MODULE}/{place}/{{{place}}}/{resource}"),
                format!("{resource} in {place}"),
            ),
            None => (format!("{MODULE}/{resource}"), resource.to_string()),
        };
        let one = format!("{all}/{{{resource}}}");
        let change = |action, fields| Change {
            action,
            resource,
            within,
            fields,
        };
        let mut routes = vec![
            Route::read(all.clone(), format!("list {about}"), move |controller, names| {
                short(controller, place_of(within, names))
            }),
            Route::change(Method::POST, all, change(Action::Add, Some(self.add))),
            Route::read(
                one.clone(),
                format!("read one {about}"),
                move |controller, names| one_of(resource, names, short(controller, place_of(within, names))?),
            ),
            Route::read(
                format!("{one}/detail"),
                format!("read one {about} in detail"),
                move |controller, names| {
                    one_of(resource, names, detail(controller, place_of(within, names))?)
                },
            ),
            Route::change(Method::DELETE, one.clone(), change(Action::Remove, None)),
        ];
        if !self.change.is_empty() {
            routes.push(Route::change(
                Method::PUT,
                one,
                change(Action::Update, Some(self.change)),
            ));
        }
        routes
    }
}

fn place_of(within: Option<Resource>, names: &[String]) -> &str {
    match (within, names) {
        (Some(_), [place, ..]) => place,
        _ => "",
    }
}

/// The one of all that has the path's last name.
fn one_of<T: Named>(resource: Resource, names: &[String], all: Vec<T>) -> Result<T, CommandError> {
    let name = names.last().map(String::as_str).unwrap_or_default();
    let found = all.into_iter().find(|one| one.name() == name);
    found.ok_or_else(|| CommandError::not_found(resource, name))
}

fn all() -> Vec<Route> {
    let mut routes = modules();
    for kind in [Resource::TcpLb, Resource::Socks5Server] {
        routes.extend(channel(kind));
    }
    routes.extend(statistics());
    routes.push(Route::read(
        "/api/v1/state/dns-cache".to_owned(),
        "list names that were resolved: none is kept".to_owned(),
        |_, _| Ok(Nothing),
    ));
    routes.push(Route {
        method: Method::GET,
        path: "/api/v1/openapi.json".to_owned(),
        about: "read this description".to_owned(),
        leads: Leads::Document,
    });
    routes
}

fn modules() -> Vec<Route> {
    use Resource as R;
    let module = Module::new;
    [
        module(R::ServerGroups, bodies::SERVER_GROUPS, &[]).routes(server_sets, server_sets_in_detail),
        module(R::ServerGroup, bodies::SERVER_GROUP, bodies::SERVER_GROUP_CHANGE)
            .routes(server_groups, server_groups_in_detail),
        module(R::ServerGroup, bodies::ATTACHMENT, bodies::WEIGHT_CHANGE)
            .within(R::ServerGroups)
            .routes(attachments, attachments_in_detail),
        module(R::Server, bodies::SERVER, bodies::WEIGHT_CHANGE)
            .within(R::ServerGroup)
            .routes(servers, servers),
        module(R::TcpLb, bodies::TCP_LB, bodies::TCP_LB_CHANGE).routes(tcp_lbs, tcp_lbs_in_detail),
        module(
            R::Socks5Server,
            bodies::SOCKS5_SERVER,
            bodies::SOCKS5_SERVER_CHANGE,
        )
        .routes(socks5_servers, socks5_servers_in_detail),
        module(
            R::SecurityGroup,
            bodies::SECURITY_GROUP,
            bodies::SECURITY_GROUP_CHANGE,
        )
        .routes(security_groups, security_groups_in_detail),
        module(R::SecurityGroupRule, bodies::SECURITY_GROUP_RULE, &[])
            .within(R::SecurityGroup)
            .routes(rules, rules),
        module(R::SmartGroupDelegate, bodies::SMART_GROUP, &[]).routes(smart_groups, smart_groups_in_detail),
        module(R::SmartNodeDelegate, bodies::SMART_NODE, &[]).routes(smart_nodes, smart_nodes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What comes and goes at listeners of a kind.
fn channel(kind: Resource) -> Vec<Route> {
    let at = format!("{CHANNEL}/{kind}/{{{kind}}}");
    let cut = Change {
        action: Action::ForceRemove,
        resource: Resource::Session,
        within: Some(kind),
        fields: None,
    };
    vec![
        Route::read(
            format!("{at}/bind-server"),
            format!("list bind-server in {kind}"),
            move |controller, names| bind_servers(controller, &listener(kind, names)),
        ),
        Route::read(
            format!("{at}/conn"),
            format!("list connection in {kind}"),
            move |controller, names| connections(controller, &listener(kind, names)),
        ),
        Route::read(
            format!("{at}/session"),
            format!("list session in {kind}"),
            move |controller, names| sessions(controller, &listener(kind, names)),
        ),
        Route::change(Method::DELETE, format!("{at}/session/{{session}}"), cut),
    ]
}

/// What was counted, of listeners, of the addresses they are bound to, and of servers.
fn statistics() -> Vec<Route> {
    let mut routes = Vec::new();
    for figure in [Figure::BytesIn, Figure::BytesOut, Figure::AcceptedConnCount] {
        for kind in [Resource::TcpLb, Resource::Socks5Server] {
            routes.push(Route::read(
                format!("{STATISTICS}/{kind}/{{{kind}}}/{figure}"),
                format!("list {figure} in {kind}"),
                move |controller, names| {
                    let of = Counted::Listener(listener(kind, names));
                    views::figure(controller, figure, of)
                },
            ));
            routes.push(Route::read(
                format!("{STATISTICS}/{kind}/{{{kind}}}/bind-server/{{bind-server}}/{figure}"),
                format!("list {figure} in bind-server in {kind}"),
                move |controller, names| {
                    let text = names.last().map(String::as_str).unwrap_or_default();
                    let unknown = || CommandError::not_found(Resource::BindServer, text);
                    let address = (values::ADDRESS.parse)(text).ok_or_else(unknown)?;
                    let listener = listener(kind, names);
                    views::figure(controller, figure, Counted::BindServer { address, listener })
                },
            ));
        }
        routes.push(Route::read(
            format!("{STATISTICS}/server-group/{{server-group}}/server/{{server}}/{figure}"),
            format!("list {figure} in server in server-group"),
            move |controller, names| {
                let [group, name] = names else {
                    return Err(CommandError::not_found(Resource::Server, ""));
                };
                let (group, name) = (group.clone(), name.clone());
                views::figure(controller, figure, Counted::Server { name, group })
            },
        ));
    }
    routes
}

/// The listener that a path names first.
fn listener(kind: Resource, names: &[String]) -> ListenerName {
    let name = names.first().cloned().unwrap_or_default();
    match kind {
        Resource::Socks5Server => ListenerName::Socks5Server(name),
        _ => ListenerName::TcpLb(name),
    }
}
