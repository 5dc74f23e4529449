//! Of whom to tell others that they are missed, and how often yet.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::mesh::wire::Missed;

/// The most rumours at a time. More are lost, and the nodes are found by their other neighbours.
const MAX_RUMOURS: usize = 1024;
/// The most that one datagram has room for.
const MAX_TOLD: usize = 12;

#[derive(Debug)]
struct Rumour {
    /// How often it is still to be told.
    left: u32,
    down: bool,
}

/// What is told of nodes that are missed.
#[derive(Debug, Default)]
pub(super) struct Rumours(BTreeMap<SocketAddr, Rumour>);

impl Rumours {
    /// Takes up that a node is looked for; where that is told already it goes on as it was.
    pub(super) fn doubt(&mut self, of: SocketAddr, times: u32) {
        if self.0.len() < MAX_RUMOURS {
            let rumour = Rumour {
                left: times,
                down: false,
            };
            self.0.entry(of).or_insert(rumour);
        }
    }

    /// Takes up that a node is down. False where that is told already.
    pub(super) fn down(&mut self, of: SocketAddr, times: u32) -> bool {
        if self.0.len() >= MAX_RUMOURS {
            return false;
        }
        let rumour = Rumour {
            left: times,
            down: true,
        };
        self.0.insert(of, rumour).is_none_or(|before| !before.down)
    }

    /// It has proved to be wrong.
    pub(super) fn quash(&mut self, of: SocketAddr) {
        self.0.remove(&of);
    }

    /// What to tell the next node: the newest first.
    pub(super) fn tell(&mut self) -> Vec<Missed> {
        let mut all: Vec<(u32, SocketAddr)> = self.0.iter().map(|(of, rumour)| (rumour.left, *of)).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        all.truncate(MAX_TOLD);
        let told = all.into_iter().filter_map(|(_, endpoint)| {
            let rumour = self.0.get_mut(&endpoint)?;
            let down = rumour.down;
            rumour.left = rumour.left.saturating_sub(1);
            if rumour.left == 0 {
                self.0.remove(&endpoint);
            }
            Some(Missed { endpoint, down })
        });
        told.collect()
    }
}
