//! `server-groups`: an ordered, weighted set of server groups, which listeners take connections to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::args::{Args, Words};
use super::attachment::AttachmentDetail;
use super::spec::{Spec, TOP};
use super::{Api, Apply, Configured, Id, Listing, Parent, Read, Resource, Unchangeable, attachment};
use crate::balance::ServerGroups as Running;
use crate::control::error::CommandError;
use crate::control::running::ListenerHandle;
use crate::control::values::json;

pub(super) const SPEC: Spec = Spec {
    word: "server-groups",
    short: Some("sgs"),
    help: "an ordered, weighted set of server groups, the backend of listeners",
    within: TOP,
    keys: &[],
    foreign: &[],
};

/// `add server-groups NAME`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Add {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
}

pub(super) type Update = Unchangeable;

impl Add {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self { name: args.name()? })
    }
}

impl Configured for Add {
    fn id(&self) -> Id {
        Id::new(Resource::ServerGroups, &self.name)
    }

    fn write(&self, _: &mut Words) {}

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let groups = Running::new(&self.name);
        at.running.server_groups.insert(self.name.clone(), groups);
        Ok(())
    }

    fn stop(&self, at: &mut Apply<'_>) -> Result<Option<Arc<ListenerHandle>>, CommandError> {
        at.running.server_groups.remove(&self.name);
        Ok(None)
    }
}

fn names<'a>(read: &Read<'a>) -> impl Iterator<Item = String> + use<'a> {
    read.config.all(Resource::ServerGroups).map(|add| add.id().name)
}

pub(super) fn list(read: &Read<'_>, _: &[Parent], _: bool) -> Result<Listing, CommandError> {
    Ok(Listing::Lines(names(read).collect()))
}

pub(super) fn api() -> Api {
    Api::module(
        |read, _| Ok(names(read).map(|name| ServerGroups { name }).collect()),
        |read, _| names(read).map(|name| detail(read, &name)).collect(),
    )
}

/// A set of server groups.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct ServerGroups {
    /// Its name.
    name: String,
}

/// A set of server groups, in detail.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ServerGroupsDetail {
    /// Its name.
    name: String,
    /// The groups attached, in order.
    server_group_list: Vec<AttachmentDetail>,
}

pub(super) fn detail(read: &Read<'_>, name: &str) -> Result<ServerGroupsDetail, CommandError> {
    Ok(ServerGroupsDetail {
        name: name.to_owned(),
        server_group_list: attachment::details(read, name)?,
    })
}
