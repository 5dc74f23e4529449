//! The open connections of a listener. The listener's permits bound their number.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::session::Session;

/// Number of locks. Connections start and end on all worker threads; with this many locks they rarely contend.
const SHARDS: usize = 16;

type Shard = HashMap<u64, Arc<Session>>;

#[derive(Debug, Default)]
pub(super) struct Sessions {
    next_id: AtomicU64,
    shards: [Mutex<Shard>; SHARDS],
}

impl Sessions {
    /// Adds a connection.
    pub(super) fn begin(&self, client: SocketAddr, local: SocketAddr) -> Arc<Session> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let session = Arc::new(Session::new(id, client, local));
        self.shard(id).insert(id, Arc::clone(&session));
        session
    }

    pub(super) fn end(&self, session: &Session) {
        self.shard(session.id).remove(&session.id);
    }

    /// The open connections, in the order they were accepted, as a copy that holds no lock.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(lock(shard).values().cloned());
        }
        all.sort_unstable_by_key(|session| session.id);
        all
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, Shard> {
        lock(&self.shards[(id % SHARDS as u64) as usize])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A panic while the lock is held leaves no change half done.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
