//! `http-proxy`: a proxy for HTTP clients, which name the group that serves a request.

mod answers;

use std::io;

use serde::Deserialize;

use self::answers::{HttpProxy, HttpProxyDetail};
use super::args::{Args, Words};
use super::listener::{self, Kind, KindUpdate, Opened, running};
use super::spec::{Spec, TOP};
use super::{Api, Apply, Listing, Parent, Read, Resource};
use crate::control::error::CommandError;
use crate::control::running::ListenerHandle;
use crate::proxy::Limits;
use crate::proxy::http_proxy::HttpProxy as Running;

pub(super) const SPEC: Spec = Spec {
    word: "http-proxy",
    short: None,
    help: "a proxy for HTTP clients, which name a group by CONNECT or in absolute form",
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
    ],
    foreign: &[],
};

/// `add http-proxy NAME ..`
pub(super) type Add = listener::Add<Keys>;

/// `update http-proxy NAME ..`
pub(super) type Update = listener::Update<Changed>;

/// This kind of listener has no keys of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Keys {}

/// This kind of listener has no keys of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Changed {}

impl Kind for Keys {
    const RESOURCE: Resource = Resource::HttpProxy;

    fn parse(_: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {})
    }

    fn write(&self, _: &mut Words) {}

    fn start(&self, opened: Opened, limits: Limits, at: &Apply<'_>) -> io::Result<ListenerHandle> {
        let Opened {
            socket,
            backends,
            security_group,
        } = opened;
        let running = Running::start(socket, backends, security_group, limits, &at.running.workers)?;
        Ok(ListenerHandle::HttpProxy(running))
    }

    fn of(add: &super::Add) -> Option<&Add> {
        match add {
            super::Add::HttpProxy(proxy) => Some(proxy),
            _ => None,
        }
    }

    fn of_mut(add: &mut super::Add) -> Option<&mut Add> {
        match add {
            super::Add::HttpProxy(proxy) => Some(proxy),
            _ => None,
        }
    }
}

impl KindUpdate for Changed {
    type Kind = Keys;

    fn parse(_: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {})
    }

    fn write(&self, _: &mut Words) {}

    fn change(&self, _: &mut Keys) {}

    fn apply(&self, _: &ListenerHandle) {}
}

pub(super) fn list(read: &Read<'_>, _: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let rows = running::<Keys>(read).map(|(proxy, view)| (proxy.common.name.clone(), listener::line(&view)));
    Ok(Listing::of(rows, detail))
}

pub(super) fn api() -> Api {
    Api::module(
        |read, _| {
            Ok(running(read)
                .map(|(proxy, view)| HttpProxy::of(proxy, view))
                .collect())
        },
        |read, _| {
            running(read)
                .map(|(proxy, view)| HttpProxyDetail::of(read, proxy, &view))
                .collect()
        },
    )
}
