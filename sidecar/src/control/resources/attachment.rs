//! `server-group` in `server-groups`: a group's place in a set of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::args::{Args, Words};
use super::server_group::{self, ServerGroupDetail};
use super::spec::{Spec, WEIGHT};
use super::{Api, Apply, Change, Configured, Id, Listing, Parent, Read, Resource, parent_name, unfit};
use crate::control::error::CommandError;
use crate::control::running::ListenerHandle;
use crate::control::values::{Weight, json};

pub(super) const SPEC: Spec = Spec {
    word: server_group::SPEC.word,
    short: server_group::SPEC.short,
    help: "a server group in a set of server groups",
    within: &[&[Resource::ServerGroups]],
    keys: &[WEIGHT],
    foreign: &[],
};

/// `add server-group NAME to server-groups NAME [weight ..]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Add {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    /// The set that it joins.
    #[serde(rename = "in")]
    pub(super) groups: String,
    #[serde(default, deserialize_with = "json")]
    pub(super) weight: Weight,
}

/// `update server-group NAME in server-groups NAME weight ..`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Update {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    #[serde(rename = "in")]
    pub(super) groups: String,
    #[serde(deserialize_with = "json")]
    pub(super) weight: Weight,
}

impl Add {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            groups: args.parent(),
            weight: args.optional("weight")?.unwrap_or_default(),
        })
    }
}

impl Configured for Add {
    fn id(&self) -> Id {
        Id::new(Resource::Attachment, &self.name).within(&self.groups)
    }

    fn references(&self) -> Vec<Id> {
        vec![Id::new(Resource::ServerGroup, &self.name)]
    }

    fn write(&self, words: &mut Words) {
        words.unless_default("weight", &self.weight);
    }

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let group = at.running.group(&self.name)?;
        let groups = at.running.backends(&self.groups)?;
        let attached = groups.attach(group, self.weight.0);
        attached.map_err(|error| unfit(&self.name, &error))
    }

    fn stop(&self, at: &mut Apply<'_>) -> Result<Option<Arc<ListenerHandle>>, CommandError> {
        let groups = at.running.backends(&self.groups)?;
        let detached = groups.detach(&self.name);
        detached.map(|()| None).map_err(|error| unfit(&self.name, &error))
    }
}

impl Update {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            groups: args.parent(),
            weight: args.required("weight")?,
        })
    }
}

impl Change for Update {
    fn id(&self) -> Id {
        Id::new(Resource::Attachment, &self.name).within(&self.groups)
    }

    fn write(&self, words: &mut Words) {
        words.key("weight", &self.weight);
    }

    fn change(&self, add: &mut super::Add) {
        if let super::Add::Attachment(attachment) = add {
            attachment.weight = self.weight;
        }
    }

    fn apply(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let groups = at.running.backends(&self.groups)?;
        let changed = groups.set_weight(&self.name, self.weight.0);
        changed.map_err(|error| unfit(&self.name, &error))
    }
}

/// The attachments of a set, in order.
fn attachments<'a>(read: &Read<'a>, groups: &str) -> Result<Vec<&'a Add>, CommandError> {
    read.config.require(&Id::new(Resource::ServerGroups, groups))?;
    let all = read.config.within(Resource::Attachment, groups);
    let attachments = all.filter_map(|add| match add {
        super::Add::Attachment(attachment) => Some(attachment),
        _ => None,
    });
    Ok(attachments.collect())
}

pub(super) fn list(read: &Read<'_>, parents: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let mut rows = Vec::new();
    for Add { name, weight, .. } in attachments(read, parent_name(parents))? {
        let group = server_group::view(read, name)?;
        rows.push((
            name.clone(),
            format!("{} weight {weight}", server_group::line(&group)),
        ));
    }
    Ok(Listing::of(rows.into_iter(), detail))
}

pub(super) fn api() -> Api {
    Api::module(
        |read, groups| {
            let short = |add: &Add| Attachment {
                name: add.name.clone(),
                weight: add.weight.0,
            };
            Ok(attachments(read, groups)?.into_iter().map(short).collect())
        },
        details,
    )
}

/// A server group's place in a set.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct Attachment {
    /// The group's name.
    name: String,
    /// Its share of the set's connections.
    weight: u32,
}

/// A server group's place in a set, in detail.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AttachmentDetail {
    /// The group's name.
    name: String,
    /// Its share of the set's connections.
    weight: u32,
    /// The group.
    server_group: ServerGroupDetail,
}

pub(super) fn details(read: &Read<'_>, groups: &str) -> Result<Vec<AttachmentDetail>, CommandError> {
    let detail = |add: &Add| {
        Ok(AttachmentDetail {
            name: add.name.clone(),
            weight: add.weight.0,
            server_group: server_group::view(read, &add.name)?.into(),
        })
    };
    attachments(read, groups)?.into_iter().map(detail).collect()
}
