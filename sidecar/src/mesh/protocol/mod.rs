//! The discovery protocol as one state machine: time and events in, actions out. Pure.
//!
//! [`Protocol`] owns what a node knows ([`Membership`], [`Directory`]) and plans its dealings with every
//! other node. It is driven by the agent over real sockets, and by tests over simulated ones.

mod answers;
mod contact;
mod datagrams;
mod plan;
mod search;
mod serve;
mod slots;
mod timers;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::contact::Contact;
use self::search::Round;
pub use self::search::Search;
use self::slots::Slots;
use self::timers::Timers;
use super::directory::Directory;
use super::membership::{Heard, Membership, Word};
use super::timing::Timing;
use super::view::View;
use super::wire::{Answer, Datagram, Node, Request};
use crate::balance::service::{Instances, Offer};

/// What happens to a node.
#[derive(Debug)]
pub enum Event {
    /// Time has come: see [`Protocol::next_deadline`]. The first one starts the node.
    Wake,
    /// A datagram came.
    Datagram {
        /// The packet's source address.
        from: IpAddr,
        /// What was in it.
        datagram: Datagram,
    },
    /// An exchange that an action asked for has ended.
    Answered {
        /// The action's id.
        id: u64,
        /// The answer, or why there is none.
        outcome: Result<Answer, Failure>,
    },
    /// A node has closed the connection that was kept to it, see [`Protocol::keeps_connection`].
    Disconnected(SocketAddr),
    /// These are the local instances now.
    Offers(Vec<Offer>),
    /// The node goes: tell everybody, and do nothing more.
    Leave,
}

/// Why an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The other side's kernel, or the network, said no: nobody listens there.
    Refused,
    /// No answer in time.
    Timeout,
    /// An answer that is none.
    Bad,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send a datagram.
    Send {
        /// Where to.
        to: SocketAddr,
        /// What.
        datagram: Datagram,
    },
    /// Make an exchange, and report its end as [`Event::Answered`].
    Exchange {
        /// What the report is to carry.
        id: u64,
        /// Whom to ask.
        to: SocketAddr,
        /// What to ask.
        request: Request,
        /// How long it may take in all.
        timeout: Duration,
    },
    /// What the node knows has changed: take [`Protocol::view`] and [`Protocol::instances`] anew.
    Publish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    SearchNear,
    SearchFar,
    Contact(SocketAddr),
    Expiry(SocketAddr),
}

/// One node of the mesh, without sockets and clock. Times count from any fixed moment.
#[derive(Debug)]
pub struct Protocol {
    membership: Membership,
    directory: Directory,
    contacts: BTreeMap<SocketAddr, Contact>,
    timers: Timers<Timer>,
    slots: Slots,
    near: Round,
    far: Round,
    /// Rounds near us that have ended since we were last alone.
    rounds: u32,
    own_name: Arc<str>,
    timing: Timing,
    rng: StdRng,
    /// Whom an exchange under way is with.
    exchanges: BTreeMap<u64, SocketAddr>,
    next_id: u64,
    informs: u32,
    informs_since: Duration,
    actions: Vec<Action>,
    changed: bool,
    left: bool,
}

impl Protocol {
    /// A node that knows nobody. Equal seeds make equal choices.
    pub fn new(own: Node, search: Search, timing: Timing, seed: u64) -> Self {
        let mut timers = Timers::new();
        timers.set(Timer::SearchNear, Duration::ZERO);
        timers.set(Timer::SearchFar, Duration::ZERO);
        let (near, far) = search.split(timing.search_near);
        Self {
            own_name: own.name().into(),
            membership: Membership::new(own.clone(), &timing),
            directory: Directory::new(own),
            contacts: BTreeMap::new(),
            timers,
            slots: Slots::default(),
            near,
            far,
            rounds: 0,
            timing,
            rng: StdRng::seed_from_u64(seed),
            exchanges: BTreeMap::new(),
            next_id: 0,
            informs: 0,
            informs_since: Duration::ZERO,
            actions: Vec::new(),
            changed: false,
            left: false,
        }
    }

