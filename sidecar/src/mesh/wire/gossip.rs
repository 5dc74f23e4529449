//! Gossip: what a node of our own kind sends in place of the hash of `search` and `inform`.
//!
//! To an original node it is a hash that differs from its own, so that it answers such a `search` with `inform`. It
//! is not sent to original nodes, because they do not announce that they gossip.

use std::fmt::{self, Display, Formatter, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use sha2::{Digest, Sha512};

use super::MAX_NAME;

/// The prefix of all gossip: no base64 begins with it. The number is the version of the format.
const PREFIX: &str = "#1,";

/// The state of a node in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportedState {
    /// The sender still probes it.
    Suspect,
    /// The sender has it as down.
    Down,
}

/// A report that a node does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The node's endpoint.
    pub endpoint: SocketAddr,
    /// Its state.
    pub state: ReportedState,
}

impl Report {
    /// Its size in [`Gossip::text`], in bytes.
    pub fn size(self) -> usize {
        self.to_string().len()
    }
}

/// Its form in the text.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mark = match self.state {
            ReportedState::Suspect => "",
            ReportedState::Down => "-",
        };
        write!(f, ",{mark}{}", self.endpoint)
    }
}

/// Digests of the sender's state, and its reports of other nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gossip {
    /// The sum of the [`digest`]s of all nodes that it has as up, itself included.
    pub nodes: u64,
    /// The sum of the digests of all their lists.
    pub services: u64,
    /// Nodes that do not answer the sender, or another node.
    pub reports: Vec<Report>,
}

impl Gossip {
    /// Room for reports in the text, in bytes: two digests and a comma precede them.
    pub const ROOM: usize = MAX_NAME - PREFIX.len() - 33;

    /// The text in place of the hash, with as many of the reports as fit.
    pub fn text(&self) -> Arc<str> {
        let mut text = format!("{PREFIX}{:016x},{:016x}", self.nodes, self.services);
        for report in &self.reports {
            let before = text.len();
            // Writing to a String cannot fail.
            let _ = write!(text, "{report}");
            if text.len() > MAX_NAME {
                text.truncate(before);
                break;
            }
        }
        text.into()
    }

    /// Parses the hash of a datagram; none if it is a hash, or gossip in another format.
    pub fn parse(hash: &str) -> Option<Self> {
        let mut parts = hash.strip_prefix(PREFIX)?.split(',');
        let mut digest = || u64::from_str_radix(parts.next()?, 16).ok();
        let (nodes, services) = (digest()?, digest()?);
        let reports = parts.map(|part| {
            let (endpoint, state) = match part.strip_prefix('-') {
                Some(endpoint) => (endpoint, ReportedState::Down),
                None => (part, ReportedState::Suspect),
            };
            let endpoint = endpoint.parse().ok()?;
            Some(Report { endpoint, state })
        });
        let reports = reports.collect::<Option<_>>()?;
        Some(Self {
            nodes,
            services,
            reports,
        })
    }
}

/// A short digest of a text. Equal sums mean equal sets of texts, except by accident.
pub(in crate::mesh) fn digest(text: &str) -> u64 {
    let long = Sha512::digest(text.as_bytes());
    long.iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
