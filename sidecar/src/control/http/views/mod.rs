//! What runs, as callers see it: each resource in short and in detail.

mod channel;
mod groups;
mod listeners;
mod mesh;
mod security;

pub(super) use channel::{bind_servers, connections, figure, sessions};
pub(super) use groups::{
    attachments, attachments_in_detail, server_groups, server_groups_in_detail, server_sets,
    server_sets_in_detail, servers,
};
pub(super) use listeners::{socks5_servers, socks5_servers_in_detail, tcp_lbs, tcp_lbs_in_detail};
pub(super) use mesh::{smart_groups, smart_groups_in_detail, smart_nodes};
pub(super) use security::{rules, security_groups, security_groups_in_detail};

use crate::control::error::CommandError;

/// What a reading comes to; refused where what it is in does not exist.
type Found<T> = Result<T, CommandError>;

/// Something with a name that a path can name.
pub(super) trait Named {
    fn name(&self) -> &str;
}

macro_rules! named {
    ($($type:ty),+ $(,)?) => {$(
        impl Named for $type {
            fn name(&self) -> &str {
                &self.name
            }
        }
    )+};
}

named!(
    groups::ServerGroups,
    groups::ServerGroupsDetail,
    groups::ServerGroup,
    groups::ServerGroupDetail,
    groups::Attachment,
    groups::AttachmentDetail,
    groups::Server,
    listeners::TcpLb,
    listeners::TcpLbDetail,
    listeners::Socks5Server,
    listeners::Socks5ServerDetail,
    security::SecurityGroup,
    security::SecurityGroupDetail,
    security::SecurityGroupRule,
    mesh::SmartGroup,
    mesh::SmartGroupDetail,
    mesh::SmartNode,
);
