//! Routes transitions of peers: new ones, probes, up, down, forgotten.

use std::net::SocketAddr;
use std::time::Duration;

use super::learnt::unfit_to_name;
use super::membership::Heard;
use super::peer::{Peer, PeerEvent, Source, Transition};
use super::probe::Escalation;
use super::{Action, Departure, Failure, Protocol};
use crate::mesh::wire::{DatagramKind, Node};

impl Protocol {
    /// Handles the news of a node; a new one is checked at once.
    pub(super) fn hear(&mut self, now: Duration, node: &Node, source: Source) -> Heard {
        match source {
            Source::Relayed if self.leaves_out(node) => return Heard::Ignored,
            Source::Relayed => {}
            Source::Direct => self.make_room(now, node, true),
        }
        let heard = self.note(now, node, source);
        if matches!(heard, Heard::Added | Heard::Replaced(_)) {
            self.exchange_if_due(now, node.endpoint());
        }
        heard
    }

    /// Whether a node that others name is one that this node does not ask. Notes why.
    fn leaves_out(&mut self, node: &Node) -> bool {
        let own = self.membership.own();
        if self.membership.get(node.endpoint()).is_some() || node.endpoint() == own.endpoint() {
            return false;
        }
        let why = unfit_to_name(node.address(), own.address(), &self.networks);
        if let Some(why) = why {
            self.dropped.note(format!(
                "node {node}: expected an address that other nodes can know, found {why}"
            ));
        }
        why.is_some()
    }

    /// Handles the news of a node, without a check.
    pub(super) fn note(&mut self, now: Duration, node: &Node, source: Source) -> Heard {
        let endpoint = node.endpoint();
        let was_up = self.membership.is_up_at(endpoint);
        let heard = self.membership.hear(now, node, source);
        if let Heard::Replaced(old) = &heard {
            let why = Departure::Replaced;
            if was_up {
                let node = old.clone();
                self.actions.push(Action::Gone { node, why });
            }
            self.forgotten(now, old, Some(why));
        }
        if matches!(heard, Heard::Added | Heard::Replaced(_)) {
            self.changed = true;
            self.exchanges.add(now, endpoint);
            self.cookies.add(endpoint);
        }
        heard
    }

    /// Forgets a peer if there is no other room for this node. A node that has sent something itself takes precedence over
    /// others, but only if it has `proved` that over one that is down, whose instances are the last choice.
    pub(super) fn make_room(&mut self, now: Duration, node: &Node, proved: bool) {
        if self.membership.get(node.endpoint()).is_some() {
            return;
        }
        let other = self.membership.in_the_way(node.address());
        if let Some(other) = other.filter(|peer| proved || !peer.is_down()) {
            let other = other.node.clone();
            self.forget(now, other.endpoint(), None);
            if other.address() != node.address() {
                self.actions.push(Action::Evicted(other));
            }
        }
    }

    /// A datagram hints that a peer that is not up is there: it is checked, at most once in `hint_pause`.
    pub(super) fn check_on_hint(&mut self, now: Duration, endpoint: SocketAddr) {
        let pause = self.config.hint_pause;
        let plan = self.exchanges.plan_mut(endpoint);
        if plan.is_some_and(|plan| plan.follows_hint(now, pause)) {
            self.check_now(now, endpoint);
        } else {
            self.exchange_if_due(now, endpoint);
        }
    }

    /// Forgets a peer. If `why` has a reason and the peer was up, reports its departure. The reason also decides if its
    /// services only go down or are dropped.
    pub(super) fn forget(&mut self, now: Duration, endpoint: SocketAddr, why: Option<Departure>) {
        if let Some(why) = why
            && let Some(peer) = self.membership.get(endpoint).filter(|peer| peer.is_up())
        {
            let node = peer.node.clone();
            self.actions.push(Action::Gone { node, why });
        }
        if let Some(node) = self.membership.forget(now, endpoint) {
            self.forgotten(now, &node, why);
        }
    }

