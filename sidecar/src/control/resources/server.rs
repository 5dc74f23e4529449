//! `server`: one server of a group.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::api::Status;
use super::args::{Args, Words};
use super::spec::{Key, Spec, WEIGHT};
use super::{Api, Apply, Change, Configured, Id, Listing, Parent, Read, Resource, parent_name, unfit};
use crate::balance::ServerView;
use crate::control::address::Address;
use crate::control::error::CommandError;
use crate::control::running::{Group, ListenerHandle, Running};
use crate::control::values::{Weight, json};

pub(super) const SPEC: Spec = Spec {
    word: "server",
    short: Some("svr"),
    help: "one server of a group",
    within: &[&[Resource::ServerGroup]],
    keys: &[
        Key::required::<Address>("address", "where the RESOURCE listens, as IP:PORT or HOST:PORT")
            .short("addr"),
        WEIGHT,
    ],
    foreign: &[],
};

/// `add server NAME to server-group NAME address .. [weight ..]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Add {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    /// The group that it joins.
    #[serde(rename = "in")]
    pub(super) group: String,
    #[serde(deserialize_with = "json")]
    pub(super) address: Address,
    #[serde(default, deserialize_with = "json")]
    pub(super) weight: Weight,
}

/// `update server NAME in server-group NAME weight ..`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Update {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    #[serde(rename = "in")]
    pub(super) group: String,
    #[serde(deserialize_with = "json")]
    pub(super) weight: Weight,
}

impl Add {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            group: args.parent(),
            address: args.required("address")?,
            weight: args.optional("weight")?.unwrap_or_default(),
        })
    }
}

impl Configured for Add {
    fn id(&self) -> Id {
        Id::new(Resource::Server, &self.name).within(&self.group)
    }

    fn write(&self, words: &mut Words) {
        words
            .key("address", &self.address)
            .unless_default("weight", &self.weight);
    }

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let group = at.running.group(&self.group)?;
        let (address, host) = (self.address.resolved()?, self.address.host().cloned());
        if let Some(listener) = at.running.own.proxy_reached_by(address) {
            return Err(CommandError::refused(
                self.address.to_string(),
                format!(
                    "address {} leads to {listener} of this sidecar: connections to the server would come back here, \
                     without end. Give the address of a service",
                    self.address
                ),
            ));
        }
        let added = group.add_host(&self.name, address, host, self.weight.0);
        added.map_err(|error| unfit(&self.name, &error))
    }

    fn address(&mut self) -> Option<&mut Address> {
        Some(&mut self.address)
    }

    fn stop(&self, at: &mut Apply<'_>) -> Result<Option<Arc<ListenerHandle>>, CommandError> {
        let group = at.running.group(&self.group)?;
        let removed = group.remove(&self.name);
        removed.map(|()| None).map_err(|error| unfit(&self.name, &error))
    }
}

impl Update {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            group: args.parent(),
            weight: args.required("weight")?,
        })
    }
}

impl Change for Update {
    fn id(&self) -> Id {
        Id::new(Resource::Server, &self.name).within(&self.group)
    }

    fn write(&self, words: &mut Words) {
        words.key("weight", &self.weight);
    }

    fn change(&self, add: &mut super::Add) {
        if let super::Add::Server(server) = add {
            server.weight = self.weight;
        }
    }

    fn apply(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let group = at.running.group(&self.group)?;
        let changed = group.set_weight(&self.name, self.weight.0);
        changed.map_err(|error| unfit(&self.name, &error))
    }
}

/// The error for a server that is not configured but that the mesh or DNS put in its group.
pub(in crate::control) fn explain(running: &Running, id: &Id, error: CommandError) -> CommandError {
    let Some(Id { name: group, .. }) = id.owner().filter(|_| id.resource == Resource::Server) else {
        return error;
    };
    let name = &id.name;
    let servers = running.group(&group).map(|group| group.servers());
    let resolved = running.groups.get(&group).and_then(Group::resolved);
    let origin = match resolved {
        Some(_) => "is an address of the host name that the group resolves: remove the group",
        None => "comes from the mesh: change it where it is registered",
    };
    match servers
        .unwrap_or_default()
        .iter()
        .any(|s| s.learned && s.name == *name)
    {
        true => CommandError::invalid(name, format!("server {name} of server-group {group} {origin}")),
        false => error,
    }
}

/// The servers of a group: the configured ones, then the mesh's.
pub(super) fn servers(read: &Read<'_>, group: &str) -> Result<Vec<ServerView>, CommandError> {
    Ok(read.running.group(group)?.servers())
}

pub(super) fn list(read: &Read<'_>, parents: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let rows = servers(read, parent_name(parents))?.into_iter().map(|server| {
        let ServerView {
            address,
            host,
            weight,
            up,
            ..
        } = server;
        let host = host
            .map(|host| format!("host {} ", host.host()))
            .unwrap_or_default();
        let about = format!(
            "{host}connect-to {address} weight {weight} currently {}",
            Status::word(up)
        );
        (server.name, about)
    });
    Ok(Listing::of(rows, detail))
}

pub(super) fn api() -> Api {
    fn all(read: &Read<'_>, group: &str) -> Result<Vec<Server>, CommandError> {
        Ok(servers(read, group)?.into_iter().map(Server::from).collect())
    }
    Api::module(all, all)
}

/// A server of a group.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Server {
    /// Its name within the group.
    name: String,
    /// The address that it listens on, as it was given.
    address: String,
    /// Its share of the group's connections.
    weight: u32,
    /// Its IP address; that of a host name may change while it is down.
    current_ip: String,
    /// Whether it takes connections.
    status: Status,
}

impl From<ServerView> for Server {
    fn from(view: ServerView) -> Self {
        Self {
            name: view.name,
            address: view
                .host
                .map_or_else(|| view.address.to_string(), |host| host.to_string()),
            weight: view.weight,
            current_ip: view.address.ip().to_string(),
            status: view.up.into(),
        }
    }
}
