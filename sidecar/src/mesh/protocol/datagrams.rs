//! Being found, and leaving.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::{Action, Departure, Protocol};
use crate::mesh::membership::{Heard, Word};
use crate::mesh::wire::{Datagram, DatagramKind, Gossip, Node};

impl Protocol {
    pub(super) fn datagram(&mut self, now: Duration, from: IpAddr, datagram: &Datagram) {
        let Datagram {
            kind,
            node_name,
            udp_port,
            tcp_port,
            hash,
        } = datagram;
        let Ok(node) = Node::new(node_name, from, *udp_port, *tcp_port) else {
            return;
        };
        let endpoint = node.endpoint();
        if endpoint == self.membership.own().endpoint() {
            return;
        }
        if *kind == DatagramKind::Leave {
            let held = self.membership.get(endpoint);
            if held.is_some_and(|member| member.node.name() == node.name()) {
                self.forget(now, endpoint, Some(Departure::Left));
            }
            return;
        }
        let held = self.membership.get(endpoint);
        if held.is_some_and(|member| member.up && member.node != node) {
            return self.contested(now, *kind, &node, hash);
        }
        let heard = self.note(now, &node, Word::Own);
        if heard == Heard::Ignored {
            return;
        }
        if heard != Heard::Known {
            self.leave_first_question(now, endpoint);
            self.pursue(now, endpoint);
        }
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.silent = false;
        }
        if let Some(gossip) = Gossip::parse(hash) {
            return self.gossiped(now, *kind, &node, &gossip);
        }
        let differs = *hash != self.hash();
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.heard_hash = Some(hash.clone());
        }
        match kind {
            DatagramKind::Search if differs => self.found_by(now, &node),
            DatagramKind::Inform if differs => self.informed(now, endpoint),
            _ => {}
        }
        let waits = self
            .contacts
            .get(&endpoint)
            .is_some_and(|contact| contact.waits_to_be_asked(now));
        if heard == Heard::Known && !waits && !self.membership.is_up(&node) {
            self.check_now(now, &node);
        }
    }

    /// A datagram in the name of another node than the one that is up at its endpoint. Anybody can write one: who is
    /// there is asked, and only its answer puts another in its place.
    fn contested(&mut self, now: Duration, kind: DatagramKind, node: &Node, hash: &str) {
        if kind == DatagramKind::Search && Gossip::parse(hash).is_none() && *hash != *self.hash() {
            self.found_by(now, node);
        }
        if let Some(contact) = self.contacts.get_mut(&node.endpoint()) {
            contact.want_pull(now, self.timing.repair_pause);
        }
        self.pursue(now, node.endpoint());
    }

    /// Whether there may be one more answer to a `search` within this second.
    pub(super) fn may_inform(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.informs_since) >= Duration::from_secs(1) {
            (self.informs, self.informs_since) = (0, now);
        }
        let may = self.informs < self.timing.informs_per_second;
        self.informs += u32::from(may);
        may
    }

    fn found_by(&mut self, now: Duration, node: &Node) {
        if self.may_inform(now) {
            self.send(node.datagram_address(), DatagramKind::Inform, self.hash());
        }
        // A node that is up and searches for more than it knows may have started anew, with another list. One
        // of our own kind says so itself.
        if self.membership.is_up(node) {
            let contact = self.contacts.get_mut(&node.endpoint());
            if let Some(contact) = contact.filter(|contact| !contact.gossips) {
                contact.want_pull(now, self.timing.repair_pause);
            }
            self.pursue(now, node.endpoint());
        }
    }

    pub(super) fn leave(&mut self) {
        self.left = true;
        self.timers.clear();
        let known: Vec<SocketAddr> = self
            .membership
            .members()
            .map(|member| member.node.datagram_address())
            .collect();
        for to in known {
            self.send(to, DatagramKind::Leave, Arc::from(""));
        }
    }

    pub(super) fn send(&mut self, to: SocketAddr, kind: DatagramKind, hash: Arc<str>) {
        let own = self.membership.own();
        let datagram = Datagram {
            kind,
            node_name: self.own_name.clone(),
            udp_port: own.udp_port(),
            tcp_port: own.tcp_port(),
            hash,
        };
        self.actions.push(Action::Send { to, datagram });
    }
}
