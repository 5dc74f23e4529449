//! Of whom to tell others that they are missed, and how often yet.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::mesh::wire::{Gossip, Missed};

/// The most rumours at a time. More are lost, and the nodes are found by their other neighbours.
const MAX_RUMOURS: usize = 1024;

/// Some may be missed by chance; those that a cut has taken away are more.
const FEW_RUMOURS: usize = 8;

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

    /// Whether there are so many that most datagrams tell of several.
    pub(super) fn are_many(&self) -> bool {
        self.0.len() > FEW_RUMOURS
    }

    /// It has proved to be wrong.
    pub(super) fn quash(&mut self, of: SocketAddr) {
        self.0.remove(&of);
    }

    /// What to tell the next node, as much as one datagram has room for: the newest first, which are those that
    /// were told the least, so that each has its turn.
    pub(super) fn tell(&mut self) -> Vec<Missed> {
        let mut all: Vec<(u32, SocketAddr)> = self.0.iter().map(|(of, rumour)| (rumour.left, *of)).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        let (mut told, mut room) = (Vec::new(), Gossip::ROOM);
        for (_, endpoint) in all {
            let Some(rumour) = self.0.get_mut(&endpoint) else {
                continue;
            };
            let down = rumour.down;
            let missed = Missed { endpoint, down };
            let Some(left) = room.checked_sub(missed.size()) else {
                break;
            };
            room = left;
            told.push(missed);
            rumour.left = rumour.left.saturating_sub(1);
            if rumour.left == 0 {
                self.0.remove(&endpoint);
            }
        }
        told
    }
}
