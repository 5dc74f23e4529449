//! A server group: picks one of its servers for a connection, and keeps their health.

mod lease;
mod servers;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

pub(super) use self::lease::Kind;
pub use self::lease::{FailedLease, Lease, UNTESTED_TIMEOUT};
pub use self::servers::LearnedServer;
use super::check_kind::CheckKind;
use super::circuit_breaker::CircuitBreaker;
use super::connect_failures::{ConnectFailureCounters, Connects};
use super::counters::Counters;
use super::endpoint::{Endpoint, Priority};
use super::health_check::{CheckConfig, CheckOutcome};
use super::latency::{CONNECT_TIME_BOUNDS, Latencies, LatencyCounters};
use super::outlier::OutlierEjection;
use super::outlook::Outlook;
use super::protocol::Protocol;
use super::requests::RequestCounters;
use super::selection::Method;
use super::server::Server;
use super::tried::Tried;
use super::wrr;

/// A set of servers with one balancing method and one health check. Shared by all parts that pick from it, check it,
/// or change it.
///
/// When the endpoints that connections are picked from or their weights change, round robin starts a new cycle, so that shares
/// are exact from the next pick on. Other endpoints come and go without effect on the shares.
#[derive(Debug)]
pub struct ServerGroup {
    name: String,
    check_config: watch::Sender<CheckConfig>,
    check_kind: watch::Sender<CheckKind>,
    /// Notified when servers are added or removed.
    membership: watch::Sender<()>,
    counters: Counters,
    connects: ConnectFailureCounters,
    connect_latency: LatencyCounters,
    requests: RequestCounters,
    ejections: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    method: Method,
    protocol: Protocol,
    pub(super) outlier_ejection: Option<OutlierEjection>,
    next_id: u64,
    /// The configured endpoints in the order they were added, then the learned ones in the mesh's order.
    pub(super) endpoints: Vec<Endpoint>,
    /// The endpoints that connections are picked from, and their weights, in the present cycle of round robin.
    cycle: Vec<(u64, u32)>,
    /// What a new connection can expect.
    outlook: watch::Sender<Outlook>,
    breaker: CircuitBreaker,
}

impl ServerGroup {
    /// An empty group.
    pub fn new(name: impl Into<String>, check_config: CheckConfig, method: Method) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            check_config: watch::Sender::new(check_config),
            check_kind: watch::Sender::default(),
            membership: watch::Sender::new(()),
            counters: Counters::default(),
            connects: ConnectFailureCounters::default(),
            connect_latency: LatencyCounters::new(&CONNECT_TIME_BOUNDS),
            requests: RequestCounters::default(),
            ejections: AtomicU64::new(0),
            state: Mutex::new(State {
                method,
                protocol: Protocol::default(),
                outlier_ejection: None,
                next_id: 0,
                endpoints: Vec::new(),
                cycle: Vec::new(),
                outlook: watch::Sender::new(Outlook::None),
                breaker: CircuitBreaker::default(),
            }),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its balancing method.
    pub fn method(&self) -> Method {
        self.state().method
    }

    /// Changes the balancing method, from the next pick on.
    pub fn set_method(&self, method: Method) {
        let mut state = self.state();
        if state.method != method {
            state.method = method;
            wrr::restart(&mut state.endpoints);
        }
    }

    /// What connections that name the group carry.
    pub fn protocol(&self) -> Protocol {
        self.state().protocol
    }

    /// Changes what connections that name the group carry, from the next one on.
    pub fn set_protocol(&self, protocol: Protocol) {
        self.state().protocol = protocol;
    }

    /// Connections to its servers and the bytes that they carried, including servers that were removed.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Failed attempts to connect to its servers, including servers that were removed.
    pub fn connects(&self) -> Connects {
        self.connects.read()
    }

    /// Latencies of connecting to its servers, including servers that were removed.
    pub fn connect_times(&self) -> Latencies {
        self.connect_latency.read()
    }

    /// HTTP requests to its servers, including servers that were removed.
    pub fn requests(&self) -> &RequestCounters {
        &self.requests
    }

    /// How often its servers were ejected for their answers.
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    pub(super) fn count_ejection(&self) {
        self.ejections.fetch_add(1, Ordering::Relaxed);
    }

    /// Picks a server for a client: one with a weight above 0 that was not tried by this request, of those with the highest
    /// [`Priority`]. `None` if there is no candidate.
    pub fn pick(self: &Arc<Self>, client: IpAddr, tried: &Tried) -> Option<Lease> {
        let mut state = self.state();
        let best = state.best(tried)?;
        let method = state.method;
        let eligible = |e: &Endpoint| e.priority(tried) == Some(best);
        let index = method.select(&mut state.endpoints, client, eligible)?;
        let ejection = state.outlier_ejection;
        let endpoint = &mut state.endpoints[index];
        let is_trial = ejection.is_some_and(|ejection| endpoint.outlier.pick(tried.began(), ejection));
        let kind = endpoint.kind();
        // Created under the lock, so that the next pick counts this connection.
        let mut lease = Lease::new(Arc::clone(self), Arc::clone(&endpoint.server), kind);
        lease.is_trial = is_trial;
        lease.is_recorded = ejection.is_some();
        if kind == Kind::Untested && state.candidates(tried).count() > 1 {
            lease.hurry();
        }
        Some(lease)
    }