    /// Makes all parts forget a peer that membership has forgotten.
    fn forgotten(&mut self, now: Duration, node: &Node, why: Option<Departure>) {
        let endpoint = node.endpoint();
        self.changed = true;
        self.exchanges.remove(endpoint);
        self.cookies.remove(endpoint);
        self.probes.stop(endpoint);
        self.leaves.cancel(endpoint);
        self.anti_entropy.forget(endpoint);
        self.broadcasts.withdraw(endpoint);
        let had_list = match why {
            Some(Departure::Down(_)) => self.directory.mark_down(node),
            Some(Departure::Replaced) => self.directory.mark_replaced(node),
            Some(Departure::Left) | None => self.directory.drop_node(node),
        };
        if had_list {
            self.searches.peer_gone(now, &self.membership, &mut self.rng);
        }
    }

    /// A peer that is not up has shown a sign of life: checks it at once.
    pub(super) fn check_now(&mut self, now: Duration, endpoint: SocketAddr) {
        self.membership.apply(now, endpoint, PeerEvent::Seen);
        self.exchanges.count_news(endpoint);
        self.exchanges.check_at(endpoint, now);
        self.exchange_if_due(now, endpoint);
    }

    /// An answer or a list has proved that a peer is there. Returns whether it was not up before.
    pub(super) fn verified(&mut self, now: Duration, endpoint: SocketAddr) -> bool {
        let was_down = self.membership.get(endpoint).is_some_and(Peer::is_down);
        let joined = self.membership.apply(now, endpoint, PeerEvent::Verified) == Transition::CameUp;
        if joined && was_down && self.attempts.recovered(now) {
            self.ask_again(now, self.membership.unverified());
        }
        if joined {
            self.changed = true;
            self.cookies.came_up(endpoint);
            let joining = self.exchanges.concurrency().is_joining();
            self.anti_entropy.came_up(endpoint, joining);
        }
        joined
    }

    /// Asks nodes that were asked in vain again: they may be reached now.
    pub(super) fn ask_again(&mut self, now: Duration, unverified: Vec<SocketAddr>) {
        for endpoint in unverified {
            self.exchanges.check_at(endpoint, now);
            self.exchange_if_due(now, endpoint);
        }
    }

    /// A peer has shown that it gossips.
    pub(super) fn gossip_seen(&mut self, now: Duration, endpoint: SocketAddr) {
        let peer = self.membership.get(endpoint);
        let is_new = peer.is_some_and(|peer| !peer.gossips() && peer.is_up());
        self.membership.apply(now, endpoint, PeerEvent::GossipSeen);
        if is_new {
            self.exchanges
                .check_at(endpoint, now + self.config.check_interval_probed);
            self.begin_probes(now, endpoint);
        }
    }

    /// Starts probing a peer that is up and gossips.
    pub(super) fn begin_probes(&mut self, now: Duration, endpoint: SocketAddr) {
        self.lives(now, endpoint);
        let up = self.up();
        self.probes.came_up(now, endpoint, up, &mut self.rng);
    }

    /// A peer that is up has gossiped or answered.
    pub(super) fn heard_from(&mut self, now: Duration, endpoint: SocketAddr) {
        let Some(peer) = self.membership.get(endpoint) else {
            return;
        };
        let (gossips, pending) = (peer.gossips(), peer.unanswered() > 0);
        self.lives(now, endpoint);
        if gossips {
            let up = self.up();
            self.probes.heard(now, endpoint, pending, up, &mut self.rng);
        }
    }

    fn lives(&mut self, now: Duration, endpoint: SocketAddr) {
        self.membership.apply(now, endpoint, PeerEvent::Heard);
        self.broadcasts.withdraw(endpoint);
    }

    pub(super) fn probe_if_due(&mut self, now: Duration, endpoint: SocketAddr) {
        let up = self.up();
        let peer = self.membership.get(endpoint);
        if peer.is_some_and(|peer| self.probes.is_due(now, peer, up)) {
            self.probe(now, endpoint);
        }
    }

