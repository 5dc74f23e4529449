//! The paths of resources: where each kind is, and what can be said of it.

use hyper::Method;

use super::bodies;
use super::change::Change;
use super::field::Given;
use super::routes::Route;
use super::shape::Shape;
use super::views::{
    Named, attachments, attachments_in_detail, rules, security_groups, security_groups_in_detail,
    server_groups, server_groups_in_detail, server_sets, server_sets_in_detail, servers, smart_groups,
    smart_groups_in_detail, smart_nodes, socks5_servers, socks5_servers_in_detail, tcp_lbs,
    tcp_lbs_in_detail,
};
use crate::control::controller::Controller;
use crate::control::error::CommandError;
use crate::control::grammar::{Action, Resource};

/// Under this path are resources.
const MODULE: &str = "/api/v1/module";

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

/// The routes to every resource.
pub(super) fn modules() -> Vec<Route> {
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