    /// Takes in one event.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Action> {
        if !self.left {
            match event {
                Event::Wake => self.wake(now),
                Event::Datagram { from, datagram } => self.datagram(now, from, &datagram),
                Event::Answered { id, outcome } => self.answered(now, id, outcome),
                Event::Disconnected(endpoint) => self.disconnected(now, endpoint),
                Event::Offers(offers) => self.offers(now, &offers),
                Event::Leave => self.leave(),
            }
        }
        self.take_actions()
    }

    /// Answers another node's request; `from` is the connection's source address.
    pub fn serve(&mut self, now: Duration, from: IpAddr, request: Request) -> (Answer, Vec<Action>) {
        let answer = self.answer(now, from, request);
        if self.left {
            self.actions.clear();
        }
        (answer, self.take_actions())
    }

    /// When the next [`Event::Wake`] is due.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// The nodes that it knows.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// What they offer.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What it knows, for people.
    pub fn view(&self) -> View {
        View::of(&self.membership, &self.directory)
    }

    /// What it knows, for the balancer.
    pub fn instances(&self) -> Instances {
        self.directory.instances()
    }

    /// Whether every node that is up has acknowledged the last change of the local instances.
    pub fn is_told(&self) -> bool {
        let revision = self.directory.revision();
        let mut up = self.membership.members().filter(|member| member.up);
        up.all(|member| {
            let contact = self.contacts.get(&member.node.endpoint());
            contact.is_none_or(|contact| contact.told == revision)
        })
    }

    /// Whether a connection to this endpoint is worth keeping between exchanges: that it ends tells at
    /// once that the node has died.
    pub fn keeps_connection(&self, endpoint: SocketAddr) -> bool {
        let neighbours = self.membership.healthy().len() - 1;
        let up = self.membership.get(endpoint).is_some_and(|member| member.up);
        up && neighbours <= self.timing.kept_connections
    }

    fn take_actions(&mut self) -> Vec<Action> {
        if std::mem::take(&mut self.changed) {
            self.actions.push(Action::Publish);
        }
        std::mem::take(&mut self.actions)
    }

    fn wake(&mut self, now: Duration) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::SearchNear => self.search_near(now),
                Timer::SearchFar => self.search_far(now),
                Timer::Contact(endpoint) => self.pursue(now, endpoint),
                Timer::Expiry(endpoint) => self.forget(now, endpoint),
            }
        }
    }

    fn offers(&mut self, now: Duration, offers: &[Offer]) {
        if !self.directory.offer(offers) {
            return;
        }
        self.changed = true;
        let up = self.membership.members().filter(|member| member.up);
        let endpoints: Vec<SocketAddr> = up.map(|member| member.node.endpoint()).collect();
        for endpoint in endpoints {
            if let Some(contact) = self.contacts.get_mut(&endpoint) {
                contact.push_at = now;
            }
            self.pursue(now, endpoint);
        }
    }

    /// Hears of a node; one that is new is checked at once.
    fn hear(&mut self, now: Duration, node: &Node, word: Word) -> Heard {
        let known = self.membership.get(node.endpoint()).is_some();
        if word == Word::Own && !known && self.membership.is_full() {
            // Who speaks itself is worth more than who was only heard of, or spoke and never answered.
            if let Some(unseen) = self.membership.oldest_unseen().map(Node::endpoint) {
                self.forget(now, unseen);
            }
        }
        let heard = self.membership.hear(now, node, word);
        if let Heard::Replaced(old) = &heard {
            self.dropped(now, old);
        }
        if matches!(heard, Heard::Added | Heard::Replaced(_)) {
            let endpoint = node.endpoint();
            self.changed = true;
            self.contacts
                .insert(endpoint, Contact::new(now, self.timing.repair_pause));
            self.set_expiry(endpoint);
            self.pursue(now, endpoint);
        }
        heard
    }

    fn forget(&mut self, now: Duration, endpoint: SocketAddr) {
        if let Some(node) = self.membership.forget(now, endpoint) {
            self.dropped(now, &node);
        }
    }

    /// Clears up after a node that membership has forgotten.
    fn dropped(&mut self, now: Duration, node: &Node) {
        let endpoint = node.endpoint();
        self.changed = true;
        // An exchange under way stays in its slot until it ends; nobody then waits for its answer.
        self.contacts.remove(&endpoint);
        self.timers.cancel(Timer::Contact(endpoint));
        self.timers.cancel(Timer::Expiry(endpoint));
        if self.directory.drop_node(node) {
            self.search_if_alone(now);
        }
    }

    fn set_expiry(&mut self, endpoint: SocketAddr) {
        match self.membership.expiry(endpoint) {
            Some(at) => self.timers.set(Timer::Expiry(endpoint), at),
            None => self.timers.cancel(Timer::Expiry(endpoint)),
        }
    }

    /// About this long: a tenth more or less, so that nodes do not march in step.
    fn about(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.rng.random_range(0.9..1.1))
    }

    fn hash(&self) -> Arc<str> {
        self.membership.hash()
    }
}
