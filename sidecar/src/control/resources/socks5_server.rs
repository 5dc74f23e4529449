//! `socks5-server`: a listener that speaks SOCKS5.

mod answers;

use std::io;
use std::net::SocketAddr;

use serde::Deserialize;

use self::answers::{Socks5Server, Socks5ServerDetail};
use super::args::{Args, Words};
use super::listener::{self, Kind, KindUpdate, Opened, running};
use super::original;
use super::spec::{Key, Spec, TOP};
use super::{Api, Apply, Listing, Parent, Read, Resource};
use crate::control::error::CommandError;
use crate::control::running::ListenerHandle;
use crate::control::values::{json, optional_json};
use crate::proxy::Limits;
use crate::proxy::socks5::Socks5Server as Running;

const ALLOW: &str = "allow-non-backend";
const DENY: &str = "deny-non-backend";
const ALLOW_LOCAL: &str = "allow-local";
const DENY_LOCAL: &str = "deny-local";

pub(super) const SPEC: Spec = Spec {
    word: "socks5-server",
    short: Some("socks5"),
    help: "a listener that speaks SOCKS5",
    within: TOP,
    keys: &[
        listener::ADDRESS,
        listener::SERVER_GROUPS,
        listener::SECURITY_GROUP,
        listener::HOLD,
        listener::IDLE_TIMEOUT,
        listener::REQUEST_TIMEOUT,
        listener::SEND_FORWARDED,
        listener::CLIENT_LIMIT,
        Key::flag(
            ALLOW,
            DENY,
            "whether clients reach destinations other than the backends",
        )
        .field("allowNonBackend")
        .updatable(),
        Key::flag(
            ALLOW_LOCAL,
            DENY_LOCAL,
            "with allow-non-backend on an address beyond loopback: whether clients reach loopback and link-local \
             destinations, too",
        )
        .field("allowLocal")
        .updatable(),
    ],
    foreign: original::SOCKS5_KEYS,
};

/// `add socks5-server NAME ..`
pub(super) type Add = listener::Add<Keys>;

/// `update socks5-server NAME ..`
pub(super) type Update = listener::Update<Changed>;

/// The keys that only this kind of listener has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Keys {
    #[serde(default, rename = "allowNonBackend", deserialize_with = "json")]
    allow_non_backend: bool,
    #[serde(default, rename = "allowLocal", deserialize_with = "json")]
    allow_local: bool,
}

/// A change of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Changed {
    #[serde(default, rename = "allowNonBackend", deserialize_with = "optional_json")]
    allow_non_backend: Option<bool>,
    #[serde(default, rename = "allowLocal", deserialize_with = "optional_json")]
    allow_local: Option<bool>,
}

impl Kind for Keys {
    const RESOURCE: Resource = Resource::Socks5Server;

    fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            allow_non_backend: args.flag(ALLOW, DENY)?.unwrap_or_default(),
            allow_local: args.flag(ALLOW_LOCAL, DENY_LOCAL)?.unwrap_or_default(),
        })
    }

    fn write(&self, words: &mut Words) {
        words
            .if_on(self.allow_non_backend, ALLOW)
            .if_on(self.allow_local, ALLOW_LOCAL);
    }

    fn check_address(&self, address: SocketAddr, at: &Apply<'_>) -> Result<(), CommandError> {
        check_open(address, self.allow_non_backend, at)
    }

    fn start(&self, opened: Opened, limits: Limits, at: &Apply<'_>) -> io::Result<ListenerHandle> {
        let Opened {
            socket,
            backends,
            security_group,
        } = opened;
        let allow = self.allow_non_backend;
        #[cfg(feature = "failpoints")]
        let allow = crate::failpoints::allow_non_backend(allow);
        let workers = &at.running.workers;
        let running = Running::start(socket, backends, allow, security_group, limits, workers)?;
        running.set_allow_local(self.allow_local);
        Ok(ListenerHandle::Socks5Server(running))
    }

    fn of(add: &super::Add) -> Option<&Add> {
        match add {
            super::Add::Socks5Server(server) => Some(server),
            _ => None,
        }
    }

    fn of_mut(add: &mut super::Add) -> Option<&mut Add> {
        match add {
            super::Add::Socks5Server(server) => Some(server),
            _ => None,
        }
    }
}

impl KindUpdate for Changed {
    type Kind = Keys;

    fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            allow_non_backend: args.flag(ALLOW, DENY)?,
            allow_local: args.flag(ALLOW_LOCAL, DENY_LOCAL)?,
        })
    }

    fn write(&self, words: &mut Words) {
        words
            .switch(self.allow_non_backend, ALLOW, DENY)
            .switch(self.allow_local, ALLOW_LOCAL, DENY_LOCAL);
    }

    fn change(&self, keys: &mut Keys) {
        keys.allow_non_backend = self.allow_non_backend.unwrap_or(keys.allow_non_backend);
        keys.allow_local = self.allow_local.unwrap_or(keys.allow_local);
    }

    fn check(&self, running: &ListenerHandle, at: &Apply<'_>) -> Result<(), CommandError> {
        let address = running.listener().local_addr();
        check_open(address, self.allow_non_backend.unwrap_or_default(), at)
    }

    fn apply(&self, running: &ListenerHandle) {
        let ListenerHandle::Socks5Server(server) = running else {
            return;
        };
        if let Some(allow) = self.allow_local {
            server.set_allow_local(allow);
        }
        if let Some(allow) = self.allow_non_backend {
            server.set_allow_non_backend(allow);
        }
    }
}

/// Refuses a server that makes connections to any destination for anyone who reaches it, unless the sidecar was started
/// with leave to have such servers.
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

pub(super) fn list(read: &Read<'_>, _: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let rows = running::<Keys>(read).map(|(server, view)| {
        let flag = if server.kind.allow_non_backend {
            ALLOW
        } else {
            DENY
        };
        let local = if server.kind.allow_local {
            " allow-local"
        } else {
            ""
        };
        (
            server.common.name.clone(),
            format!("{} {flag}{local}", listener::line(&view)),
        )
    });
    Ok(Listing::of(rows, detail))
}

pub(super) fn api() -> Api {
    Api::module(
        |read, _| {
            Ok(running(read)
                .map(|(server, view)| Socks5Server::of(server, view))
                .collect())
        },
        |read, _| {
            running(read)
                .map(|(server, view)| Socks5ServerDetail::of(read, server, &view))
                .collect()
        },
    )
}
