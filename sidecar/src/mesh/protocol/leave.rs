//! Leaving: our own `leave`, and those of peers, each a claim that anybody can forge.
//!
//! The peer is asked by an exchange. If its port is closed, or it answers that it leaves, it is forgotten at once. Until
//! it has answered, for at most `leave_timeout`, its instances are the last choice; that it does not answer counts as a
//! missed probe. [`super::peer`] has the transitions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::peer::{LeaveClaim, PeerEvent};
use super::plan::InFlight;
use super::{Action, Departure, Failure, Protocol};
#[cfg(feature = "failpoints")]
use crate::failpoints::Failpoint;
use crate::mesh::wire::DatagramKind;

impl Protocol {
    /// Sends `leave` to all known nodes; the node does nothing after that.
    pub(super) fn leave(&mut self) {
        self.left = true;
        self.send_leave();
    }

    pub(super) fn send_leave(&mut self) {
        let peers = self.membership.peers();
        let known: Vec<SocketAddr> = peers.map(|peer| peer.node.datagram_address()).collect();
        for to in known {
            self.send(to, DatagramKind::Leave, Arc::from(""));
        }
    }

    /// Handles a `leave` in a peer's name.
    pub(super) fn leave_claimed(&mut self, now: Duration, endpoint: SocketAddr) {
        #[cfg(feature = "failpoints")]
        if Failpoint::BelieveAnything.is_active() {
            return self.forget(now, endpoint, Some(Departure::Left));
        }
        let was_pending = self.is_leave_pending(endpoint);
        self.membership.apply(now, endpoint, PeerEvent::LeaveClaimed);
        let Some(peer) = self.membership.get(endpoint) else {
            return;
        };
        match peer.leave_claim() {
            LeaveClaim::Pending { since } if !was_pending => {
                self.leaves.set(endpoint, since + self.config.leave_timeout);
                self.changed |= self.directory.set_leave_claimed(&peer.node, true);
                self.exchanges.check_at(endpoint, now);
                self.exchange_if_due(now, endpoint);
            }
            LeaveClaim::Asked { until, again: true } => self.leaves.set(endpoint, until),
            _ => {}
        }
    }

    /// The time for a peer's answer is over, or it is to be asked again.
    pub(super) fn leave_due(&mut self, now: Duration, endpoint: SocketAddr) {
        if !self.is_leave_pending(endpoint) {
            self.leave_claimed(now, endpoint);
        } else if self.membership.gossips(endpoint) {
            self.leave_unanswered(now, endpoint, Failure::Timeout);
        } else {
            // The exchange under way counts itself when it ends.
            self.end_claim(now, endpoint);
        }
    }

    fn is_leave_pending(&self, endpoint: SocketAddr) -> bool {
        let peer = self.membership.get(endpoint);
        peer.is_some_and(|peer| peer.leave_pending().is_some())
    }

    /// Whether a peer is asked if it leaves, and this exchange is the question. One that was under way when the claim came may
    /// have been answered before the peer left.
    fn answers_claim(&self, endpoint: SocketAddr, exchange: &InFlight) -> bool {
        exchange.asks_leave && self.is_leave_pending(endpoint)
    }

    /// An exchange with a peer was answered: if it was asked whether it leaves, it does not.
    pub(super) fn leave_answered(&mut self, now: Duration, endpoint: SocketAddr, exchange: &InFlight) {
        if self.answers_claim(endpoint, exchange) {
            self.end_claim(now, endpoint);
            if let Some(peer) = self.membership.get(endpoint) {
                self.actions.push(Action::LeaveRefuted(peer.node.clone()));
            }
        }
    }

    /// An exchange with a peer has failed. Returns whether that has decided about a claim that it leaves.
    pub(super) fn leave_failed(
        &mut self,
        now: Duration,
        endpoint: SocketAddr,
        exchange: &InFlight,
        failure: Failure,
    ) -> bool {
        if failure == Failure::Leaving {
            self.forget(now, endpoint, Some(Departure::Left));
            return true;
        }
        if !self.answers_claim(endpoint, exchange) {
            return false;
        }
        match failure {
            Failure::Refused => self.forget(now, endpoint, Some(Departure::Left)),
            // It could not be asked.
            Failure::Own => self.end_claim(now, endpoint),
            _ => self.leave_unanswered(now, endpoint, failure),
        }
        failure != Failure::Own
    }

    /// Asks a peer again that was asked for another reason when the claim came.
    pub(super) fn ask_if_claimed(&mut self, now: Duration, endpoint: SocketAddr) {
        if self.is_leave_pending(endpoint) {
            self.exchanges.check_at(endpoint, now);
        }
    }

    /// A peer has not answered whether it leaves: it has missed a probe.
    fn leave_unanswered(&mut self, now: Duration, endpoint: SocketAddr, failure: Failure) {
        self.end_claim(now, endpoint);
        let Some(peer) = self.membership.get(endpoint) else {
            return;
        };
        if !peer.is_up() || !peer.gossips() {
            return self.check_failed(now, endpoint, failure);
        }
        if peer.unanswered() == 0 {
            self.membership.apply(now, endpoint, PeerEvent::ProbeDue);
        }
        self.probe_out_of_turn(now, endpoint);
    }

    fn end_claim(&mut self, now: Duration, endpoint: SocketAddr) {
        self.membership.apply(now, endpoint, PeerEvent::LeaveRefuted);
        self.leaves.cancel(endpoint);
        if let Some(peer) = self.membership.get(endpoint) {
            self.changed |= self.directory.set_leave_claimed(&peer.node, false);
        }
    }
}
