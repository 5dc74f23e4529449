//! Reads what runs: the snapshots behind every listing.

use std::sync::Arc;

use super::command::ListenerName;
use super::controller::{Controller, State};
use super::error::CommandError;
use super::model::Model;
use super::running::{Door, Running};
use super::view::{
    GroupView, ListenerView, MemberView, RegistrationView, SecurityGroupView, ServerGroupsView,
    SmartGroupView,
};
use crate::balance::ServerGroup;

impl Controller {
    /// The server groups, in the order in which they were added.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupView> {
        let state = self.state();
        let State { model, running, .. } = &*state;
        model
            .groups
            .keys()
            .filter_map(|name| running.group(name).ok())
            .map(|g| group_view(&g))
            .collect()
    }

    /// The sets of server groups, in the order in which they were added.
    #[must_use]
    pub fn server_groups(&self) -> Vec<ServerGroupsView> {
        let state = self.state();
        let State { model, running, .. } = &*state;
        let sets = model
            .server_groups
            .keys()
            .filter_map(|name| running.backends(name).ok());
        sets.map(|set| ServerGroupsView {
            name: set.name().to_owned(),
            members: set
                .groups()
                .iter()
                .map(|a| MemberView {
                    group: group_view(&a.group),
                    weight: a.weight,
                })
                .collect(),
        })
        .collect()
    }

    /// The listeners: the load balancers, then the SOCKS5 servers, each in the order in which they were added.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerView> {
        let state = self.state();
        let State { model, running, .. } = &*state;
        model
            .listeners()
            .filter_map(|(name, _)| listener_view(model, running, name))
            .collect()
    }

    /// The security groups, in the order in which they were added.
    #[must_use]
    pub fn security_groups(&self) -> Vec<SecurityGroupView> {
        let state = self.state();
        let groups = state
            .model
            .security_groups
            .iter()
            .map(|(name, group)| SecurityGroupView {
                name: name.clone(),
                default: group.default,
                rules: group
                    .rules
                    .iter()
                    .map(|(name, rule)| (name.clone(), *rule))
                    .collect(),
            });
        groups.collect()
    }

    /// The smart groups, in the order in which they were added.
    #[must_use]
    pub fn smart_groups(&self) -> Vec<SmartGroupView> {
        let state = self.state();
        let groups = state.model.smart_groups.iter();
        groups
            .map(|(name, spec)| SmartGroupView {
                name: name.clone(),
                spec: spec.clone(),
            })
            .collect()
    }

    /// The registrations, in the order in which they were made.
    #[must_use]
    pub fn registrations(&self) -> Vec<RegistrationView> {
        let state = self.state();
        let views = state.model.smart_nodes.iter().filter_map(|(name, spec)| {
            let registration = state.running.registrations.get(name)?;
            Some(RegistrationView {
                name: name.clone(),
                spec: spec.clone(),
                address: registration.address(),
                announced: registration.is_announced(),
            })
        });
        views.collect()
    }

    /// A listener at work, for what is read off it alone.
    pub(super) fn door(&self, name: &ListenerName) -> Result<Arc<Door>, CommandError> {
        self.state().running.listener(name)
    }
}

fn group_view(group: &ServerGroup) -> GroupView {
    GroupView {
        name: group.name().to_owned(),
        check: group.check_config(),
        method: group.method(),
        servers: group.servers(),
        totals: group.counters().totals(),
        connects: group.connects(),
        connect_times: group.connect_times(),
    }
}

fn listener_view(model: &Model, running: &Running, name: ListenerName) -> Option<ListenerView> {
    let door = running.listeners.get(&name)?;
    let (spec, allow_non_backend) = match &name {
        ListenerName::TcpLb(name) => (model.tcp_lbs.get(name)?, false),
        ListenerName::Socks5Server(name) => {
            let server = model.socks5_servers.get(name)?;
            (&server.listener, server.allow_non_backend)
        }
    };
    Some(ListenerView {
        address: door.listener().local_addr(),
        backend: spec.backend.clone(),
        security_group: spec.security_group.clone(),
        allow_non_backend,
        totals: door.listener().totals(),
        refusals: door.listener().refusals(),
        name,
    })
}
