//! The mesh key: what is sealed, what of it counts, and nodes that have the key, another one or none.

mod envelope;
mod file;
mod replay;
mod rotation;
mod sockets;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sidecar::mesh::key::{Admission, Asked, Asking, Keys, MeshKey, Question, keys};

const PATH: &str = "/discovery/api/v1/exchange/node";

fn line(number: u8) -> String {
    keys::encode([number; 32])
}

/// Keys of these numbers, in this order.
fn keys(numbers: &[u8]) -> Keys {
    let lines: Vec<String> = numbers.iter().copied().map(line).collect();
    Keys::parse(&lines.join("\n")).unwrap()
}

/// A program of a node, with a boot number of its own.
fn boot(numbers: &[u8]) -> Arc<MeshKey> {
    Arc::new(MeshKey::new(keys(numbers)))
}

fn at(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from(Ipv4Addr::new(192, 0, 2, host)), port)
}

fn asking(from: (&Arc<MeshKey>, SocketAddr), to: SocketAddr) -> Asking {
    from.0.ask(from.1, to, PATH.to_owned())
}

/// A node asks another one, and answers its challenge if there is one. Returns what it sent, and how to answer.
fn introduce(
    from: (&Arc<MeshKey>, SocketAddr),
    to: (&Arc<MeshKey>, SocketAddr),
) -> (Asking, Vec<Vec<u8>>, Asked) {
    let mut asking = asking(from, to.1);
    let mut sent = Vec::new();
    for _ in 0..2 {
        let bytes = asking.request(b"question");
        sent.push(bytes.clone());
        match to.0.open_request(from.1.ip(), to.1, PATH, &bytes) {
            Some(Question::Fresh(content, asked)) => {
                assert_eq!(content, b"question");
                return (asking, sent, asked);
            }
            Some(Question::Unproven { challenge, .. }) => assert!(asking.challenge(&challenge)),
            None => panic!("no key opens a request of a node with the same keys"),
        }
    }
    panic!("a request with a proof does not count");
}

/// Two nodes that know each other's boot numbers.
fn acquainted(one: (&Arc<MeshKey>, SocketAddr), other: (&Arc<MeshKey>, SocketAddr)) {
    let (asking, _, asked) = introduce(one, other);
    assert_eq!(asking.answer(&asked.answer(b"answer")).unwrap(), b"answer");
}

/// What a datagram from a node is worth to another one, at a time; `None` if no key opens it.
fn worth(to: (&MeshKey, SocketAddr), from: SocketAddr, bytes: &[u8], now: Duration) -> Option<Admission> {
    let datagram = to.0.open_datagram(from, to.1, bytes)?;
    Some(to.0.admit(from, &datagram, now))
}
