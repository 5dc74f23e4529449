//! What goes into the state machine and what comes out.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::balance::service::Offer;
use crate::mesh::wire::{Answer, Datagram, Node, Request};

/// What happens to a node.
#[derive(Debug)]
pub enum Event {
    /// Time has come: see [`super::Protocol::next_deadline`]. The first one starts the node.
    Wake,
    /// A datagram came.
    Datagram {
        /// The packet's source address.
        from: IpAddr,
        /// What was in it.
        datagram: Datagram,
    },
    /// An exchange that an action asked for has ended.
    Answered {
        /// The action's id.
        id: u64,
        /// The answer, or why there is none.
        outcome: Result<Answer, Failure>,
    },
    /// The node at this endpoint, whose answer comes next, says that it gossips: it is of our own kind.
    Gossips(SocketAddr),
    /// A node has closed the connection that was kept to it, see [`super::Protocol::keeps_connection`].
    Disconnected(SocketAddr),
    /// These are the local instances now.
    Offers(Vec<Offer>),
    /// The node goes: tell everybody, and do nothing more.
    Leave,
}

/// Why an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The other side's kernel, or the network, said no: nobody listens there.
    Refused,
    /// No answer in time.
    Timeout,
    /// An answer that is none.
    Bad,
}

/// Why a node that was up is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It said goodbye.
    Left,
    /// Its checks failed, the last one so.
    Down(Failure),
    /// Another node answers in its place.
    Replaced,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send a datagram.
    Send {
        /// Where to.
        to: SocketAddr,
        /// What.
        datagram: Datagram,
    },
    /// Make an exchange, and report its end as [`Event::Answered`].
    Exchange {
        /// What the report is to carry.
        id: u64,
        /// Whom to ask.
        to: SocketAddr,
        /// What to ask.
        request: Request,
        /// How long it may take in all.
        timeout: Duration,
    },
    /// Say that a node which was up is gone.
    Gone {
        /// Which one.
        node: Node,
        /// Why.
        why: Departure,
    },
    /// What the node knows has changed: take [`super::Protocol::view`] and [`super::Protocol::instances`] anew.
    Publish,
}
