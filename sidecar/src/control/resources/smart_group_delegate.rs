//! `smart-group-delegate`: keeps a server group filled with the mesh's instances of a service.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::args::{Args, Words};
use super::server_group::{self, ServerGroupDetail};
use super::spec::{Key, Spec, TOP};
use super::{Api, Apply, Config, Configured, Id, Listing, Parent, Read, Resource, Unchangeable, no_mesh};
use crate::balance::service::ServiceId;
use crate::control::error::CommandError;
use crate::control::running::ListenerHandle;
use crate::control::smart_group::SmartGroup as Running;
use crate::control::values::json;

pub(super) const SERVICE: Key = Key::required::<String>("service", "the service's name in the mesh");
pub(super) const ZONE: Key = Key::required::<String>("zone", "the service's zone in the mesh");

pub(super) const SPEC: Spec = Spec {
    word: "smart-group-delegate",
    short: None,
    help: "keeps a server group filled with the mesh's instances of a service",
    within: TOP,
    keys: &[
        SERVICE,
        ZONE,
        Key::required::<String>(
            "server-group",
            "the server-group that is kept filled with the service's instances",
        )
        .short("sg")
        .field("handledGroup"),
    ],
    foreign: &[],
};

/// `add smart-group-delegate NAME service .. zone .. server-group ..`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Add {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    #[serde(deserialize_with = "json")]
    pub(super) service: String,
    #[serde(deserialize_with = "json")]
    pub(super) zone: String,
    #[serde(rename = "handledGroup", deserialize_with = "json")]
    pub(super) server_group: String,
}

pub(super) type Update = Unchangeable;

impl Add {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            service: args.required("service")?,
            zone: args.required("zone")?,
            server_group: args.required("server-group")?,
        })
    }
}

impl Configured for Add {
    fn id(&self) -> Id {
        Id::new(Resource::SmartGroupDelegate, &self.name)
    }

    fn references(&self) -> Vec<Id> {
        vec![Id::new(Resource::ServerGroup, &self.server_group)]
    }

    /// A group is filled by one delegate.
    fn check(&self, config: &Config) -> Result<(), CommandError> {
        let group = &self.server_group;
        if let Some(super::Add::ServerGroup(filled)) = config.get(&Id::new(Resource::ServerGroup, group))
            && let Some((host, _)) = filled.source()
        {
            return Err(CommandError::invalid(
                group,
                format!("server-group {group} is filled with the addresses of {host} already"),
            ));
        }
        let mut others = all(config).filter(|other| other.name != self.name);
        match others.find(|other| other.server_group == *group) {
            Some(Self { name: other, .. }) => Err(CommandError::invalid(
                group,
                format!("server-group {group} is filled by smart-group-delegate {other} already"),
            )),
            None => Ok(()),
        }
    }

    fn write(&self, words: &mut Words) {
        words
            .key("service", &self.service)
            .key("zone", &self.zone)
            .key("server-group", &self.server_group);
    }

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let instances = at.instances.cloned().ok_or_else(|| no_mesh(&self.name))?;
        let group = at.running.group(&self.server_group)?;
        let id = ServiceId {
            service: self.service.clone(),
            zone: self.zone.clone(),
        };
        let running = Running::start(id, group, instances, at.running.own.clone());
        at.running.smart_groups.insert(self.name.clone(), running);
        Ok(())
    }

    fn stop(&self, at: &mut Apply<'_>) -> Result<Option<Arc<ListenerHandle>>, CommandError> {
        at.running.smart_groups.remove(&self.name);
        Ok(None)
    }
}

fn all(config: &Config) -> impl Iterator<Item = &Add> {
    let all = config.all(Resource::SmartGroupDelegate);
    all.filter_map(|add| match add {
        super::Add::SmartGroupDelegate(delegate) => Some(delegate),
        _ => None,
    })
}

pub(super) fn list(read: &Read<'_>, _: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let rows = all(read.config).map(|delegate| {
        let Add {
            name,
            service,
            zone,
            server_group,
        } = delegate;
        (
            name.clone(),
            format!("service {service} zone {zone} server-group {server_group}"),
        )
    });
    Ok(Listing::of(rows, detail))
}

pub(super) fn api() -> Api {
    Api::module(
        |read, _| Ok(all(read.config).map(SmartGroup::from).collect()),
        |read, _| {
            all(read.config)
                .map(|delegate| SmartGroupDetail::of(read, delegate))
                .collect()
        },
    )
}

/// Keeps a server group filled with the mesh's instances of a service.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SmartGroup {
    /// Its name.
    name: String,
    /// The service's name.
    service: String,
    /// The service's zone.
    zone: String,
    /// The server-group that it fills.
    handled_group: String,
}

/// Keeps a server group filled with the mesh's instances of a service, in detail.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SmartGroupDetail {
    /// Its name.
    name: String,
    /// The service's name.
    service: String,
    /// The service's zone.
    zone: String,
    /// The server-group that it fills.
    handled_group: ServerGroupDetail,
}

impl From<&Add> for SmartGroup {
    fn from(delegate: &Add) -> Self {
        Self {
            name: delegate.name.clone(),
            service: delegate.service.clone(),
            zone: delegate.zone.clone(),
            handled_group: delegate.server_group.clone(),
        }
    }
}

impl SmartGroupDetail {
    fn of(read: &Read<'_>, delegate: &Add) -> Result<Self, CommandError> {
        Ok(Self {
            name: delegate.name.clone(),
            service: delegate.service.clone(),
            zone: delegate.zone.clone(),
            handled_group: server_group::view(read, &delegate.server_group)?.into(),
        })
    }
}
