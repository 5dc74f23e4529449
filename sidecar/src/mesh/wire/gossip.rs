//! What nodes of our own kind say to each other in the hash of `search` and `inform`.
//!
//! To the original it is a hash that differs from its own: it answers such a `search` with `inform`. It is
//! never sent one, since it does not say that it gossips.

use std::fmt::{self, Display, Formatter, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use sha2::{Digest, Sha512};

use super::MAX_NAME;

/// No base64 begins with it. The number is the format's.
const PREFIX: &str = "#1,";

/// A node that is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Its endpoint.
    pub endpoint: SocketAddr,
    /// The teller itself holds it to be down; else it only looks into it.
    pub down: bool,
}

impl Missed {
    /// The bytes that it takes in [`Gossip::text`].
    pub fn size(self) -> usize {
        self.to_string().len()
    }
}

/// As it stands in the text.
impl Display for Missed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mark = if self.down { "-" } else { "" };
        write!(f, ",{mark}{}", self.endpoint)
    }
}

/// What a node knows, as digests, and whom it misses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gossip {
    /// The [`digest`]s of all nodes that it holds to be up, itself included, added up.
    pub nodes: u64,
    /// Those of all their lists.
    pub services: u64,
    /// Nodes that do not answer it, or somebody.
    pub missed: Vec<Missed>,
}

impl Gossip {
    /// The bytes that the text has for those who are missed: two digests and a comma precede them.
    pub const ROOM: usize = MAX_NAME - PREFIX.len() - 33;

    /// The text that stands for the hash, with as many of the missed as fit.
    pub fn text(&self) -> Arc<str> {
        let mut text = format!("{PREFIX}{:016x},{:016x}", self.nodes, self.services);
        for missed in &self.missed {
            let before = text.len();
            // Writing to a String cannot fail.
            let _ = write!(text, "{missed}");
            if text.len() > MAX_NAME {
                text.truncate(before);
                break;
            }
        }
        text.into()
    }

    /// Reads the hash of a datagram; none where it is a hash, or gossip in another format.
    pub fn parse(hash: &str) -> Option<Self> {
        let mut parts = hash.strip_prefix(PREFIX)?.split(',');
        let mut digest = || u64::from_str_radix(parts.next()?, 16).ok();
        let (nodes, services) = (digest()?, digest()?);
        let missed = parts.map(|part| {
            let endpoint = part.strip_prefix('-');
            Some(Missed {
                endpoint: endpoint.unwrap_or(part).parse().ok()?,
                down: endpoint.is_some(),
            })
        });
        let missed = missed.collect::<Option<_>>()?;
        Some(Self {
            nodes,
            services,
            missed,
        })
    }
}

/// A short digest of a text. Sums of them tell apart sets of texts that differ by accident.
pub(in crate::mesh) fn digest(text: &str) -> u64 {
    let long = Sha512::digest(text.as_bytes());
    long.iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
