//! Events: the input of the state machine. Actions: its output.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::targets::Search;
use crate::balance::service::Offer;
use crate::fault::Fault;
use crate::interface::Networks;
use crate::mesh::directory::Cut;
use crate::mesh::wire::{Answer, Datagram, Dropped, Node, Request};

/// An input of the state machine.
#[derive(Debug)]
pub enum Event {
    /// A deadline has passed, see [`super::Protocol::next_deadline`]. The first event of this kind starts the node.
    Wake,
    /// A datagram has arrived.
    Datagram {
        /// The packet's source address.
        from: IpAddr,
        /// Its content.
        datagram: Datagram,
    },
    /// This node is said to be there, by a datagram that may be a copy of an old one: it is asked, and nothing else changes.
    /// At most once a second for each endpoint.
    Hint(Node),
    /// An exchange that an action asked for has ended.
    Answered {
        /// The action's id.
        id: u64,
        /// The answer, or why there is none.
        outcome: Result<Answer, Failure>,
    },
    /// The peer at this endpoint, whose answer comes next, has sent the header that announces gossip.
    Gossips(SocketAddr),
    /// A peer has closed its kept connection, see [`super::Protocol::keeps_connection`].
    Disconnected(SocketAddr),
    /// The probe that was just to be sent to this address was not, for a fault of this machine.
    Unsent(SocketAddr),
    /// The local instances have changed to these.
    Offers(Vec<Offer>),
    /// The node has another address, or has its own back. Until this event, its caller has sent nothing and let no
    /// time pass since the address was lost.
    Readdressed {
        /// The node from now on.
        own: Node,
        /// Its search network.
        search: Search,
    },
    /// The addresses and networks of this machine have changed to these.
    Networks(Networks),
    /// The node leaves: it notifies all known nodes and does nothing more.
    Leave,
}

/// Why an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The peer's kernel or the network refused it: nothing listens there.
    Refused,
    /// No answer within the timeout.
    Timeout,
    /// A malformed answer, or an error status.
    Bad,
    /// It was not made, for a fault of this machine: it says nothing about the peer.
    Own,
    /// The peer answered that it leaves the mesh.
    Leaving,
}

impl Failure {
    /// The text for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Timeout => "no answer",
            Self::Bad => "bad answer",
            Self::Own => "a fault of this machine",
            Self::Leaving => "leaving",
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Peer | Fault::Unreachable => Self::Refused,
            Fault::TimedOut => Self::Timeout,
            Fault::Own(_) => Self::Own,
        }
    }
}

/// Why a node that was up is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It sent `leave`, and its answer, or its closed port, confirmed that.
    Left,
    /// Its checks or probes failed, the last one for this reason.
    Down(Failure),
    /// Another node answers in its place.
    Replaced,
}

/// An output of the state machine, for the caller to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send a datagram.
    Send {
        /// The receiver.
        to: SocketAddr,
        /// The content.
        datagram: Datagram,
    },
    /// Make an exchange, and report its end as [`Event::Answered`].
    Exchange {
        /// The id for that event.
        id: u64,
        /// The peer's endpoint.
        to: SocketAddr,
        /// The request.
        request: Request,
        /// Timeout for the whole exchange.
        timeout: Duration,
    },
    /// Report that a peer that was up is gone.
    Gone {
        /// The peer.
        node: Node,
        /// The reason.
        why: Departure,
    },
    /// Report that a `leave` was not sent by the peer in whose name it came.
    LeaveRefuted(Node),
    /// Report that lists of services were cut, because the directory is full.
    Cut(Cut),
    /// Report that a node was forgotten to make room for one at an address with fewer.
    Evicted(Node),
    /// Report what was left out of a message.
    LeftOut {
        /// Its sender.
        from: IpAddr,
        /// What was left out.
        dropped: Dropped,
    },
    /// Publish membership and directory, which have changed.
    Publish,
}
