//! What comes and goes at a listener, and what was counted.

use std::net::SocketAddr;

use super::Found;
use crate::control::command::{Counted, Figure as Which, List, ListenerName};
use crate::control::controller::Controller;
use crate::control::http::shape::shapes;
use crate::control::reply::{self, Reply};
use crate::proxy::SessionView;

shapes! {
    /// An address that a listener is bound to.
    struct BindServer {
        /// The address.
        address: SocketAddr,
    }

    /// Either half of a session.
    struct Connection {
        /// The client's address, or the instance's.
        remote: SocketAddr,
        /// The sidecar's own.
        local: SocketAddr,
    }

    /// A client's connection and the one to its instance.
    struct Session {
        /// The client's address.
        client: SocketAddr,
        /// The sidecar's address that the client is connected to.
        local: SocketAddr,
        /// The instance's address; null while there is none.
        instance: Option<SocketAddr>,
        /// The sidecar's address that the instance is connected to; null while there is none.
        instance_local: Option<SocketAddr>,
        /// The backends' name, or what a SOCKS5 client asked for; empty until that is known.
        destination: String,
        /// Bytes passed to the instance so far.
        bytes_in: u64,
        /// Bytes passed to the client so far.
        bytes_out: u64,
        /// Since it was accepted, in milliseconds.
        age: u64,
    }

    /// Something counted.
    struct Figure {
        /// How many since the beginning: bytes or connections.
        value: u64,
    }
}

fn at(controller: &Controller, listener: &ListenerName) -> Found<Vec<SessionView>> {
    Ok(controller.door(listener)?.listener().sessions())
}

pub(in crate::control::http) fn bind_servers(
    controller: &Controller,
    listener: &ListenerName,
) -> Found<Vec<BindServer>> {
    let address = controller.door(listener)?.listener().local_addr();
    Ok(vec![BindServer { address }])
}

pub(in crate::control::http) fn connections(
    controller: &Controller,
    listener: &ListenerName,
) -> Found<Vec<Connection>> {
    let halves = |session: SessionView| {
        let accepted = Connection {
            remote: session.client,
            local: session.local,
        };
        let made = session.instance.zip(session.instance_local);
        std::iter::once(accepted).chain(made.map(|(remote, local)| Connection { remote, local }))
    };
    Ok(at(controller, listener)?.into_iter().flat_map(halves).collect())
}

pub(in crate::control::http) fn sessions(
    controller: &Controller,
    listener: &ListenerName,
) -> Found<Vec<Session>> {
    let show = |session: SessionView| Session {
        client: session.client,
        local: session.local,
        instance: session.instance,
        instance_local: session.instance_local,
        destination: session.destination,
        bytes_in: session.to_instance,
        bytes_out: session.to_client,
        age: u64::try_from(session.age.as_millis()).unwrap_or(u64::MAX),
    };
    Ok(at(controller, listener)?.into_iter().map(show).collect())
}

pub(in crate::control::http) fn figure(controller: &Controller, figure: Which, of: Counted) -> Found<Figure> {
    let what = List::Figure { figure, of };
    let value = match reply::read(controller, &what, false)? {
        Reply::Count(value) => value,
        Reply::Done | Reply::Unsaved(_) | Reply::Lines(_) => 0,
    };
    Ok(Figure { value })
}
