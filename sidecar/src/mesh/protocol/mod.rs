//! The discovery protocol as one state machine: time and events in, actions out. Pure.
//!
//! [`Protocol`] owns what a node knows ([`Membership`], [`Directory`]) and plans its dealings with every
//! other node. It is driven by the agent over real sockets, and by tests over simulated ones.

mod answers;
mod contact;
mod datagrams;
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

use self::contact::{Contact, Exchange, Task};
pub use self::search::Search;
use self::slots::Slots;
use self::timers::Timers;
use super::directory::{Change, Directory};
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
    Search,
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
    search: Search,
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
        timers.set(Timer::Search, Duration::ZERO);
        Self {
            own_name: own.name().into(),
            membership: Membership::new(own.clone(), &timing),
            directory: Directory::new(own),
            contacts: BTreeMap::new(),
            timers,
            slots: Slots::default(),
            search,
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

    fn take_actions(&mut self) -> Vec<Action> {
        if std::mem::take(&mut self.changed) {
            self.actions.push(Action::Publish);
        }
        std::mem::take(&mut self.actions)
    }

    fn wake(&mut self, now: Duration) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Search => self.search_on(now),
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

    /// Does what is due with a node, or waits for it to be due.
    fn pursue(&mut self, now: Duration, endpoint: SocketAddr) {
        let (Some(contact), Some(member)) = (self.contacts.get_mut(&endpoint), self.membership.get(endpoint))
        else {
            return;
        };
        if contact.exchange.is_some() {
            return;
        }
        if contact.nodes_at.is_some_and(|at| at <= now) && contact.heard_hash == Some(self.membership.hash())
        {
            // Meanwhile we have come to know the same nodes.
            contact.nodes_at = None;
        }
        let stranger = !member.up;
        let behind = contact.told != self.directory.revision();
        match contact.due(now, member.up, member.failures > 0, behind) {
            Err(at) => self.timers.set(Timer::Contact(endpoint), at),
            Ok(task) if self.slots.take(endpoint, stranger) => self.start(now, endpoint, task, stranger),
            // Pursued again when a slot is free.
            Ok(_) => self.timers.cancel(Timer::Contact(endpoint)),
        }
    }

    fn start(&mut self, now: Duration, to: SocketAddr, task: Task, stranger: bool) {
        let Some(contact) = self.contacts.get_mut(&to) else {
            return self.slots.release(to);
        };
        let revision = self.directory.revision();
        let local = || Request::Local(self.directory.local());
        let (request, tells) = match task {
            Task::Check if stranger => (local(), Some(revision)),
            Task::Check => (Request::Hash(self.directory.hash()), None),
            Task::Pull => (local(), Some(revision)),
            Task::Push => match self.directory.change_after(contact.told) {
                Some(Change::Add(change)) => (Request::Add(change.clone()), Some(contact.told + 1)),
                Some(Change::Remove(change)) => (Request::Remove(change.clone()), Some(contact.told + 1)),
                None => (local(), Some(revision)),
            },
            Task::Nodes => (Request::Nodes(self.membership.states()), None),
            Task::Sync => (Request::Sync(self.directory.everything()), None),
        };
        match task {
            Task::Check | Task::Push => {}
            Task::Pull => contact.pull_at = None,
            Task::Nodes => contact.nodes_at = None,
            Task::Sync => contact.sync_at = None,
        }
        if matches!(request, Request::Local(_)) {
            contact.pulled = Some(now);
        }
        let timeout = match task {
            Task::Check | Task::Pull | Task::Push => self.timing.check_timeout,
            Task::Nodes | Task::Sync => self.timing.exchange_timeout,
        };
        self.next_id += 1;
        let id = self.next_id;
        contact.exchange = Some(Exchange {
            id,
            task,
            tells,
            news: contact.news,
        });
        self.exchanges.insert(id, to);
        self.timers.cancel(Timer::Contact(to));
        self.actions.push(Action::Exchange {
            id,
            to,
            request,
            timeout,
        });
    }

    /// About this long: a tenth more or less, so that nodes do not march in step.
    fn about(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.rng.random_range(0.9..1.1))
    }

    fn hash(&self) -> Arc<str> {
        self.membership.hash()
    }
}
