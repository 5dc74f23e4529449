//! `server-groups`, `server-group` and `server`.

use std::net::{IpAddr, SocketAddr};

use super::Found;
use crate::balance::ServerView;
use crate::control::controller::Controller;
use crate::control::error::CommandError;
use crate::control::grammar::Resource;
use crate::control::http::original::{self, EventLoopGroup};
use crate::control::http::shape::{Status, shapes};
use crate::control::view::{GroupView, MemberView, ServerGroupsView};

shapes! {
    /// A set of server groups.
    struct ServerGroups {
        /// Its name.
        name: String,
    }

    /// A set of server groups, in detail.
    struct ServerGroupsDetail {
        /// Its name.
        name: String,
        /// The groups attached, in order.
        server_group_list: Vec<AttachmentDetail>,
    }

    /// A server group's place in a set.
    struct Attachment {
        /// The group's name.
        name: String,
        /// Its share of the set's connections.
        weight: u32,
    }

    /// A server group's place in a set, in detail.
    struct AttachmentDetail {
        /// The group's name.
        name: String,
        /// Its share of the set's connections.
        weight: u32,
        /// The group.
        server_group: ServerGroupDetail,
    }

    /// A server group.
    struct ServerGroup {
        /// Its name.
        name: String,
        /// How long a health check may take, in milliseconds.
        timeout: u64,
        /// From one health check to the next, in milliseconds.
        period: u64,
        /// Good checks in a row that bring a server up.
        up: u32,
        /// Failed checks in a row that bring a server down.
        down: u32,
        /// How a server is chosen: wrr, wlc or source.
        method: String,
        /// For the original's clients; always the same.
        event_loop_group: &'static str,
    }

    /// A server group, in detail.
    struct ServerGroupDetail {
        /// Its name.
        name: String,
        /// How long a health check may take, in milliseconds.
        timeout: u64,
        /// From one health check to the next, in milliseconds.
        period: u64,
        /// Good checks in a row that bring a server up.
        up: u32,
        /// Failed checks in a row that bring a server down.
        down: u32,
        /// How a server is chosen: wrr, wlc or source.
        method: String,
        /// For the original's clients; always the same.
        event_loop_group: EventLoopGroup,
        /// Its servers: the configured ones, then the mesh's.
        server_list: Vec<Server>,
    }

    /// A server of a group.
    struct Server {
        /// Its name within the group.
        name: String,
        /// Where it listens.
        address: SocketAddr,
        /// Its share of the group's connections.
        weight: u32,
        /// Its IP address.
        current_ip: IpAddr,
        /// Whether it takes connections.
        status: Status,
    }
}

impl From<ServerView> for Server {
    fn from(view: ServerView) -> Self {
        Self {
            name: view.name,
            address: view.address,
            weight: view.weight,
            current_ip: view.address.ip(),
            status: view.up.into(),
        }
    }
}

impl From<GroupView> for ServerGroup {
    fn from(view: GroupView) -> Self {
        let ServerGroupDetail {
            name,
            timeout,
            period,
            up,
            down,
            method,
            ..
        } = view.into();
        Self {
            name,
            timeout,
            period,
            up,
            down,
            method,
            event_loop_group: original::CONTROL,
        }
    }
}

impl From<GroupView> for ServerGroupDetail {
    fn from(view: GroupView) -> Self {
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            name: view.name,
            timeout: millis(view.check.timeout),
            period: millis(view.check.period),
            up: view.check.up,
            down: view.check.down,
            method: view.method.to_string(),
            event_loop_group: original::control(),
            server_list: view.servers.into_iter().map(Server::from).collect(),
        }
    }
}

impl From<MemberView> for AttachmentDetail {
    fn from(view: MemberView) -> Self {
        Self {
            name: view.group.name.clone(),
            weight: view.weight,
            server_group: view.group.into(),
        }
    }
}

impl From<ServerGroupsView> for ServerGroupsDetail {
    fn from(view: ServerGroupsView) -> Self {
        Self {
            name: view.name,
            server_group_list: view.members.into_iter().map(AttachmentDetail::from).collect(),
        }
    }
}

pub(in crate::control::http) fn server_sets(controller: &Controller, _: &str) -> Found<Vec<ServerGroups>> {
    let sets = controller.server_groups().into_iter();
    Ok(sets.map(|set| ServerGroups { name: set.name }).collect())
}

pub(in crate::control::http) fn server_sets_in_detail(
    controller: &Controller,
    _: &str,
) -> Found<Vec<ServerGroupsDetail>> {
    let sets = controller.server_groups().into_iter();
    Ok(sets.map(ServerGroupsDetail::from).collect())
}

pub(in crate::control::http) fn attachments(controller: &Controller, set: &str) -> Found<Vec<Attachment>> {
    let short = |a: AttachmentDetail| Attachment {
        name: a.name,
        weight: a.weight,
    };
    Ok(attachments_in_detail(controller, set)?
        .into_iter()
        .map(short)
        .collect())
}

pub(in crate::control::http) fn attachments_in_detail(
    controller: &Controller,
    set: &str,
) -> Found<Vec<AttachmentDetail>> {
    let found = controller.server_groups().into_iter().find(|s| s.name == set);
    let found = found.ok_or_else(|| CommandError::not_found(Resource::ServerGroups, set))?;
    Ok(ServerGroupsDetail::from(found).server_group_list)
}

pub(in crate::control::http) fn server_groups(controller: &Controller, _: &str) -> Found<Vec<ServerGroup>> {
    Ok(controller.groups().into_iter().map(ServerGroup::from).collect())
}

pub(in crate::control::http) fn server_groups_in_detail(
    controller: &Controller,
    _: &str,
) -> Found<Vec<ServerGroupDetail>> {
    let groups = controller.groups().into_iter();
    Ok(groups.map(ServerGroupDetail::from).collect())
}

pub(in crate::control::http) fn servers(controller: &Controller, group: &str) -> Found<Vec<Server>> {
    let found = controller.groups().into_iter().find(|g| g.name == group);
    let found = found.ok_or_else(|| CommandError::not_found(Resource::ServerGroup, group))?;
    Ok(found.servers.into_iter().map(Server::from).collect())
}
