//! The connections that a server has. At their limit the oldest silent one makes room, so that clients without the
//! password cannot keep others out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// What a connection has done to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing: it has not authenticated, or its password was wrong. Where no password is needed, it has sent no request.
    Silent,
    /// Its password waits to be checked, which takes a bounded time.
    Checking,
    /// It has authenticated, or sent a request where no password is needed.
    Known,
}

/// The connections of one server, oldest first, without those that were closed to make room.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<BTreeMap<i64, (Standing, CancellationToken)>>);

/// The place of a connection among those of its server; dropped with the connection.
#[derive(Debug)]
pub(super) struct Place {
    id: i64,
    connections: Arc<Connections>,
    /// Cancelled when the connection must make room.
    pub(super) evicted: CancellationToken,
}

impl Connections {
    /// Adds a connection, which is silent. Ids grow with time.
    pub(super) fn enter(self: &Arc<Self>, id: i64) -> Place {
        let evicted = CancellationToken::new();
        self.all().insert(id, (Standing::Silent, evicted.clone()));
        Place {
            id,
            connections: Arc::clone(self),
            evicted,
        }
    }

    /// The number of open connections.
    pub(super) fn count(&self) -> u64 {
        self.all().len() as u64
    }

    /// Closes the oldest silent connection. Returns whether there will be room soon: one is closed, or a password is being
    /// checked, after which its connection is silent or its client has what it came for.
    pub(super) fn make_room(&self) -> bool {
        let mut all = self.all();
        let mut silent = all
            .iter()
            .filter(|(_, (standing, _))| *standing == Standing::Silent);
        if let Some(id) = silent.next().map(|(id, _)| *id)
            && let Some((_, evicted)) = all.remove(&id)
        {
            evicted.cancel();
            return true;
        }
        all.values().any(|(standing, _)| *standing == Standing::Checking)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<i64, (Standing, CancellationToken)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) fn set(&self, standing: Standing) {
        // A connection that makes room is no longer among them.
        if let Some((current, _)) = self.connections.all().get_mut(&self.id) {
            *current = standing;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.all().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_silent_connection_makes_room() {
        let connections = Arc::new(Connections::default());
        let places: Vec<Place> = (1..=4).map(|id| connections.enter(id)).collect();
        places[0].set(Standing::Known);
        places[1].set(Standing::Checking);
        let evicted = || {
            places
                .iter()
                .map(|place| place.evicted.is_cancelled())
                .collect::<Vec<_>>()
        };
        assert!(connections.make_room());
        assert_eq!(evicted(), [false, false, true, false]);
        assert!(connections.make_room());
        assert_eq!(evicted(), [false, false, true, true]);
        assert!(connections.make_room(), "the check ends soon");
        places[1].set(Standing::Silent);
        assert!(connections.make_room());
        assert_eq!(evicted(), [false, true, true, true]);
        assert!(!connections.make_room(), "the others stay");
        drop(places);
        assert!(connections.all().is_empty());
    }
}
