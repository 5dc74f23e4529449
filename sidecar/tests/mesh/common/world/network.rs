//! Properties of the simulated network: loss, delay, and the addresses of its nodes.

use std::net::Ipv4Addr;
use std::ops::Range;

/// The properties of the network.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// The share of datagrams and of requests that are lost.
    pub(crate) loss: f64,
    /// Whether exchanges are carried and counted as TCP does it: lost segments are retransmitted, which takes time.
    /// If not, a lost request is lost, and nothing is counted.
    pub(crate) tcp: bool,
    /// The share of answers that are lost although the request arrived.
    pub(crate) lost_answers: f64,
    /// The share of datagrams that arrive twice.
    pub(crate) duplicates: f64,
    /// One-way delay, in milliseconds.
    pub(crate) delay: Range<u64>,
    /// The share of nodes that gossip; the others behave as the original.
    pub(crate) gossiping: f64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            loss: 0.0,
            tcp: false,
            lost_answers: 0.0,
            duplicates: 0.0,
            delay: 0..3,
            gossiping: 0.0,
        }
    }
}

/// The first address of the nodes, and the network that they search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) network: Ipv4Addr,
    pub(crate) mask: u8,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            network: Ipv4Addr::new(172, 18, 0, 0),
            mask: 24,
        }
    }
}
