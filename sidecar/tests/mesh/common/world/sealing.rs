//! A mesh with a key in the simulation: each message is sealed by its sender and opened by its receiver, each with its own
//! boot number and tables. Nothing is decided by it: it shows what sealing costs, so that a build with optimisations does not
//! compare what was opened with what was sealed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sidecar::mesh::key::{Asked, Asking, Keys, MeshKey, Question, keys};

use super::{PORT, Place};

/// The keys of all nodes.
#[derive(Default)]
pub(crate) struct Sealing {
    nodes: HashMap<Place, Arc<MeshKey>>,
    /// Exchanges under way, by asker and asked.
    exchanges: HashMap<(Place, Place), (Asking, Asked)>,
}

fn at(place: Place) -> SocketAddr {
    SocketAddr::new(place, PORT)
}

impl Sealing {
    fn key(&mut self, place: Place) -> Arc<MeshKey> {
        let made = || {
            let keys = Keys::parse(&keys::encode([7; keys::KEY])).expect("a key");
            Arc::new(MeshKey::new(keys))
        };
        self.nodes.entry(place).or_insert_with(made).clone()
    }

    /// Carries a datagram.
    pub(super) fn datagram(&mut self, from: Place, to: Place, bytes: &[u8], now: Duration) {
        let sealed = self.key(from).seal_datagram(at(from), at(to), bytes);
        let receiver = self.key(to);
        let opened = receiver
            .open_datagram(at(from), at(to), &sealed)
            .expect("one key");
        debug_assert_eq!(opened.content, bytes);
        receiver.admit(at(from), &opened, now);
    }

    /// Carries a request, with a challenge and its proof if the nodes do not know each other.
    pub(super) fn request(&mut self, from: Place, to: Place, path: &str, body: &[u8]) {
        let mut asking = self.key(from).ask(at(from), at(to), path.to_owned());
        let receiver = self.key(to);
        for _ in 0..3 {
            let sealed = asking.request(body);
            match receiver
                .open_request(from, at(to), path, &sealed)
                .expect("one key")
            {
                Question::Fresh(content, asked) => {
                    debug_assert_eq!(content, body);
                    self.exchanges.insert((from, to), (asking, asked));
                    return;
                }
                Question::Unproven { challenge, .. } => assert!(asking.challenge(&challenge)),
            }
        }
    }

    /// Carries the answer of `from`.
    pub(super) fn answer(&mut self, from: Place, to: Place, body: &[u8]) {
        if let Some((asking, asked)) = self.exchanges.remove(&(to, from)) {
            let opened = asking.answer(&asked.answer(body)).expect("one key");
            debug_assert_eq!(opened, body);
        }
    }
}
