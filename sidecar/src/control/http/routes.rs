//! Every path and what it leads to. The one table behind the router and the API document.

use std::sync::LazyLock;

use hyper::Method;
use serde_json::Value;

use super::change::Change;
use super::modules::modules;
use super::shape::{Nothing, Schemas, Shape};
use super::views::{self, bind_servers, connections, sessions};
use crate::control::command::{Counted, Figure, ListenerName};
use crate::control::controller::Controller;
use crate::control::error::CommandError;
use crate::control::grammar::{Action, Resource};
use crate::control::values;

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

    pub(super) fn change(method: Method, path: String, change: Change) -> Self {
        Self {
            method,
            path,
            about: change.to_string(),
            leads: Leads::Change(change),
        }
    }

    pub(super) fn read<T: Shape>(
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
