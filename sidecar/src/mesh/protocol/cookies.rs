//! Cookies: whether a datagram was sent by the peer that it names. Anybody can forge a sender's address, but only a node that
//! receives what is sent to that address can return the cookie in it (as in RFC 7873). Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::mesh::wire::Cookie;

#[derive(Debug)]
struct Known {
    /// Our cookie for the peer. Not 0, which stands for none.
    own: u32,
    /// The peer's cookie for us; 0 until it is known.
    theirs: u32,
    /// Whether it has returned ours since it came up.
    returns: bool,
}

/// The cookies that this node and its peers have for each other.
#[derive(Debug)]
pub(super) struct Cookies {
    known: BTreeMap<SocketAddr, Known>,
    rng: StdRng,
}

impl Cookies {
    /// Equal seeds make equal cookies.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            known: BTreeMap::new(),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Draws the cookie for a new peer.
    pub(super) fn add(&mut self, peer: SocketAddr) {
        let known = Known {
            own: self.rng.random_range(1..=u32::MAX),
            theirs: 0,
            returns: false,
        };
        self.known.insert(peer, known);
    }

    /// Forgets a peer.
    pub(super) fn remove(&mut self, peer: SocketAddr) {
        self.known.remove(&peer);
    }

    /// A peer has come up by an exchange: its datagrams count without a cookie until it returns ours for the first time, since
    /// it may be of a version that knows no cookies.
    pub(super) fn came_up(&mut self, peer: SocketAddr) {
        if let Some(known) = self.known.get_mut(&peer) {
            known.returns = false;
        }
    }

    /// Whether a datagram with this cookie counts as a sign of life of the peer in whose name it has come.
    pub(super) fn admits(&mut self, peer: SocketAddr, cookie: Option<Cookie>) -> bool {
        let Some(known) = self.known.get_mut(&peer) else {
            return false;
        };
        known.returns |= cookie.is_some_and(|cookie| cookie.returned == known.own);
        let counts = !known.returns || cookie.is_some_and(|cookie| cookie.returned == known.own);
        if let Some(cookie) = cookie.filter(|_| counts) {
            known.theirs = cookie.own;
        }
        counts
    }

    /// The cookie of a datagram to a peer, which may answer one with the peer's cookie.
    pub(super) fn to(&self, peer: SocketAddr, answers: Option<Cookie>) -> Option<Cookie> {
        let known = self.known.get(&peer)?;
        Some(Cookie {
            own: known.own,
            returned: answers.map_or(known.theirs, |cookie| cookie.own),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 2], port))
    }

    /// Two nodes that know each other, the first at port 1 and the second at port 2.
    fn pair() -> [Cookies; 2] {
        let mut pair = [Cookies::new(1), Cookies::new(2)];
        pair[0].add(at(2));
        pair[1].add(at(1));
        pair
    }

    #[test]
    fn after_one_probe_and_its_answer_only_datagrams_with_the_cookie_count() {
        let [mut one, mut other] = pair();
        let forged = Some(Cookie { own: 5, returned: 0 });
        assert!(one.admits(at(2), None) && one.admits(at(2), forged));
        let probe = one.to(at(2), None);
        assert!(other.admits(at(1), probe));
        let answer = other.to(at(1), probe);
        assert!(one.admits(at(2), answer));
        assert!(!one.admits(at(2), None) && !one.admits(at(2), forged));
        assert!(other.admits(at(1), one.to(at(2), None)));
        assert!(!other.admits(at(1), None) && !other.admits(at(1), probe));
        one.came_up(at(2));
        assert!(one.admits(at(2), None));
    }

    #[test]
    fn a_forged_datagram_does_not_change_what_a_peer_is_sent() {
        let [mut one, mut other] = pair();
        assert!(one.admits(at(2), other.to(at(1), one.to(at(2), None))));
        assert!(!one.admits(at(2), Some(Cookie { own: 5, returned: 6 })));
        assert!(other.admits(at(1), one.to(at(2), None)));
    }

    #[test]
    fn a_restarted_peer_counts_again_with_its_next_answer() {
        let [mut one, other] = pair();
        assert!(one.admits(at(2), other.to(at(1), one.to(at(2), None))));
        let mut restarted = Cookies::new(3);
        restarted.add(at(1));
        let probe = restarted.to(at(1), None);
        assert!(!one.admits(at(2), probe));
        assert!(restarted.admits(at(1), one.to(at(2), probe)));
        assert!(one.admits(at(2), restarted.to(at(1), None)));
    }
}
