//! Counters of connections and bytes, for a listener, a server or a server group.

use std::sync::atomic::{AtomicU64, Ordering};

/// Direction of bytes in a proxied connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the instance.
    ToInstance,
    /// From the instance to the client.
    ToClient,
}

/// Connections and bytes. Reading them takes no lock.
#[derive(Debug, Default)]
pub struct Counters {
    active: AtomicU64,
    connections: AtomicU64,
    to_instance: AtomicU64,
    to_client: AtomicU64,
}

/// A snapshot of [`Counters`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Open connections, including those being established.
    pub active: u64,
    /// Connections established (by a listener: accepted) since the start.
    pub connections: u64,
    /// Bytes passed from clients to instances.
    pub to_instance: u64,
    /// Bytes passed from instances to clients.
    pub to_client: u64,
}

impl Counters {
    /// Reads all the counters.
    pub fn totals(&self) -> Totals {
        Totals {
            active: self.active(),
            connections: self.connections.load(Ordering::Relaxed),
            to_instance: self.to_instance.load(Ordering::Relaxed),
            to_client: self.to_client.load(Ordering::Relaxed),
        }
    }

    /// Open connections.
    pub fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    pub(crate) fn open(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn close(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn established(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn moved(&self, direction: Direction, bytes: u64) {
        match direction {
            Direction::ToInstance => &self.to_instance,
            Direction::ToClient => &self.to_client,
        }
        .fetch_add(bytes, Ordering::Relaxed);
    }
}
