//! How fast passwords may be tried. Pure: the time is handed in.
//!
//! What counts is a client's address, not its connection: one that opens many gets no more tries. A wrong password
//! makes the next one of the same address wait, the longer the more there were; other addresses are not held up.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long the first wrong password is paid for; each further one twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause for one.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Who would have to wait longer for its turn is turned away.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// A wrong password is forgotten after this time without a further one.
const MEMORY: Duration = Duration::from_secs(60);
/// The most addresses that are remembered.
const MAX_PEERS: usize = 1024;

/// The wrong passwords of late, by address.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    peers: HashMap<IpAddr, Peer>,
}

#[derive(Debug)]
struct Peer {
    wrong: u32,
    /// When the next password may be looked at.
    turn: Instant,
    /// When all is forgotten.
    until: Instant,
}

/// There are too many of this address waiting for their turn already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Attempts {
    /// Takes a turn; returns how long it is until that.
    pub(super) fn turn(&mut self, peer: IpAddr, now: Instant) -> Result<Duration, TooMany> {
        let Some(peer) = self.peers.get_mut(&group(peer)) else {
            return Ok(Duration::ZERO);
        };
        if peer.until <= now {
            return Ok(Duration::ZERO);
        }
        let turn = peer.turn.max(now);
        let wait = turn - now;
        if wait > LONGEST_WAIT {
            return Err(TooMany);
        }
        peer.turn = turn + pause(peer.wrong);
        Ok(wait)
    }

    /// A password was wrong; returns how long to let the client wait for that answer.
    pub(super) fn wrong(&mut self, peer: IpAddr, now: Instant) -> Duration {
        let key = group(peer);
        if !self.peers.contains_key(&key) && self.peers.len() >= MAX_PEERS {
            self.make_room(now);
        }
        let peer = self.peers.entry(key).or_insert(Peer {
            wrong: 0,
            turn: now,
            until: now,
        });
        if peer.until <= now {
            peer.wrong = 0;
        }
        peer.wrong = peer.wrong.saturating_add(1);
        let pause = pause(peer.wrong);
        peer.turn = peer.turn.max(now + pause);
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

/// The addresses that one client may well have all of: in IPv6 those of its network, /64.
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
    fn wrong_passwords_cost_more_and_more_up_to_a_bound() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let pauses: Vec<u128> = (0..6).map(|_| attempts.wrong(A, now).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 2000, 2000]);
        assert_eq!(attempts.turn(B, now), Ok(Duration::ZERO));
    }

    #[test]
    fn many_connections_at_once_take_turns_and_too_many_are_turned_away() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..4 {
            attempts.wrong(A, now);
        }
        let waits: Vec<_> = (0..6).map(|_| attempts.turn(A, now)).collect();
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
        assert_eq!(attempts.turn(B, now), Ok(Duration::ZERO), "another's turn");
        // Who was turned away took no turn.
        assert_eq!(attempts.turn(A, now + Duration::from_secs(9)), seconds(1));
    }

    #[test]
    fn it_is_forgotten_in_time() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..10 {
            attempts.wrong(A, now);
        }
        assert_eq!(attempts.turn(A, now + MEMORY), Ok(Duration::ZERO));
        assert_eq!(attempts.wrong(A, now + MEMORY), FIRST_PAUSE);
    }

    #[test]
    fn a_network_is_one_client_and_the_memory_is_bounded() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let v6 = |n: u128| IpAddr::V6(n.into());
        attempts.wrong(v6(1 << 64), now);
        assert_eq!(attempts.turn(v6((1 << 64) + 7), now), Ok(FIRST_PAUSE));
        for n in 0..3 * MAX_PEERS as u128 {
            attempts.wrong(v6((1 << 100) + (n << 64)), now + Duration::from_millis(n as u64));
        }
        assert_eq!(attempts.peers.len(), MAX_PEERS);
    }
}
