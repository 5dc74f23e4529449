//! The keys of listeners whose clients name their destinations: `allow-non-backend` and `allow-local`.

use std::net::SocketAddr;

use serde::Deserialize;

use super::Apply;
use super::args::{Args, Words};
use super::spec::Key;
use crate::control::error::CommandError;
use crate::control::values::{json, optional_json};

const ALLOW: &str = "allow-non-backend";
const DENY: &str = "deny-non-backend";
const ALLOW_LOCAL: &str = "allow-local";
const DENY_LOCAL: &str = "deny-local";

pub(super) const NON_BACKEND: Key = Key::flag(
    ALLOW,
    DENY,
    "whether clients reach destinations other than the backends",
)
.field("allowNonBackend")
.updatable();

pub(super) const LOCAL: Key = Key::flag(
    ALLOW_LOCAL,
    DENY_LOCAL,
    "with allow-non-backend on an address beyond loopback: whether clients reach loopback and link-local \
     destinations, too",
)
.field("allowLocal")
.updatable();

/// The destinations that clients reach besides the backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Allowed {
    #[serde(default, rename = "allowNonBackend", deserialize_with = "json")]
    pub(super) non_backend: bool,
    #[serde(default, rename = "allowLocal", deserialize_with = "json")]
    pub(super) local: bool,
}

/// A change of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Changed {
    #[serde(default, rename = "allowNonBackend", deserialize_with = "optional_json")]
    pub(super) non_backend: Option<bool>,
    #[serde(default, rename = "allowLocal", deserialize_with = "optional_json")]
    pub(super) local: Option<bool>,
}

impl Allowed {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        let Changed { non_backend, local } = Changed::parse(args)?;
        Ok(Self {
            non_backend: non_backend.unwrap_or_default(),
            local: local.unwrap_or_default(),
        })
    }

    pub(super) fn write(self, words: &mut Words) {
        words
            .if_on(self.non_backend, ALLOW)
            .if_on(self.local, ALLOW_LOCAL);
    }

    /// What `list-detail` shows; the first word always, as the original does.
    pub(super) fn line(self) -> String {
        let flag = if self.non_backend { ALLOW } else { DENY };
        let local = if self.local { " allow-local" } else { "" };
        format!("{flag}{local}")
    }

    /// See [`check_open`].
    pub(super) fn check(self, address: SocketAddr, at: &Apply<'_>) -> Result<(), CommandError> {
        check_open(address, self.non_backend, at)
    }
}

impl Changed {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            non_backend: args.flag(ALLOW, DENY)?,
            local: args.flag(ALLOW_LOCAL, DENY_LOCAL)?,
        })
    }

    pub(super) fn write(self, words: &mut Words) {
        words
            .switch(self.non_backend, ALLOW, DENY)
            .switch(self.local, ALLOW_LOCAL, DENY_LOCAL);
    }

    pub(super) fn change(self, allowed: &mut Allowed) {
        allowed.non_backend = self.non_backend.unwrap_or(allowed.non_backend);
        allowed.local = self.local.unwrap_or(allowed.local);
    }

    /// See [`check_open`].
    pub(super) fn check(self, address: SocketAddr, at: &Apply<'_>) -> Result<(), CommandError> {
        check_open(address, self.non_backend.unwrap_or_default(), at)
    }
}

/// Refuses a listener that makes connections to any destination for anyone who reaches it, unless the sidecar was started
/// with leave to have such listeners.
fn check_open(address: SocketAddr, allow_non_backend: bool, at: &Apply<'_>) -> Result<(), CommandError> {
    if !allow_non_backend || at.running.allow_open_proxies || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(CommandError::refused(
        ALLOW,
        format!(
            "anyone who can reach {address} could connect to any destination from this machine. Listen on 127.0.0.1, \
             leave {ALLOW} out, or start the sidecar with --allow-open-proxies"
        ),
    ))
}
