//! Routes what arrives by UDP, and sends datagrams.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::anti_entropy::Repair;
use super::learnt::unfit_to_ask;
use super::membership::Heard;
use super::peer::{Peer, PeerEvent, Source};
use super::timers::jittered;
use super::{Action, Protocol};
use crate::mesh::wire::{Cookie, Datagram, DatagramKind, Gossip, Node, Report, ReportedState};

impl Protocol {
    pub(super) fn datagram(&mut self, now: Duration, from: IpAddr, datagram: &Datagram) {
        let from = from.to_canonical();
        let Datagram {
            kind,
            node_name,
            udp_port,
            tcp_port,
            hash,
            cookie,
        } = datagram;
        let Ok(node) = Node::new(node_name, from, *udp_port, *tcp_port) else {
            return;
        };
        let endpoint = node.endpoint();
        if endpoint == self.membership.own().endpoint() {
            return;
        }
        let held = self.membership.get(endpoint);
        if *kind == DatagramKind::Leave {
            if held.is_some_and(|peer| peer.node.name() == node.name()) {
                self.leave_claimed(now, endpoint);
            }
            return;
        }
        if held.is_some_and(|peer| !peer.is_unverified() && peer.node != node) {
            return self.contested(now, *kind, &node, hash);
        }
        let heard = self.heard_by_datagram(now, &node);
        if heard == Heard::Ignored {
            return;
        }
        let gossip = Gossip::parse(hash);
        // It decides by which question a new peer is checked. How one is watched that is up, only its answers decide.
        if gossip.is_some() && self.membership.get(endpoint).is_some_and(Peer::is_unverified) {
            self.gossip_seen(now, endpoint);
        }
        if heard != Heard::Known {
            let large = self.membership.is_large();
            if let Some(pause) = self.join.wait_to_be_asked(endpoint, large, self.exchanges.rtt()) {
                self.exchanges.check_at(endpoint, now + pause);
            }
            self.exchange_if_due(now, endpoint);
        }
        self.membership.apply(now, endpoint, PeerEvent::Datagram);
        if let Some(gossip) = gossip {
            return self.gossip(now, *kind, &node, &gossip, *cookie);
        }
        let differs = **hash != *self.membership.hash();
        if let Some(plan) = self.exchanges.plan_mut(endpoint) {
            plan.heard_hash = Some(hash.clone());
        }
        match kind {
            DatagramKind::Search if differs => self.found_by(now, &node),
            DatagramKind::Inform if differs => self.informed(now, endpoint),
            _ => {}
        }
        if heard == Heard::Known && !self.membership.is_up(&node) && !self.waits_to_be_asked(now, endpoint) {
            self.check_on_hint(now, endpoint);
        }
    }

    /// Handles the news of a node by a datagram that seems to be its own.
    fn heard_by_datagram(&mut self, now: Duration, node: &Node) -> Heard {
        if self.membership.get(node.endpoint()).is_none() {
            let own = self.membership.own().address();
            if let Some(why) = unfit_to_ask(node.address(), own, &self.networks) {
                self.dropped.note(format!("datagram of {node}: {why}"));
                self.report_left_out(node.address());
                return Heard::Ignored;
            }
            self.make_room(now, node, false);
        }
        self.note(now, node, Source::Direct)
    }

    /// Asks a node that may be there, see [`super::Event::Hint`].
    pub(super) fn hinted(&mut self, now: Duration, node: &Node) {
        let endpoint = node.endpoint();
        if endpoint == self.membership.own().endpoint() {
            return;
        }
        let mut pause = None;
        if self.membership.get(endpoint).is_none() {
            if self.heard_by_datagram(now, node) == Heard::Ignored {
                return;
            }
            let large = self.membership.is_large();
            pause = self.join.wait_to_be_asked(endpoint, large, self.exchanges.rtt());
        }
        self.exchanges.check_at(endpoint, now + pause.unwrap_or_default());
        self.exchange_if_due(now, endpoint);
    }

    fn waits_to_be_asked(&self, now: Duration, endpoint: SocketAddr) -> bool {
        let first = self
            .membership
            .get(endpoint)
            .is_some_and(|peer| peer.retries() == 0);
        let plan = self.exchanges.plan(endpoint);
        first && plan.is_some_and(|plan| plan.waits_to_be_asked(now))
    }

    /// Handles a datagram that names another node than the one that is, or was, up at its endpoint. Any program can forge one,
    /// so only an answer from the endpoint replaces the node.
    fn contested(&mut self, now: Duration, kind: DatagramKind, node: &Node, hash: &str) {
        if kind == DatagramKind::Search && Gossip::parse(hash).is_none() && *hash != *self.membership.hash() {
            self.found_by(now, node);
        }
        let endpoint = node.endpoint();
        if !self.membership.is_up_at(endpoint) {
            return self.check_on_hint(now, endpoint);
        }
        self.exchanges.want_pull(now, endpoint);
        self.exchange_if_due(now, endpoint);
    }

