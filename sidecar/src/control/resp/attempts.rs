//! Rate limit of wrong passwords, per client address. Pure: the time is passed in.
//!
//! A wrong password delays the next check for the same address, with exponential backoff. Opening many connections does
//! not help a client, and other addresses are not delayed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Delay after the first wrong password; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Maximum delay after a wrong password.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Maximum time that a check is delayed; beyond it the client is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// Time without a wrong password after which the record of an address is dropped.
const MEMORY: Duration = Duration::from_secs(60);
/// Maximum number of addresses that are remembered.
const MAX_PEERS: usize = 1024;

/// Recent wrong passwords, by address.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    peers: HashMap<IpAddr, Peer>,
}

#[derive(Debug)]
struct Peer {
    wrong: u32,
    /// When the next password may be checked.
    next: Instant,
    /// When the record of the address is dropped.
    until: Instant,
}

/// Too many checks of this address are delayed already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Attempts {
    /// Schedules a check; returns the delay until then.
    pub(super) fn schedule(&mut self, peer: IpAddr, now: Instant) -> Result<Duration, TooMany> {
        let Some(peer) = self.peers.get_mut(&group(peer)) else {
            return Ok(Duration::ZERO);
        };
        if peer.until <= now {
            return Ok(Duration::ZERO);
        }
        let next = peer.next.max(now);
        let wait = next - now;
        if wait > LONGEST_WAIT {
            return Err(TooMany);
        }
        peer.next = next + pause(peer.wrong);
        Ok(wait)
    }

    /// Records a wrong password; returns the delay of the answer.
    pub(super) fn wrong(&mut self, peer: IpAddr, now: Instant) -> Duration {
        let key = group(peer);
        if !self.peers.contains_key(&key) && self.peers.len() >= MAX_PEERS {
            self.make_room(now);
        }
        let peer = self.peers.entry(key).or_insert(Peer {
            wrong: 0,
            next: now,
            until: now,
        });
        if peer.until <= now {
            peer.wrong = 0;
        }
        peer.wrong = peer.wrong.saturating_add(1);
        let pause = pause(peer.wrong);
        peer.next = peer.next.max(now + pause);
        peer.until = now + MEMORY;
        pause
    }

    fn make_room(&mut self, now: Instant) {
        self.peers.retain(|_, peer| peer.until > now);
        if self.peers.len() >= MAX_PEERS {
            let oldest = self.peers.iter().min_by_key(|(_, peer)| peer.until);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.peers.remove(&oldest);
            }
        }
    }
}

fn pause(wrong: u32) -> Duration {
    match wrong.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => LONGEST_PAUSE.min(FIRST_PAUSE * (1 << doublings.min(16))),
    }
}

/// The client that is limited: an IPv4 address, or an IPv6 /64 network, which one client may own entirely.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn the_delay_after_wrong_passwords_doubles_up_to_a_limit() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let pauses: Vec<u128> = (0..6).map(|_| attempts.wrong(A, now).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 2000, 2000]);
        assert_eq!(attempts.schedule(B, now), Ok(Duration::ZERO));
    }

    #[test]
    fn checks_of_one_address_are_queued_and_refused_beyond_the_limit() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..4 {
            attempts.wrong(A, now);
        }
        let waits: Vec<_> = (0..6).map(|_| attempts.schedule(A, now)).collect();
        let seconds = |s| Ok(Duration::from_secs(s));
        assert_eq!(
            waits,
            [
                seconds(2),
                seconds(4),
                seconds(6),
                seconds(8),
                Err(TooMany),
                Err(TooMany)
            ]
        );
        assert_eq!(
            attempts.schedule(B, now),
            Ok(Duration::ZERO),
            "another address is not delayed"
        );
        // A refused check takes no slot.
        assert_eq!(attempts.schedule(A, now + Duration::from_secs(9)), seconds(1));
    }

    #[test]
    fn the_record_of_an_address_expires() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..10 {
            attempts.wrong(A, now);
        }
        assert_eq!(attempts.schedule(A, now + MEMORY), Ok(Duration::ZERO));
        assert_eq!(attempts.wrong(A, now + MEMORY), FIRST_PAUSE);
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_memory_is_bounded() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let v6 = |n: u128| IpAddr::V6(n.into());
        attempts.wrong(v6(1 << 64), now);
        assert_eq!(attempts.schedule(v6((1 << 64) + 7), now), Ok(FIRST_PAUSE));
        for n in 0..3 * MAX_PEERS as u128 {
            attempts.wrong(v6((1 << 100) + (n << 64)), now + Duration::from_millis(n as u64));
        }
        assert_eq!(attempts.peers.len(), MAX_PEERS);
    }
}
