//! The discovery protocol as one state machine: time and events in, actions out. Pure.
//!
//! [`Protocol`] owns what a node knows ([`Membership`], [`Directory`]) and plans its dealings with every
//! other node. It is driven by the agent over real sockets, and by tests over simulated ones.

mod answers;
mod contact;
mod datagrams;
mod differences;
mod doubts;
mod event;
mod gossip;
mod meeting;
mod neighbours;
mod patience;
mod plan;
mod rumours;
mod search;
mod serve;
mod slots;
mod sweep;
mod timers;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::contact::Contact;
use self::differences::Differences;
pub use self::event::{Action, Departure, Event, Failure};
use self::patience::Patience;
use self::rumours::Rumours;
use self::search::Near;
pub use self::search::Search;
use self::slots::Slots;
use self::sweep::Sweep;
use self::timers::Timers;
use super::directory::Directory;
use super::membership::Membership;
use super::timing::Timing;
use super::view::View;
use super::wire::{Answer, Node, Request};
use crate::balance::service::{Instances, Offer};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    SearchNear,
    SearchFar,
    Contact(SocketAddr),
    Expiry(SocketAddr),
    Ping(SocketAddr),
}

/// One node of the mesh, without sockets and clock. Times count from any fixed moment.
#[derive(Debug)]
pub struct Protocol {
    membership: Membership,
    directory: Directory,
    contacts: BTreeMap<SocketAddr, Contact>,
    timers: Timers<Timer>,
    slots: Slots,
    patience: Patience,
    near: Near,
    far: Sweep,
    /// Rounds near us that have ended since we were last alone.
    rounds: u32,
    /// Sweeps of the rest that have.
    sweeps: u32,
    rumours: Rumours,
    /// When some were last told of those that are missed without waiting for their turns.
    told_some: Duration,
    differing_nodes: Differences,
    differing_lists: Differences,
    /// When nodes that had gone down were last looked for in a hurry.
    hurried: Duration,
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
        let mut rng = StdRng::seed_from_u64(seed);
        let (near, far) = search.split(timing.search_near, &mut rng);
        let far_at = if near.goes_beyond() {
            timing.search_settled_pause
        } else {
            Duration::ZERO
        };
        timers.set(Timer::SearchFar, far_at);
        Self {
            own_name: own.name().into(),
            membership: Membership::new(own.clone(), &timing),
            directory: Directory::new(own),
            contacts: BTreeMap::new(),
            timers,
            slots: Slots::default(),
            patience: Patience::default(),
            near,
            far,
            rounds: 0,
            sweeps: 0,
            rumours: Rumours::default(),
            told_some: Duration::ZERO,
            differing_nodes: Differences::default(),
            differing_lists: Differences::default(),
            hurried: Duration::ZERO,
            timing,
            rng,
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
                Event::Gossips(endpoint) => self.says_gossips(now, endpoint),
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
        self.served(answer)
    }

    /// As [`Self::serve`], where the request says that the asker gossips.
    pub fn serve_gossiping(
        &mut self,
        now: Duration,
        from: IpAddr,
        request: Request,
    ) -> (Answer, Vec<Action>) {
        match request {
            Request::Local(list) if list.node.address() == from => {
                self.met(now, list);
                let answer = Answer::Local(self.directory.local());
                self.served(answer)
            }
            other => self.serve(now, from, other),
        }
    }

    fn served(&mut self, answer: Answer) -> (Answer, Vec<Action>) {
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
                Timer::Ping(endpoint) => self.ping_if_turn(now, endpoint),
                Timer::Expiry(endpoint) => self.forget(now, endpoint, None),
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

    /// About this long: a tenth more or less, so that nodes do not march in step.
    fn about(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.rng.random_range(0.9..1.1))
    }

    /// Some of this time: at least that share.
    fn part_of(&mut self, time: Duration, least: f64) -> Duration {
        time.mul_f64(self.rng.random_range(least..1.0))
    }

    fn hash(&self) -> Arc<str> {
        self.membership.hash()
    }
}
