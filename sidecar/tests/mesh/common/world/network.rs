//! Properties of the simulated network: loss, delay, and where nodes are in it.

use std::net::Ipv4Addr;
use std::ops::Range;

/// How the network behaves.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// The share of datagrams, and of requests, that do not arrive.
    pub(crate) loss: f64,
    /// Exchanges are carried and counted as TCP does it: lost segments are sent again and cost time. Without
    /// it a lost request is lost, and nothing is counted.
    pub(crate) tcp: bool,
    /// The share of answers that do not arrive though the request did.
    pub(crate) lost_answers: f64,
    /// The share of datagrams that arrive twice.
    pub(crate) duplicates: f64,
    /// One way, in milliseconds.
    pub(crate) delay: Range<u64>,
    /// The share of nodes that gossip; the others are as the original.
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

/// Where nodes are numbered from, and how much of it they search.
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