    /// A `search` from a node that knows others than we do.
    fn found_by(&mut self, now: Duration, node: &Node) {
        if self.join.may_inform(now) {
            let hash = self.membership.hash();
            self.send(node.datagram_address(), DatagramKind::Inform, hash);
        }
        // It may have restarted with another list. The digests of a peer that gossips would show that.
        if self.membership.is_up(node) {
            let endpoint = node.endpoint();
            if !self.membership.gossips(endpoint) {
                self.exchanges.want_pull(now, endpoint);
            }
            self.exchange_if_due(now, endpoint);
        }
    }

    /// An `inform` with a hash that differs from ours.
    fn informed(&mut self, now: Duration, endpoint: SocketAddr) {
        let peer = self.membership.get(endpoint);
        let probed = peer.is_some_and(|peer| peer.gossips() && peer.is_up());
        if self.anti_entropy.hash_differs(probed) {
            self.ask_for_nodes(now, endpoint);
        }
    }

    /// Handles gossip from a node. That of a peer that is up counts only if it is the peer's word: a forged one neither keeps a
    /// dead peer up, nor starts repairs and probes.
    fn gossip(
        &mut self,
        now: Duration,
        kind: DatagramKind,
        node: &Node,
        gossip: &Gossip,
        cookie: Option<Cookie>,
    ) {
        let endpoint = node.endpoint();
        let up = self.membership.is_up(node);
        let counts = self.cookies.admits(endpoint, cookie);
        // At most one datagram in answer to one of at least its size, and a limited number to peers that are not up:
        // forging a sender's address amplifies nothing.
        if kind == DatagramKind::Search && (up || self.join.may_inform(now)) {
            self.send_gossip(node, DatagramKind::Inform, cookie);
        }
        if !up {
            self.may_recover(now, endpoint);
            return self.check_on_hint(now, endpoint);
        }
        if !self.membership.gossips(endpoint) {
            // Its next answer shows whether it does.
            self.exchanges.want_pull(now, endpoint);
            return self.exchange_if_due(now, endpoint);
        }
        if !counts {
            return;
        }
        self.heard_from(now, endpoint);
        let lists = self.directory.digest();
        match self
            .anti_entropy
            .compare(now, endpoint, gossip, &self.membership, lists)
        {
            Some(Repair::Nodes) => self.ask_for_nodes(now, endpoint),
            Some(Repair::Lists(at)) => {
                self.exchanges.want_sync(endpoint, at);
                self.exchange_if_due(now, endpoint);
            }
            None => {}
        }
        for report in &gossip.reports {
            self.reported(now, *report);
        }
    }

    /// Handles a broadcast that a peer is suspected or down.
    fn reported(&mut self, now: Duration, Report { endpoint, state }: Report) {
        let warranted = self
            .membership
            .get(endpoint)
            .is_some_and(|peer| self.suspicion.broadcast_warrants_probe(now, peer, state));
        if !warranted {
            return;
        }
        self.membership.apply(now, endpoint, PeerEvent::Suspected);
        if state == ReportedState::Down {
            // If it is gone, its kernel may refuse our check at once.
            self.exchanges.check_at(endpoint, now);
        }
        self.probe_out_of_turn(now, endpoint);
    }

    /// Plans to ask a peer for its nodes, unless one was asked just now.
    fn ask_for_nodes(&mut self, now: Duration, endpoint: SocketAddr) {
        if !self.anti_entropy.may_ask_nodes(now, self.membership.is_large()) {
            return;
        }
        let at = now + jittered(&mut self.rng, self.config.nodes_delay, self.config.jitter);
        self.exchanges.want_nodes(endpoint, at);
        self.exchange_if_due(now, endpoint);
    }

    pub(super) fn search(&mut self, targets: Vec<SocketAddr>) {
        let hash = self.membership.hash();
        for target in targets {
            self.send(target, DatagramKind::Search, hash.clone());
        }
    }

    /// Sends digests, and broadcasts if the node is up. A broadcast's transmissions are limited, and none is spent on
    /// a node that may be gone. `answers`: the cookie of the datagram that this one answers.
    pub(super) fn send_gossip(&mut self, to: &Node, kind: DatagramKind, answers: Option<Cookie>) {
        let reports = if self.membership.is_up(to) {
            self.broadcasts.take()
        } else {
            Vec::new()
        };
        let gossip = Gossip {
            nodes: self.membership.digest(),
            services: self.directory.digest(),
            reports,
        };
        let cookie = self.cookies.to(to.endpoint(), answers);
        self.send_with(to.datagram_address(), kind, gossip.text(), cookie);
    }

    pub(super) fn send(&mut self, to: SocketAddr, kind: DatagramKind, hash: Arc<str>) {
        self.send_with(to, kind, hash, None);
    }

    fn send_with(&mut self, to: SocketAddr, kind: DatagramKind, hash: Arc<str>, cookie: Option<Cookie>) {
        let own = self.membership.own();
        let datagram = Datagram {
            kind,
            node_name: self.own_name.clone(),
            udp_port: own.udp_port(),
            tcp_port: own.tcp_port(),
            hash,
            cookie,
        };
        self.actions.push(Action::Send { to, datagram });
    }
}
