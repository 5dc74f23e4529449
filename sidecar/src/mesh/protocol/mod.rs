//! The discovery protocol as one state machine: time and events in, actions out. Pure.
//!
//! [`Protocol`] routes: it passes each event to the parts below and turns their decisions into actions.
//!
//! | part | decides |
//! |---|---|
//! | [`peer`] | whether a peer is unverified, alive, suspect, down or left: all transitions |
//! | [`membership`] | which peers there are, their hash and digest; tombstones, expiry |
//! | [`search`], `targets`, `sweep` | where to search for peers, and when |
//! | [`join`] | which of two nodes asks first, and when a peer that is not up is checked again |
//! | [`probe`] | when to probe a peer, and what follows a missed probe |
//! | [`suspicion`] | which reports of others lead to a probe |
//! | [`broadcast`] | which suspicions to send to others, and how often |
//! | [`anti_entropy`] | which differences to repair, and when |
//! | [`exchange`], `plan` | which exchange is next with a peer, and what its failure means |
//! | `learnt` | which addresses others may name |
//! | `cookies` | whether a datagram is the word of the peer that it names |
//! | `attempts` | how often an address is asked that has never answered |
//! | [`concurrency`] | how many exchanges run at once |
//! | `leave` | whether a peer that is said to leave does |
//! | `readdress` | what follows a change of the node's own address |
//! | `resume` | what the next process of the node is handed, and how it goes on |
//! | [`crate::rtt`], [`crate::local_health`] | how timeouts grow: with the time that answers take, and with our own delay |
//!
//! Events are routed in `datagrams` (what arrives by UDP), `requests` (other nodes' requests), `answers` (the ends of
//! our own exchanges) and `peers` (what follows a transition). All tunables are in [`config`].

mod answers;
mod anti_entropy;
mod attempts;
mod broadcast;
mod concurrency;
pub mod config;
mod cookies;
mod datagrams;
mod event;
mod exchange;
mod introduction;
mod join;
mod learnt;
mod leave;
mod leave_claim;
pub mod membership;
pub mod peer;
mod peer_event;
mod peers;
mod plan;
mod probe;
mod readdress;
mod requests;
mod resume;
mod search;
mod suspicion;
mod sweep;
mod targets;
mod timers;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rand::SeedableRng;
use rand::rngs::StdRng;

use self::anti_entropy::AntiEntropy;
use self::attempts::Attempts;
use self::broadcast::Broadcasts;
pub use self::config::Config;
use self::cookies::Cookies;
pub use self::event::{Action, Departure, Event, Failure};
use self::exchange::Exchanges;
use self::join::Join;
use self::membership::Membership;
use self::plan::Plan;
use self::probe::Probes;
pub use self::resume::Knowledge;
use self::search::Searches;
use self::suspicion::Suspicion;
pub use self::targets::Search;
use self::timers::Timers;
use super::directory::Directory;
use super::directory::acceptance::Acceptance;
use super::wire::{Answer, Dropped, Node, Request};
use crate::balance::service::{Instances, Offer};
use crate::interface::Networks;
use crate::local_health::LocalHealth;

/// Timers. Of those that are due at the same time, the first of these comes first.
#[derive(Debug, Clone, Copy)]
enum Timer {
    SearchNear,
    SearchFar,
    Exchange,
    Expiry,
    Probe,
    Leave,
}

/// One node of the mesh, without sockets and clock. Times are relative to any fixed moment.
#[derive(Debug)]
pub struct Protocol {
    config: Arc<Config>,
    own_name: Arc<str>,
    membership: Membership,
    directory: Directory,
    searches: Searches,
    join: Join,
    probes: Probes,
    suspicion: Suspicion,
    broadcasts: Broadcasts,
    anti_entropy: AntiEntropy,
    exchanges: Exchanges,
    attempts: Attempts,
    cookies: Cookies,
    /// When to decide about claims that peers leave.
    leaves: Timers<SocketAddr>,
    local_health: LocalHealth,
    /// The addresses and networks of this machine.
    networks: Networks,
    /// See [`Acceptance::permitted`].
    instance_networks: Vec<IpNet>,
    rng: StdRng,
    /// What is left out of the message that is being handled.
    dropped: Dropped,
    actions: Vec<Action>,
    changed: bool,
    left: bool,
}