    /// Picks the server with exactly this address, whatever its health. Its failure says nothing about the others.
    pub(super) fn lease_at(self: &Arc<Self>, address: SocketAddr) -> Option<Lease> {
        let state = self.state();
        let mut endpoints = state.endpoints.iter();
        let endpoint = endpoints.find(|e| e.server.address() == address && e.serves_by_address())?;
        let server = Arc::clone(&endpoint.server);
        Some(Lease::new(Arc::clone(self), server, Kind::Proven))
    }

    /// What a new connection can expect.
    pub fn outlook(&self) -> Outlook {
        *self.state().outlook.borrow()
    }

    /// Notifies of changes of what a new connection can expect.
    pub fn watch_outlook(&self) -> watch::Receiver<Outlook> {
        self.state().outlook.subscribe()
    }

    /// Has the servers that are not up checked soon: a connection waits for one.
    pub fn recheck(&self) {
        for endpoint in self.state().endpoints.iter().filter(|e| !e.health.is_up()) {
            endpoint.server.recheck.notify_one();
        }
    }

    /// The priority of its best candidate.
    pub(super) fn priority(&self, tried: &Tried) -> Option<Priority> {
        self.state().best(tried)
    }

    /// Requests that begin within the next second do not try last-choice endpoints.
    pub(super) fn open_breaker(&self, now: Instant) {
        self.state().breaker.open(now);
    }

    /// Makes a server the last of those that are up until a health check passes.
    fn eject(&self, server: &Server) {
        let mut state = self.state();
        if let Some(endpoint) = state.endpoints.iter_mut().find(|e| e.server.id() == server.id()) {
            let before = endpoint.rank();
            endpoint.health.eject();
            if endpoint.rank() != before {
                state.candidates_changed(&self.name);
            }
        }
    }

    /// Configuration of its health checks.
    pub fn check_config(&self) -> CheckConfig {
        *self.check_config.borrow()
    }

    /// Changes the configuration of its health checks, from now on.
    pub fn set_check_config(&self, config: CheckConfig) {
        self.check_config.send_replace(config);
    }

    /// How its servers are checked.
    pub fn check_kind(&self) -> CheckKind {
        self.check_kind.borrow().clone()
    }

    /// Changes how its servers are checked, from now on.
    pub fn set_check_kind(&self, kind: CheckKind) {
        self.check_kind.send_replace(kind);
        // Has the checks that wait read it.
        self.check_config.send_modify(|_| {});
    }

    /// Notifies of changed configuration of the health checks.
    pub fn watch_check_config(&self) -> watch::Receiver<CheckConfig> {
        self.check_config.subscribe()
    }

    /// The servers to check.
    pub fn checked(&self) -> Vec<Arc<Server>> {
        let state = self.state();
        state.endpoints.iter().map(|e| Arc::clone(&e.server)).collect()
    }

    /// Notifies of servers that are added or removed.
    pub fn watch_membership(&self) -> watch::Receiver<()> {
        self.membership.subscribe()
    }

    /// Records the outcome of a health check. Returns whether the server is up, if that changed; the outcome for a
    /// removed server changes nothing. If checks without an answer take the server down, this also ends its
    /// connections, except those to an instance of a node that is down; if its machine refuses them, that machine ends the
    /// connections itself. A server that accepts connections and answers no request may only be busy: its connections end
    /// only if another server is usable.
    pub fn report(&self, server: &Server, outcome: CheckOutcome) -> Option<bool> {
        let config = self.check_config();
        let mut state = self.state();
        let endpoint = state
            .endpoints
            .iter_mut()
            .find(|e| e.server.id() == server.id())?;
        server.checks.count(outcome);
        let before = endpoint.rank();
        let change = endpoint.health.observe(outcome, &config);
        let rank = endpoint.rank();
        let unanswered = change == Some(false) && outcome == CheckOutcome::Failed && !endpoint.is_lost();
        let may_be_busy = matches!(self.check_kind(), CheckKind::Http(_));
        if unanswered && (!may_be_busy || state.endpoints.iter().any(Endpoint::is_usable)) {
            server.mark_down(&self.name);
        }
        if rank != before {
            state.candidates_changed(&self.name);
        }
        change
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves no change half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The priorities of a request's candidates.
    fn candidates(&self, tried: &Tried) -> impl Iterator<Item = Priority> {
        let rejected = self.breaker.rejects(tried.began());
        let endpoints = self.endpoints.iter().filter(move |e| !(rejected && e.is_lost()));
        endpoints.filter_map(|e| e.priority(tried))
    }

    /// The priority of the best candidate.
    fn best(&self, tried: &Tried) -> Option<Priority> {
        self.candidates(tried).max()
    }

    /// Follows a change of the endpoints: reports the outlook, restarts round robin if connections are picked from others now, and ends the
    /// connections to instances of nodes that are down if another endpoint has become usable.
    pub(super) fn candidates_changed(&mut self, group: &str) {
        let best = self.endpoints.iter().filter_map(Endpoint::rank).max();
        let picked = self.endpoints.iter().filter(|e| e.rank() == best);
        let cycle = picked.map(|e| (e.server.id(), e.weight));
        if best.is_some() && !cycle.clone().eq(self.cycle.iter().copied()) {
            self.cycle = cycle.collect();
            wrr::restart(&mut self.endpoints);
        }
        let outlook = Outlook::of(best);
        self.outlook
            .send_if_modified(|before| std::mem::replace(before, outlook) != outlook);
        let usable = best == Some(Priority::Good);
        for endpoint in &mut self.endpoints {
            let superseded = usable && endpoint.is_lost();
            if !std::mem::replace(&mut endpoint.superseded, superseded) && superseded {
                endpoint.server.mark_down(group);
            }
        }
    }
}
