//! Open connections of a listener by the address of the other side: a client, an instance, or a host that is both. Pure.
//!
//! A peer that connects to a listener, and that the listener connects to, may be another load balancer which leads back here.
//! Each connection would then be made again, until one of the two is out of descriptors: the number of a peer's connections
//! is limited as long as the listener has one to it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Open connections from a peer while the listener has connections to it. Lower ends a loop sooner; higher serves more
/// clients of a host that also has an instance.
pub const MAX_FROM_INSTANCE: u32 = 256;

/// Number of locks. Connections start and end on all worker threads; with this many locks they rarely contend.
const SHARDS: usize = 16;

/// Why a client gets no further connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooMany {
    /// The client has as many as the listener allows one.
    OfClient,
    /// The client has [`MAX_FROM_INSTANCE`], and this instance of its address has one from here.
    OfInstance(SocketAddr),
}

/// Open connections with one address.
#[derive(Debug, Default)]
struct Peer {
    from: u32,
    to: u32,
    /// The instance that was connected to last.
    instance: Option<SocketAddr>,
}

#[derive(Debug, Default)]
pub(super) struct Peers {
    shards: [Mutex<HashMap<IpAddr, Peer>>; SHARDS],
}

impl Peers {
    /// Counts a connection from a client, unless it is beyond `limit` (0 is none), or may lead back here. One from this
    /// machine itself does not: `is_local`.
    ///
    /// # Errors
    /// When it is not counted.
    pub(super) fn enter(&self, client: IpAddr, is_local: bool, limit: u32) -> Result<(), TooMany> {
        let mut shard = self.shard(client);
        let peer = shard.entry(client).or_default();
        if limit > 0 && peer.from >= limit {
            return Err(TooMany::OfClient);
        }
        match peer.instance.filter(|_| peer.to > 0 && !is_local) {
            Some(instance) if peer.from >= MAX_FROM_INSTANCE => Err(TooMany::OfInstance(instance)),
            _ => {
                peer.from += 1;
                Ok(())
            }
        }
    }

    /// Counts the end of a client's connection.
    pub(super) fn leave(&self, client: IpAddr) {
        self.change(client, |peer| peer.from -= 1);
    }

    /// Counts a connection to an instance.
    pub(super) fn connected(&self, instance: SocketAddr) {
        self.change(instance.ip().to_canonical(), |peer| {
            peer.to += 1;
            peer.instance = Some(instance);
        });
    }

    /// Counts the end of a connection to an instance.
    pub(super) fn disconnected(&self, instance: SocketAddr) {
        self.change(instance.ip().to_canonical(), |peer| peer.to -= 1);
    }

    fn change(&self, ip: IpAddr, change: impl FnOnce(&mut Peer)) {
        let mut shard = self.shard(ip);
        let peer = shard.entry(ip).or_default();
        change(peer);
        if peer.from == 0 && peer.to == 0 {
            shard.remove(&ip);
        }
    }

    fn shard(&self, ip: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, Peer>> {
        let mut hasher = DefaultHasher::new();
        ip.hash(&mut hasher);
        let index = (hasher.finish() % SHARDS as u64) as usize;
        // A panic while the lock is held leaves no change half done.
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(index: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, index])
    }

    fn instance(index: u8) -> SocketAddr {
        SocketAddr::new(ip(index), 80)
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// As often as one address may, and once more.
        Enter {
            from: u8,
            count: u32,
            is_local: bool,
        },
        Leave {
            from: u8,
            count: usize,
        },
        Connected(u8),
        Disconnected(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..3u8, prop_oneof![1..5u32, 250..260u32], prop::bool::weighted(0.2))
                .prop_map(|(from, count, is_local)| Step::Enter { from, count, is_local }),
            2 => (0..3u8, prop_oneof![1..5usize, 1..300usize]).prop_map(|(from, count)| Step::Leave { from, count }),
            2 => (0..3u8).prop_map(Step::Connected),
            1 => (0..3u8).prop_map(Step::Disconnected),
        ]
    }

    proptest! {
        #[test]
        fn connections_are_refused_exactly_at_the_limits(
            steps in prop::collection::vec(step(), 1..60), limit in prop::sample::select(vec![0u32, 1, 4, 300]),
        ) {
            let peers = Peers::default();
            let (mut from, mut to) = ([0u32; 3], [0u32; 3]);
            for step in steps {
                match step {
                    Step::Enter { from: client, count, is_local } => for _ in 0..count {
                        let open = &mut from[usize::from(client)];
                        let expected = if limit > 0 && *open >= limit {
                            Err(TooMany::OfClient)
                        } else if to[usize::from(client)] > 0 && !is_local && *open >= MAX_FROM_INSTANCE {
                            Err(TooMany::OfInstance(instance(client)))
                        } else {
                            *open += 1;
                            Ok(())
                        };
                        prop_assert_eq!(peers.enter(ip(client), is_local, limit), expected);
                    },
                    Step::Leave { from: client, count } => {
                        for _ in 0..count.min(from[usize::from(client)] as usize) {
                            from[usize::from(client)] -= 1;
                            peers.leave(ip(client));
                        }
                    }
                    Step::Connected(at) => {
                        to[usize::from(at)] += 1;
                        peers.connected(instance(at));
                    }
                    Step::Disconnected(at) => {
                        if to[usize::from(at)] > 0 {
                            to[usize::from(at)] -= 1;
                            peers.disconnected(instance(at));
                        }
                    }
                }
                let held: usize = peers.shards.iter().map(|s| s.lock().unwrap().len()).sum();
                let expected = (0..3).filter(|i| from[*i] + to[*i] > 0).count();
                prop_assert_eq!(held, expected, "addresses without connections are forgotten");
            }
        }
    }
}