    pub(super) fn probe_out_of_turn(&mut self, now: Duration, endpoint: SocketAddr) {
        self.probes.out_of_turn(endpoint);
        self.probe(now, endpoint);
    }

    fn probe(&mut self, now: Duration, endpoint: SocketAddr) {
        if self.membership.apply(now, endpoint, PeerEvent::ProbeDue) == Transition::WentDown {
            return self.went_down(now, endpoint, Failure::Timeout);
        }
        let Some(peer) = self.membership.get(endpoint) else {
            return;
        };
        let node = peer.node.clone();
        if !peer.is_up() {
            self.probe_down_later(now, endpoint);
            return self.send_gossip(&node, DatagramKind::Search, None);
        }
        let Escalation { check, broadcast } = self.probes.sent(now, peer, self.local_health.slack());
        if check {
            self.exchanges.check_at(endpoint, now);
        }
        if broadcast {
            self.broadcasts.suspect(endpoint, self.membership.healthy().len());
            self.fan_out(now);
        }
        self.send_gossip(&node, DatagramKind::Search, None);
        self.exchange_if_due(now, endpoint);
    }

    /// A probe was not sent, for a fault of ours: it does not count as unanswered. The next one is sent as planned.
    pub(super) fn unsent(&mut self, now: Duration, to: SocketAddr) {
        if let Some(endpoint) = self.membership.endpoint_of(to) {
            self.membership.apply(now, endpoint, PeerEvent::ProbeUnsent);
        }
    }

    fn probe_down_later(&mut self, now: Duration, endpoint: SocketAddr) {
        let not_up = self.membership.peers().len() - self.up();
        self.probes.down(now, endpoint, not_up, &mut self.rng);
    }

    /// Sends new broadcasts to a few peers at once.
    fn fan_out(&mut self, now: Duration) {
        let healthy = self.membership.healthy();
        for to in self.broadcasts.fan_out(now, healthy, &mut self.rng) {
            let peer = self.membership.get(to);
            if peer.is_some_and(|peer| peer.gossips() && peer.unanswered() == 0) {
                self.probes.schedule(now, to);
            }
        }
    }

    /// A peer that is not up has gossiped. If it was down, a partition may have healed: all others that are down are
    /// probed soon, too.
    pub(super) fn may_recover(&mut self, now: Duration, endpoint: SocketAddr) {
        let was_down = self.membership.get(endpoint).is_some_and(Peer::is_down);
        if !was_down || !self.probes.begins_recovery(now) {
            return;
        }
        self.anti_entropy.nodes_changed();
        for peer in self.membership.peers() {
            if peer.is_down() && peer.gossips() {
                self.probes.probe_soon(now, peer.node.endpoint(), &mut self.rng);
            }
        }
    }

    /// Follows up a peer's transition to down.
    pub(super) fn went_down(&mut self, now: Duration, endpoint: SocketAddr, failure: Failure) {
        let Some(peer) = self.membership.get(endpoint) else {
            return;
        };
        let (node, gossips) = (peer.node.clone(), peer.gossips());
        self.probes.out_of_turn(endpoint);
        self.anti_entropy.reset(endpoint);
        if let Some(plan) = self.exchanges.plan_mut(endpoint) {
            plan.went_down();
        }
        let next_check = if gossips {
            if self.broadcasts.down(endpoint, self.membership.healthy().len()) {
                self.fan_out(now);
            }
            self.anti_entropy.nodes_changed();
            self.probe_down_later(now, endpoint);
            self.config.check_interval_probed
        } else {
            self.join.first_pause(&mut self.rng)
        };
        self.exchanges.check_at(endpoint, now + next_check);
        self.changed = true;
        self.directory.mark_down(&node);
        let why = Departure::Down(failure);
        self.actions.push(Action::Gone { node, why });
        self.searches.peer_gone(now, &self.membership, &mut self.rng);
        self.exchange_if_due(now, endpoint);
    }
}
