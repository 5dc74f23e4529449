//! Rate limit of wrong passwords, per client address. Pure: the time is passed in.
//!
//! The answer to a wrong password is delayed, with exponential backoff. A client may not wait for it and ask on another
//! connection, so that further checks for the same address are an interval apart as well. None is refused: the limit of
//! connections bounds how many wait, and the right password is checked in its turn. Other addresses are not delayed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Delay of the answer to the first wrong password; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Maximum delay of the answer to a wrong password.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Interval between checks for an address that has sent a wrong password. Lower allows more guesses; higher lets the right
/// password wait longer among them: 6.4 s if all 64 connections guess.
const INTERVAL: Duration = Duration::from_millis(100);
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

impl Attempts {
    /// Schedules a check; returns the delay until then.
    pub(super) fn schedule(&mut self, peer: IpAddr, now: Instant) -> Duration {
        let Some(peer) = self.peers.get_mut(&group(peer)).filter(|peer| peer.until > now) else {
            return Duration::ZERO;
        };
        let turn = peer.next.max(now);
        peer.next = turn + INTERVAL;
        turn - now
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
        peer.next = peer.next.max(now + INTERVAL);
        peer.until = now + MEMORY;
        pause(peer.wrong)
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
        assert_eq!(attempts.schedule(B, now), Duration::ZERO);
    }

    #[test]
    fn checks_of_one_address_wait_for_their_turns() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        assert_eq!(attempts.schedule(A, now), Duration::ZERO, "nothing was wrong yet");
        attempts.wrong(A, now);
        let waits: Vec<Duration> = (1..=64).map(|_| attempts.schedule(A, now)).collect();
        let turns: Vec<Duration> = (1..=64).map(|turn| turn * INTERVAL).collect();
        assert_eq!(waits, turns);
        assert_eq!(
            attempts.schedule(B, now),
            Duration::ZERO,
            "another address is not delayed"
        );
        assert_eq!(attempts.schedule(A, now + 64 * INTERVAL), INTERVAL);
    }

    #[test]
    fn the_record_of_an_address_expires() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..10 {
            attempts.wrong(A, now);
        }
        assert_eq!(attempts.schedule(A, now + MEMORY), Duration::ZERO);
        assert_eq!(attempts.wrong(A, now + MEMORY), FIRST_PAUSE);
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_memory_is_bounded() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let v6 = |n: u128| IpAddr::V6(n.into());
        attempts.wrong(v6(1 << 64), now);
        assert_eq!(attempts.schedule(v6((1 << 64) + 7), now), INTERVAL);
        for n in 0..3 * MAX_PEERS as u128 {
            attempts.wrong(v6((1 << 100) + (n << 64)), now + Duration::from_millis(n as u64));
        }
        assert_eq!(attempts.peers.len(), MAX_PEERS);
    }
}
