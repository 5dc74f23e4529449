//! `socks5-server`: a listener that speaks SOCKS5.

mod answers;

use std::io;
use std::net::SocketAddr;

use serde::Deserialize;

use self::answers::{Socks5Server, Socks5ServerDetail};
use super::allowed::{self, Allowed};
use super::args::{Args, Words};
use super::listener::{self, Kind, KindUpdate, Opened, running};
use super::original;
use super::spec::{Spec, TOP};
use super::{Api, Apply, Listing, Parent, Read, Resource};
use crate::control::error::CommandError;
use crate::control::running::ListenerHandle;
use crate::proxy::Limits;
use crate::proxy::socks5::Socks5Server as Running;

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
        allowed::NON_BACKEND,
        allowed::LOCAL,
    ],
    foreign: original::SOCKS5_KEYS,
};

/// `add socks5-server NAME ..`
pub(super) type Add = listener::Add<Keys>;

/// `update socks5-server NAME ..`
pub(super) type Update = listener::Update<Changed>;

/// The keys that only this kind of listener has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Keys(Allowed);

/// A change of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Changed(allowed::Changed);

impl Kind for Keys {
    const RESOURCE: Resource = Resource::Socks5Server;

    fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Allowed::parse(args).map(Self)
    }

    fn write(&self, words: &mut Words) {
        self.0.write(words);
    }

    fn check_address(&self, address: SocketAddr, at: &Apply<'_>) -> Result<(), CommandError> {
        self.0.check(address, at)
    }

    fn start(&self, opened: Opened, limits: Limits, at: &Apply<'_>) -> io::Result<ListenerHandle> {
        let Opened {
            socket,
            backends,
            security_group,
        } = opened;
        let Allowed { non_backend, local } = self.0;
        #[cfg(feature = "failpoints")]
        let non_backend = crate::failpoints::allow_non_backend(non_backend);
        let workers = &at.running.workers;
        let running = Running::start(socket, backends, non_backend, security_group, limits, workers)?;
        running.set_allow_local(local);
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
        allowed::Changed::parse(args).map(Self)
    }

    fn write(&self, words: &mut Words) {
        self.0.write(words);
    }

    fn change(&self, keys: &mut Keys) {
        self.0.change(&mut keys.0);
    }

    fn check(&self, running: &ListenerHandle, at: &Apply<'_>) -> Result<(), CommandError> {
        self.0.check(running.listener().local_addr(), at)
    }

    fn apply(&self, running: &ListenerHandle) {
        let ListenerHandle::Socks5Server(server) = running else {
            return;
        };
        if let Some(allow) = self.0.local {
            server.set_allow_local(allow);
        }
        if let Some(allow) = self.0.non_backend {
            server.set_allow_non_backend(allow);
        }
    }
}

pub(super) fn list(read: &Read<'_>, _: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let rows = running::<Keys>(read).map(|(server, view)| {
        let line = format!("{} {}", listener::line(&view), server.kind.0.line());
        (server.common.name.clone(), line)
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