impl Protocol {
    /// A node without peers. Equal seeds make equal choices.
    pub fn new(own: Node, search: Search, config: Config, seed: u64) -> Self {
        let config = Arc::new(config);
        let endpoint = own.endpoint();
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            own_name: own.name().into(),
            membership: Membership::new(own.clone(), config.clone()),
            directory: Directory::new(own),
            searches: Searches::new(config.clone(), search, &mut rng),
            join: Join::new(config.clone(), endpoint),
            probes: Probes::new(config.clone(), endpoint),
            suspicion: Suspicion::new(config.clone()),
            broadcasts: Broadcasts::new(config.clone()),
            anti_entropy: AntiEntropy::new(config.clone()),
            exchanges: Exchanges::new(config.clone()),
            attempts: Attempts::new(config.clone()),
            cookies: Cookies::new(seed),
            leaves: Timers::new(),
            local_health: LocalHealth::new(config.rtt()),
            networks: Networks::default(),
            instance_networks: Vec::new(),
            config,
            rng,
            dropped: Dropped::default(),
            actions: Vec::new(),
            changed: false,
            left: false,
        }
    }

    /// Handles one event.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Action> {
        if !self.left {
            match event {
                Event::Wake => self.wake(now),
                Event::Datagram { from, datagram } => self.datagram(now, from, &datagram),
                Event::Hint(node) => self.hinted(now, &node),
                Event::Answered { id, outcome } => self.answered(now, id, outcome),
                Event::Gossips(endpoint) => self.gossip_announced(now, endpoint),
                Event::Disconnected(endpoint) => self.disconnected(now, endpoint),
                Event::Unsent(to) => self.unsent(now, to),
                Event::Offers(offers) => self.offers(now, &offers),
                Event::Networks(networks) => {
                    self.changed |= self.networks != networks;
                    self.networks = networks;
                }
                Event::Leave => self.leave(),
                Event::Readdressed { own, search } => self.readdressed(now, own, search),
            }
        }
        self.take_actions()
    }

    /// Answers another node's request; `from` is the connection's source address.
    pub fn serve(&mut self, now: Duration, from: IpAddr, request: Request) -> (Answer, Vec<Action>) {
        let from = from.to_canonical();
        self.spoke(now, from);
        let answer = self.answer(now, from, request);
        self.report_left_out(from);
        self.served(answer)
    }

    /// As [`Self::serve`], for a request with the header that announces gossip.
    pub fn serve_gossiping(
        &mut self,
        now: Duration,
        from: IpAddr,
        request: Request,
    ) -> (Answer, Vec<Action>) {
        self.spoke(now, from.to_canonical());
        match request {
            Request::Local(list) if list.node.address() == from.to_canonical() => {
                self.joined_by(now, list);
                let answer = Answer::Local(self.directory.local());
                self.served(answer)
            }
            // It only wants to know that we gossip.
            Request::Hash(_) => {
                let answer = Answer::Hash(self.own_hash());
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
        (!self.left).then(|| self.next_timer().0)
    }

    /// The nodes that it knows.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The services that they offer.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// All instances, for the balancer.
    pub fn instances(&self) -> Instances {
        self.directory.instances(&self.acceptance())
    }

    /// Which of the instances that it knows count.
    pub fn acceptance(&self) -> Acceptance<'_> {
        let proved = self
            .membership
            .peers()
            .filter(|peer| peer.is_up() || peer.is_down());
        Acceptance {
            own: self.membership.own(),
            machine: &self.networks,
            permitted: &self.instance_networks,
            nodes: proved.map(|peer| peer.node.address().to_canonical()).collect(),
        }
    }

    /// Sets the networks beyond the own links in which instances count that are not at their node's address.
    #[must_use]
    pub fn with_instance_networks(mut self, networks: Vec<IpNet>) -> Self {
        self.instance_networks = networks;
        self
    }

    /// Whether every peer that is up has acknowledged the last change of the local instances.
    pub fn is_acknowledged(&self) -> bool {
        let revision = self.directory.revision();
        self.membership.up().all(|peer| {
            let plan = self.exchanges.plan(peer.node.endpoint());
            let takes_lists = |plan: &Plan| peer.gossips() || plan.records_us;
            plan.filter(|plan| takes_lists(plan))
                .is_none_or(|plan| plan.acked == revision)
        })
    }

    /// Whether to keep the connection to this endpoint open between exchanges: its end reports a crash at once.
    pub fn keeps_connection(&self, endpoint: SocketAddr) -> bool {
        self.membership.is_up_at(endpoint) && self.up() <= self.config.small_mesh
    }

    /// Reports what was left out of a message from this address.
    fn report_left_out(&mut self, from: IpAddr) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped.count() > 0 {
            self.actions.push(Action::LeftOut { from, dropped });
        }
    }

    fn take_actions(&mut self) -> Vec<Action> {
        if std::mem::take(&mut self.changed) {
            self.actions.push(Action::Publish);
        }
        let cuts = self.directory.take_cuts();
        self.actions.extend(cuts.into_iter().map(Action::Cut));
        std::mem::take(&mut self.actions)
    }

    fn next_timer(&self) -> (Duration, Timer) {
        let mut next = (self.searches.near_at(), Timer::SearchNear);
        let others = [
            (Some(self.searches.far_at()), Timer::SearchFar),
            (self.exchanges.next_deadline(), Timer::Exchange),
            (self.membership.next_expiry(), Timer::Expiry),
            (self.probes.next(), Timer::Probe),
            (self.leaves.next(), Timer::Leave),
        ];
        for (at, timer) in others {
            if let Some(at) = at.filter(|at| *at < next.0) {
                next = (at, timer);
            }
        }
        next
    }

    fn wake(&mut self, now: Duration) {
        let (due, _) = self.next_timer();
        // A search is due from the very first, whenever that is.
        if due > Duration::ZERO {
            self.local_health.fired(now.saturating_sub(due));
        }
        loop {
            let (at, timer) = self.next_timer();
            if at > now {
                return;
            }
            match timer {
                Timer::SearchNear => {
                    let targets = self.searches.near(now, &self.membership, &mut self.rng);
                    self.search(targets);
                }
                Timer::SearchFar => {
                    let targets = self.searches.far(now, &self.membership, &mut self.rng);
                    self.search(targets);
                }
                Timer::Exchange => {
                    if let Some(endpoint) = self.exchanges.pop(now) {
                        self.exchange_if_due(now, endpoint);
                    }
                }
                Timer::Expiry => {
                    if let Some(endpoint) = self.membership.pop_expired(now) {
                        self.forget(now, endpoint, None);
                    }
                }
                Timer::Probe => {
                    if let Some(endpoint) = self.probes.pop(now) {
                        self.probe_if_due(now, endpoint);
                    }
                }
                Timer::Leave => {
                    if let Some(endpoint) = self.leaves.pop(now) {
                        self.leave_due(now, endpoint);
                    }
                }
            }
        }
    }

    /// Replaces the local instances, and announces what changed.
    fn offers(&mut self, now: Duration, offers: &[Offer]) {
        if !self.directory.offer(offers) {
            return;
        }
        self.changed = true;
        let endpoints: Vec<SocketAddr> = self.membership.up().map(|peer| peer.node.endpoint()).collect();
        for endpoint in endpoints {
            if let Some(plan) = self.exchanges.plan_mut(endpoint) {
                plan.push_at = now;
            }
            self.exchange_if_due(now, endpoint);
        }
    }

    /// Peers that are up.
    fn up(&self) -> usize {
        self.membership.healthy().len() - 1
    }
}
