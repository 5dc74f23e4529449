//! [`Breakage::GhostNode`] at work, for the proof that the end-to-end tests notice it.

use std::sync::{Mutex, PoisonError};

use super::view::{Health, NodeHealth};
use crate::breakage::{Breakage, broken};

/// Adds the nodes that were up once and are forgotten, where that was broken on purpose.
pub(super) fn add_ghosts(nodes: &mut Vec<NodeHealth>) {
    static EVER_UP: Mutex<Vec<NodeHealth>> = Mutex::new(Vec::new());
    if !broken(Breakage::GhostNode) {
        return;
    }
    let mut ever = EVER_UP.lock().unwrap_or_else(PoisonError::into_inner);
    for node in nodes.iter().filter(|node| node.health == Health::Up) {
        if !ever.contains(node) {
            ever.push(node.clone());
        }
    }
    for ghost in &*ever {
        if nodes.iter().all(|known| known.node != ghost.node) {
            nodes.push(ghost.clone());
        }
    }
}
