//! Searching, being found, and leaving.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::{Action, Heard, Protocol, Timer, Word};
use crate::mesh::wire::{Datagram, DatagramKind, Node};

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
                self.forget(now, endpoint);
            }
            return;
        }
        let heard = self.hear(now, &node, Word::Own);
        if heard == Heard::Ignored {
            return;
        }
        let differs = *hash != self.hash();
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.heard_hash = Some(hash.clone());
        }
        match kind {
            DatagramKind::Search if differs => self.found_by(now, &node),
            DatagramKind::Inform if differs => self.informed_by(now, endpoint),
            _ => {}
        }
        if heard == Heard::Known && !self.membership.is_up(&node) {
            self.check_now(now, &node);
        }
    }

    fn found_by(&mut self, now: Duration, node: &Node) {
        if now.saturating_sub(self.informs_since) >= Duration::from_secs(1) {
            (self.informs, self.informs_since) = (0, now);
        }
        if self.informs < self.timing.informs_per_second {
            self.informs += 1;
            self.send(node.datagram_address(), DatagramKind::Inform, self.hash());
        }
        // A node that is up and searches for more than it knows may have started anew, with another list.
        if self.membership.is_up(node) {
            if let Some(contact) = self.contacts.get_mut(&node.endpoint()) {
                contact.want_pull(now, self.timing.repair_pause);
            }
            self.pursue(now, node.endpoint());
        }
    }

    fn informed_by(&mut self, now: Duration, endpoint: SocketAddr) {
        let at = now + self.about(self.timing.nodes_delay);
        if let Some(contact) = self.contacts.get_mut(&endpoint) {
            contact.nodes_at.get_or_insert(at);
        }
        self.pursue(now, endpoint);
    }

    pub(super) fn search_on(&mut self, now: Duration) {
        let hash = self.hash();
        for _ in 0..self.timing.search_burst {
            let Some(to) = self.search.next() else {
                return self.end_round(now);
            };
            self.send(to, DatagramKind::Search, hash.clone());
        }
        let slow = self.search.visited() >= self.timing.search_slow_after as u64;
        let pause = if slow {
            self.timing.search_slow_pause
        } else {
            self.timing.search_pause
        };
        self.timers.set(Timer::Search, now + pause);
    }

    fn end_round(&mut self, now: Duration) {
        self.search.restart();
        let doublings = self.rounds.min(16);
        self.rounds += 1;
        // A second round always, and soon: the first one's datagrams may have been lost.
        let pause = if doublings == 0 || self.membership.is_alone() {
            (self.timing.search_first * (1 << doublings)).min(self.timing.search_alone)
        } else {
            self.timing.search_settled
        };
        let pause = self.about(pause);
        self.timers.set(Timer::Search, now + pause);
    }

    /// Searches again soon where the last neighbour is gone.
    pub(super) fn search_if_alone(&mut self, now: Duration) {
        let between_rounds = self.search.visited() == 0 && self.rounds > 0;
        if self.membership.is_alone() && between_rounds {
            self.rounds = 0;
            let pause = self.about(self.timing.search_first);
            self.timers.set(Timer::Search, now + pause);
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

    fn send(&mut self, to: SocketAddr, kind: DatagramKind, hash: Arc<str>) {
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
