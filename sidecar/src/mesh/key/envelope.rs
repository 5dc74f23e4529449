//! A sealed message: kind (1 byte), nonce (24), for a request the port of the sender's exchange server (2) and with a
//! proof also the nonce of the challenge (24), then the encrypted content with its tag (16).

use std::net::{IpAddr, SocketAddr};

use super::keys::Keys;

/// Length of a nonce, in bytes.
pub const NONCE: usize = 24;
/// Length of the authentication tag, in bytes.
const TAG: usize = 16;
/// What sealing adds to a datagram, in bytes.
pub const DATAGRAM_OVERHEAD: usize = 1 + NONCE + TAG;
/// What sealing adds at most to the body of an exchange, in bytes: that of a proof is the longest.
pub const EXCHANGE_OVERHEAD: usize = 1 + NONCE + 2 + NONCE + TAG;

/// What a sealed message is. Its byte comes first on the wire: it is no `$`, with which a plain datagram starts, and no
/// character with which JSON or any text in UTF-8 can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A datagram.
    Datagram = 0x81,
    /// The request of an exchange.
    Question = 0x82,
    /// The request of an exchange, repeated as the answer to a challenge.
    Proof = 0x83,
    /// The answer to a request.
    Answer = 0x84,
    /// The answer to a request of an unknown boot number: asks for a proof.
    Challenge = 0x85,
    /// The answer of a node that leaves.
    Leaving = 0x86,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Datagram,
        Self::Question,
        Self::Proof,
        Self::Answer,
        Self::Challenge,
        Self::Leaving,
    ];

    /// The kind of a sealed message; `None` if the bytes are not one.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let first = bytes.first()?;
        Self::ALL.into_iter().find(|kind| *kind as u8 == *first)
    }
}

/// The number of a message: no two messages that are sealed with one key have the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nonce {
    /// The sender's boot number, random at its start.
    pub boot: u64,
    /// Counts the sender's messages.
    pub counter: u64,
    /// Random, in case that two boot numbers are the same.
    pub random: u64,
}

impl Nonce {
    fn bytes(self) -> [u8; NONCE] {
        let mut bytes = [0; NONCE];
        for (part, to) in [self.boot, self.counter, self.random]
            .into_iter()
            .zip(bytes.chunks_exact_mut(8))
        {
            to.copy_from_slice(&part.to_be_bytes());
        }
        bytes
    }

    fn read(bytes: [u8; NONCE]) -> Self {
        let (parts, _) = bytes.as_chunks::<8>();
        let part = |index: usize| parts.get(index).copied().map_or(0, u64::from_be_bytes);
        Self {
            boot: part(0),
            counter: part(1),
            random: part(2),
        }
    }
}

/// What is authenticated but not sent, because both sides know it.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The sender: of a datagram the address and port that it comes from, of an exchange its node's endpoint.
    pub from: SocketAddr,
    /// The receiver: of a datagram the address and port that it arrives at, of an exchange its node's endpoint.
    pub to: SocketAddr,
    /// The path of an exchange; empty for a datagram.
    pub path: &'a str,
    /// The nonce of the message that this one answers, if it answers one.
    pub answers: Option<Nonce>,
}

impl Context<'_> {
    fn bytes(&self, kind: Kind) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + 2 * (16 + 2) + NONCE + self.path.len());
        bytes.push(kind as u8);
        for address in [self.from, self.to] {
            let ip = match address.ip().to_canonical() {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            bytes.extend_from_slice(&ip.octets());
            bytes.extend_from_slice(&address.port().to_be_bytes());
        }
        // The kind decides if it is there.
        if let Some(nonce) = self.answers {
            bytes.extend_from_slice(&nonce.bytes());
        }
        bytes.extend_from_slice(self.path.as_bytes());
        bytes
    }
}

/// The content of a message that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub nonce: Nonce,
    /// What was sealed.
    pub content: Vec<u8>,
}

/// A sealed request whose sender's port has been read, and nothing authenticated yet.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    kind: Kind,
    nonce: [u8; NONCE],
    /// The port of the sender's exchange server.
    pub port: u16,
    /// The nonce of the challenge that it answers.
    pub challenge: Option<Nonce>,
    sealed: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads the parts of a request that are not encrypted.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let kind = Kind::of(bytes)?;
        let (nonce, rest) = bytes.get(1..)?.split_first_chunk()?;
        let (port, rest) = rest.split_first_chunk()?;
        let (challenge, sealed) = match kind {
            Kind::Question => (None, rest),
            Kind::Proof => {
                let (challenge, rest) = rest.split_first_chunk()?;
                (Some(Nonce::read(*challenge)), rest)
            }
            Kind::Datagram | Kind::Answer | Kind::Challenge | Kind::Leaving => return None,
        };
        Some(Self {
            kind,
            nonce: *nonce,
            port: u16::from_be_bytes(*port),
            challenge,
            sealed,
        })
    }

    /// Opens it; `None` if no key fits, or anything of it or of its context was changed.
    #[must_use]
    pub fn open(&self, keys: &Keys, context: Context<'_>) -> Option<Opened> {
        let content = keys.open(self.nonce, &context.bytes(self.kind), self.sealed)?;
        Some(Opened {
            nonce: Nonce::read(self.nonce),
            content,
        })
    }
}

/// Seals the request of an exchange; with a challenge to answer, as its proof.
#[must_use]
pub fn seal_request(keys: &Keys, nonce: Nonce, context: Context<'_>, content: &[u8]) -> Vec<u8> {
    let kind = match context.answers {
        Some(_) => Kind::Proof,
        None => Kind::Question,
    };
    let mut bytes = Vec::with_capacity(content.len() + EXCHANGE_OVERHEAD);
    bytes.push(kind as u8);
    bytes.extend_from_slice(&nonce.bytes());
    bytes.extend_from_slice(&context.from.port().to_be_bytes());
    if let Some(challenge) = context.answers {
        bytes.extend_from_slice(&challenge.bytes());
    }
    keys.seal(nonce.bytes(), &context.bytes(kind), content, &mut bytes);
    bytes
}

/// Seals a message that is no request.
#[must_use]
pub fn seal(keys: &Keys, kind: Kind, nonce: Nonce, context: Context<'_>, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + DATAGRAM_OVERHEAD);
    bytes.push(kind as u8);
    bytes.extend_from_slice(&nonce.bytes());
    keys.seal(nonce.bytes(), &context.bytes(kind), content, &mut bytes);
    bytes
}

/// Opens a message of this kind, which is no request; `None` if it is of another kind, no key fits, or anything of it or of
/// its context was changed.
#[must_use]
pub fn open(keys: &Keys, kind: Kind, context: Context<'_>, bytes: &[u8]) -> Option<Opened> {
    if Kind::of(bytes) != Some(kind) {
        return None;
    }
    let (nonce, sealed) = bytes.get(1..)?.split_first_chunk()?;
    let content = keys.open(*nonce, &context.bytes(kind), sealed)?;
    Some(Opened {
        nonce: Nonce::read(*nonce),
        content,
    })
}
