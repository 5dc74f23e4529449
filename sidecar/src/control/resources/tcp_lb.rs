//! `tcp-lb`: a listener that balances TCP connections.

mod answers;

use std::io;

use serde::Deserialize;

use self::answers::{TcpLb, TcpLbDetail};
use super::args::{Args, Words};
use super::listener::{self, Common, FORWARDED, Kind, KindUpdate, Opened, running};
use super::original;
use super::spec::{Key, Spec, TOP};
use super::{Api, Apply, Listing, Parent, Read, Resource};
use crate::balance::Protocol;
use crate::control::error::CommandError;
use crate::control::running::ListenerHandle;
use crate::control::values::{json, optional_json};
use crate::proxy::Limits;
use crate::proxy::tcp_lb::TcpLb as Running;

const SEND: &str = "send-proxy";
const OMIT: &str = "omit-proxy";

pub(super) const SPEC: Spec = Spec {
    word: "tcp-lb",
    short: Some("tl"),
    help: "a listener that balances TCP connections, or HTTP requests",
    within: TOP,
    keys: &[
        listener::ADDRESS,
        listener::SERVER_GROUPS,
        listener::SECURITY_GROUP,
        listener::HOLD,
        listener::IDLE_TIMEOUT,
        Key::default::<Protocol>(
            "protocol",
            "tcp",
            "what its connections carry: of tcp each connection is balanced as a whole, of http/1.x and h2 each request; \
             http is either of the two, by the first bytes",
        )
        .updatable(),
        listener::REQUEST_TIMEOUT,
        listener::SEND_FORWARDED,
        Key::flag(
            SEND,
            OMIT,
            "whether connections to servers begin with a header of the PROXY protocol, version 2, with the client's address",
        )
        .field("sendProxy")
        .added()
        .updatable(),
        listener::CLIENT_LIMIT,
    ],
    foreign: original::TCP_LB_KEYS,
};

/// `add tcp-lb NAME ..`
pub(super) type Add = listener::Add<Keys>;

/// `update tcp-lb NAME ..`
pub(super) type Update = listener::Update<Changed>;

/// The keys that only this kind of listener has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Keys {
    #[serde(default, deserialize_with = "json")]
    pub(super) protocol: Protocol,
    #[serde(default, rename = "sendProxy", deserialize_with = "json")]
    send_proxy: bool,
}

/// A change of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Changed {
    #[serde(default, deserialize_with = "optional_json")]
    protocol: Option<Protocol>,
    #[serde(default, rename = "sendProxy", deserialize_with = "optional_json")]
    send_proxy: Option<bool>,
}

impl Kind for Keys {
    const RESOURCE: Resource = Resource::TcpLb;

    fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            protocol: args.optional("protocol")?.unwrap_or_default(),
            send_proxy: args.flag(SEND, OMIT)?.unwrap_or_default(),
        })
    }

    fn write(&self, words: &mut Words) {
        words
            .unless_default("protocol", &self.protocol)
            .if_on(self.send_proxy, SEND);
    }

    fn check_keys(&self, common: &Common) -> Result<(), CommandError> {
        let protocol = self.protocol;
        let [forwarded, _] = FORWARDED;
        let of_http = [
            (!common.request_timeout.0.is_zero()).then_some("request-timeout"),
            common.send_forwarded.then_some(forwarded),
        ];
        let refused = |word, reason| {
            let message = format!("{word} does not go with protocol {protocol}, {reason}");
            Err(CommandError::invalid(word, message))
        };
        match (protocol, of_http.into_iter().flatten().next()) {
            (Protocol::Tcp, None) => Ok(()),
            (Protocol::Tcp, Some(word)) => refused(
                word,
                "whose connections are relayed as they are; expected protocol http/1.x, h2 or http",
            ),
            (_, _) if self.send_proxy => refused(
                SEND,
                "where clients share connections to servers; send-forwarded tells their addresses instead",
            ),
            (_, _) => Ok(()),
        }
    }

    fn start(&self, opened: Opened, limits: Limits, at: &Apply<'_>) -> io::Result<ListenerHandle> {
        let Opened {
            socket,
            backends,
            security_group,
        } = opened;
        let running = Running::start(socket, backends, security_group, limits, &at.running.workers)?;
        running.set_protocol(self.protocol);
        running.set_send_proxy(self.send_proxy);
        Ok(ListenerHandle::TcpLb(running))
    }

    fn of(add: &super::Add) -> Option<&Add> {
        match add {
            super::Add::TcpLb(lb) => Some(lb),
            _ => None,
        }
    }

    fn of_mut(add: &mut super::Add) -> Option<&mut Add> {
        match add {
            super::Add::TcpLb(lb) => Some(lb),
            _ => None,
        }
    }
}

impl KindUpdate for Changed {
    type Kind = Keys;

    fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            protocol: args.optional("protocol")?,
            send_proxy: args.flag(SEND, OMIT)?,
        })
    }

    fn write(&self, words: &mut Words) {
        words
            .optional("protocol", self.protocol.as_ref())
            .switch(self.send_proxy, SEND, OMIT);
    }

    fn change(&self, keys: &mut Keys) {
        keys.protocol = self.protocol.unwrap_or(keys.protocol);
        keys.send_proxy = self.send_proxy.unwrap_or(keys.send_proxy);
    }

    fn apply(&self, running: &ListenerHandle) {
        let ListenerHandle::TcpLb(lb) = running else {
            return;
        };
        if let Some(protocol) = self.protocol {
            lb.set_protocol(protocol);
        }
        if let Some(send) = self.send_proxy {
            lb.set_send_proxy(send);
        }
    }
}

pub(super) fn list(read: &Read<'_>, _: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let rows = running::<Keys>(read).map(|(lb, view)| {
        let mut words = Words::default();
        lb.kind.write(&mut words);
        (
            lb.common.name.clone(),
            format!("{}{words}", listener::line(&view)),
        )
    });
    Ok(Listing::of(rows, detail))
}

pub(super) fn api() -> Api {
    Api::module(
        |read, _| Ok(running(read).map(|(lb, view)| TcpLb::of(lb, view)).collect()),
        |read, _| {
            running(read)
                .map(|(lb, view)| TcpLbDetail::of(read, lb, &view))
                .collect()
        },
    )
}
