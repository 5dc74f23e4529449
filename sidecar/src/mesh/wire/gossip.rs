//! What gossiping nodes write in place of the hash of `search` and `inform`.
//!
//! To an original node it is a hash that differs from its own, so that it answers such a `search` with `inform`. It is
//! never sent one, since it does not announce that it gossips.

use std::fmt::{self, Display, Formatter, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use sha2::{Digest, Sha512};

use super::MAX_NAME;

/// No base64 begins with it. The number is the format's.
const PREFIX: &str = "#1,";

/// A node that the sender suspects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// Its endpoint.
    pub endpoint: SocketAddr,
    /// The sender has it as down; else it is still probing it.
    pub down: bool,
}

impl Suspect {
    /// The bytes that it takes in [`Gossip::text`].
    pub fn size(self) -> usize {
        self.to_string().len()
    }
}

/// As it stands in the text.
impl Display for Suspect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mark = if self.down { "-" } else { "" };
        write!(f, ",{mark}{}", self.endpoint)
    }
}

/// Digests of what a node knows, and the nodes that it suspects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gossip {
    /// The sum of the [`digest`]s of all nodes that it has as up, itself included.
    pub nodes: u64,
    /// The sum of those of all their lists.
    pub services: u64,
    /// Nodes that do not answer it, or another node.
    pub suspects: Vec<Suspect>,
}

impl Gossip {
    /// Bytes of the text that are left for suspects: two digests and a comma precede them.
    pub const ROOM: usize = MAX_NAME - PREFIX.len() - 33;

    /// The text that stands for the hash, with as many of the suspects as fit.
    pub fn text(&self) -> Arc<str> {
        let mut text = format!("{PREFIX}{:016x},{:016x}", self.nodes, self.services);
        for suspect in &self.suspects {
            let before = text.len();
            // Writing to a String cannot fail.
            let _ = write!(text, "{suspect}");
            if text.len() > MAX_NAME {
                text.truncate(before);
                break;
            }
        }
        text.into()
    }

    /// Reads the hash of a datagram; none if it is a hash, or gossip in another format.
    pub fn parse(hash: &str) -> Option<Self> {
        let mut parts = hash.strip_prefix(PREFIX)?.split(',');
        let mut digest = || u64::from_str_radix(parts.next()?, 16).ok();
        let (nodes, services) = (digest()?, digest()?);
        let suspects = parts.map(|part| {
            let endpoint = part.strip_prefix('-');
            Some(Suspect {
                endpoint: endpoint.unwrap_or(part).parse().ok()?,
                down: endpoint.is_some(),
            })
        });
        let suspects = suspects.collect::<Option<_>>()?;
        Some(Self {
            nodes,
            services,
            suspects,
        })
    }
}

/// A short digest of a text. Sums of them differ for sets of texts that differ by accident.
pub(in crate::mesh) fn digest(text: &str) -> u64 {
    let long = Sha512::digest(text.as_bytes());
    long.iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
