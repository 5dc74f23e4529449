//! The effect of adding, updating, removing or listing a resource.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;

use super::args::{Args, Words};
use super::{Add, Config, Id};
use crate::control::address::Address;
use crate::control::error::CommandError;
use crate::control::offers::Offers;
use crate::control::running::{ListenerHandle, ListenerName, Running};
use crate::control::smart_group::MeshInstances;
use crate::interface::Addresses;

/// The running parts, for readers.
pub(in crate::control) struct Read<'a> {
    pub(in crate::control) config: &'a Config,
    pub(in crate::control) running: &'a Running,
}

/// The state that commands work on.
pub(in crate::control) struct Apply<'a> {
    pub(in crate::control) running: &'a mut Running,
    /// The configuration after the command.
    pub(in crate::control) config: &'a Config,
    pub(in crate::control) offers: &'a Offers,
    /// `None` if the sidecar is in no mesh.
    pub(in crate::control) instances: Option<&'a MeshInstances>,
    pub(in crate::control) addresses: &'a Addresses,
}

/// The answer to `list` and `list-detail`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) enum Listing {
    /// Names, or a line about each.
    Lines(Vec<String>),
    Count(u64),
}

/// A resource as commands configure it.
pub(in crate::control) trait Configured {
    fn id(&self) -> Id;

    /// The resources that it needs, apart from its parent.
    fn references(&self) -> Vec<Id> {
        Vec::new()
    }

    /// Checks that its keys go together.
    fn check_keys(&self) -> Result<(), CommandError> {
        Ok(())
    }

    /// Checks the other conditions for adding it to the configuration.
    fn check(&self, _: &Config) -> Result<(), CommandError> {
        Ok(())
    }

    /// The address that it listens on, if it does; `None` too while its host name is not resolved.
    fn listens_on(&self) -> Option<IpAddr> {
        None
    }

    /// Its address, if that may be a host name, which is resolved before anything else.
    fn address(&mut self) -> Option<&mut Address> {
        None
    }

    /// Its name and its address, if it is a listener.
    fn listener(&self) -> Option<(ListenerName, &Address)> {
        None
    }

    /// Fills in what was left open, so that the recorded command says what is done.
    fn settle(&mut self, _: &Running, _: &Addresses) -> Result<(), CommandError> {
        Ok(())
    }

    /// Writes its keys and flags.
    fn write(&self, words: &mut Words);

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError>;

    /// Stops it. Returns a listener that must be closed before its address is free.
    fn stop(&self, at: &mut Apply<'_>) -> Result<Option<Arc<ListenerHandle>>, CommandError>;
}

/// A change of a resource.
pub(in crate::control) trait Change {
    fn id(&self) -> Id;

    /// The resources that it needs from now on.
    fn references(&self) -> Vec<Id> {
        Vec::new()
    }

    /// Writes its keys and flags.
    fn write(&self, words: &mut Words);

    /// Changes the configuration.
    fn change(&self, add: &mut Add);

    /// Changes the running parts.
    fn apply(&self, at: &mut Apply<'_>) -> Result<(), CommandError>;
}

/// Why a resource cannot be updated.
pub(in crate::control) const UNCHANGEABLE: &str = "remove it and add it again";

/// For resources that cannot be updated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub enum Unchangeable {}

impl Unchangeable {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Err(args.resource.cannot("update", UNCHANGEABLE))
    }
}

impl Change for Unchangeable {
    fn id(&self) -> Id {
        match *self {}
    }

    fn write(&self, _: &mut Words) {
        match *self {}
    }

    fn change(&self, _: &mut Add) {
        match *self {}
    }

    fn apply(&self, _: &mut Apply<'_>) -> Result<(), CommandError> {
        match *self {}
    }
}

impl Listing {
    /// The number of lines, or in detail the lines.
    pub(super) fn counted(lines: Vec<String>, detail: bool) -> Self {
        match detail {
            true => Self::Lines(lines),
            false => Self::Count(lines.len() as u64),
        }
    }

    /// Names, or in detail a line about each.
    pub(super) fn of(rows: impl Iterator<Item = (String, String)>, detail: bool) -> Self {
        let line = |(name, about): (String, String)| match detail {
            true => format!("{name} -> {about}"),
            false => name,
        };
        Self::Lines(rows.map(line).collect())
    }
}
