//! Datagrams, sealed if there is a key.

use std::net::SocketAddr;
use std::time::Duration;

use super::envelope::Kind;
use super::{Admission, MeshKey, Refusal, Refusals};
use crate::mesh::wire::Datagram;

/// A datagram that can be used.
#[derive(Debug)]
pub(in crate::mesh) enum Heard {
    /// It counts.
    Message(Datagram),
    /// A node with the key has sent it once, maybe long ago: that node is to be asked.
    Hint(Datagram),
}

/// The bytes of a datagram between these UDP addresses.
pub(in crate::mesh) fn encode(
    key: Option<&MeshKey>,
    datagram: &Datagram,
    from: SocketAddr,
    to: SocketAddr,
) -> Vec<u8> {
    let plain = datagram.encode();
    match key {
        Some(key) => key.seal_datagram(from, to, &plain),
        None => plain,
    }
}

/// Reads a datagram between these UDP addresses, and notes why it cannot be used.
pub(in crate::mesh) fn read(
    key: Option<&MeshKey>,
    refusals: &Refusals,
    bytes: &[u8],
    (from, to): (SocketAddr, SocketAddr),
    now: Duration,
) -> Option<Heard> {
    let refused = |why| {
        refusals.note(from.ip(), why);
        None
    };
    let Some(key) = key else {
        return match Kind::of(bytes) {
            Some(_) => refused(Refusal::Sealed),
            None => Datagram::parse(bytes).ok().map(Heard::Message),
        };
    };
    let Some(opened) = key.open_datagram(from, to, bytes) else {
        return match Kind::of(bytes) {
            Some(_) => refused(Refusal::OtherKey),
            None if Datagram::parse(bytes).is_ok() => refused(Refusal::Plain),
            None => None,
        };
    };
    let datagram = Datagram::parse(&opened.content).ok()?;
    let endpoint = SocketAddr::new(from.ip().to_canonical(), datagram.tcp_port);
    match key.admit(endpoint, &opened, now) {
        Admission::Counts => Some(Heard::Message(datagram)),
        Admission::Hint => {
            // Counted as well, although it is of use.
            refusals.note(from.ip(), Refusal::UnknownBoot);
            Some(Heard::Hint(datagram))
        }
        Admission::Asked => refused(Refusal::UnknownBoot),
        Admission::Replayed => refused(Refusal::Replayed),
    }
}
