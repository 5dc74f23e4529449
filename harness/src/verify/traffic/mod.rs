//! Constant HTTP traffic that records the outcome of every request.

mod clients;
mod record;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::cluster::topology::Route;
use crate::timeline::{Entry, EntryKind};
use clients::Caller;
pub use clients::{Clients, Lane};
pub use record::{Classified, FaultWindow, RequestOutcome, TrafficRecord};

/// Timeout for a request; above the frontend's own timeout of 5 s.
const REQUEST_LIMIT: Duration = Duration::from_secs(7);

/// Failed requests that a timeline lists.
const MAX_ENTRIES: usize = 500;

/// The load on each route by clients that make a new connection for each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Number of clients on each route.
    pub clients: usize,
    /// Time between two requests of a client. Ticks are skipped while a client waits for an answer.
    pub period: Duration,
}

impl Pace {
    /// Three clients with a request every 10 ms each, for short phases only: a request opens up to five connections,
    /// and the kernel tracks each for two minutes in a table of limited size.
    pub const DENSE: Self = Self {
        clients: 3,
        period: Duration::from_millis(10),
    };
}

impl Default for Pace {
    /// Three clients with a request every 40 ms each.
    fn default() -> Self {
        Self {
            period: Duration::from_millis(40),
            ..Self::DENSE
        }
    }
}

/// Running traffic. Dropping it aborts the requests in flight.
#[derive(Debug)]
pub struct Traffic {
    recording: Recording,
    routes: Vec<Route>,
    /// The address of each route; a route without an address is suspended.
    addresses: watch::Sender<Vec<Option<SocketAddr>>>,
    stop: CancellationToken,
    clients: JoinSet<()>,
    /// The callers of each lane.
    callers: Vec<(Lane, Vec<Caller>)>,
}

/// A handle to a record, valid after the traffic has ended. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recording {
    record: Arc<Mutex<TrafficRecord>>,
    start: Instant,
}

impl Recording {
    /// Reads the record so far. `look` must not block: recording waits for it.
    pub fn read<T>(&self, look: impl FnOnce(&TrafficRecord) -> T) -> T {
        look(&self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// When the first request that was sent at `since` or later and failed was sent; `None` if there is none.
    pub fn first_failure(&self, since: SystemTime) -> Option<SystemTime> {
        self.read(|record| {
            let sent = record.failures().map(|outcome| record.sent_at(outcome));
            sent.filter(|at| *at >= since).min()
        })
    }

    /// The first [`MAX_ENTRIES`] failed requests as timeline entries, dated by their ends.
    pub fn timeline_entries(&self) -> Vec<Entry> {
        self.read(|record| {
            let entry = |outcome: &RequestOutcome| {
                let reason = outcome.result.as_ref().err()?;
                Some(Entry {
                    at: record.sent_at(outcome) + outcome.took,
                    source: record.lane(outcome.lane),
                    kind: EntryKind::Request,
                    text: format!("failed after {:.3} s: {reason}", outcome.took.as_secs_f64()),
                })
            };
            record.failures().filter_map(entry).take(MAX_ENTRIES).collect()
        })
    }

    fn add(&self, outcome: RequestOutcome) {
        self.record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(outcome);
    }
}

impl Traffic {
    /// Starts sending requests on every route, by clients of each of these kinds.
    pub fn start(routes: &[(Route, SocketAddr)], kinds: &[Clients], pace: Pace) -> Self {
        let start = Instant::now();
        let (routes, addresses): (Vec<Route>, Vec<SocketAddr>) = routes.iter().cloned().unzip();
        let lane = |route: &Route| {
            let route = route.clone();
            kinds.iter().map(move |clients| Lane {
                route: route.clone(),
                clients: *clients,
            })
        };
        let callers: Vec<(Lane, Vec<Caller>)> = routes
            .iter()
            .flat_map(lane)
            .map(|lane| {
                let callers = lane.clients.callers(pace);
                (lane, callers)
            })
            .collect();
        let lanes = callers.iter().map(|(lane, _)| lane.clone()).collect();
        let record = TrafficRecord::new(lanes, SystemTime::now());
        let recording = Recording {
            record: Arc::new(Mutex::new(record)),
            start,
        };
        let (addresses, known) = watch::channel(addresses.into_iter().map(Some).collect());
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for (lane, (of, callers)) in callers.iter().enumerate() {
            let route = routes.iter().position(|route| *route == of.route);
            for caller in callers {
                let client = Client {
                    lane,
                    route: route.unwrap_or_default(),
                    target: of.route.clone(),
                    caller: caller.clone(),
                    addresses: known.clone(),
                    recording: recording.clone(),
                };
                clients.spawn(client.run(of.clients.period(pace, &of.route), stop.clone()));
            }
        }
        Self {
            recording,
            routes,
            addresses,
            stop,
            clients,
            callers,
        }
    }

    /// The lanes of which a client has connected again.
    pub fn reconnected(&self) -> Vec<String> {
        let again = |callers: &[Caller]| callers.iter().any(|caller| caller.reconnects() > 0);
        let lanes = self.callers.iter().filter(|(_, callers)| again(callers));
        lanes.map(|(lane, _)| lane.name()).collect()
    }

    /// Time since the start of the traffic, the clock of all recorded outcomes.
    pub fn now(&self) -> Duration {
        self.recording.start.elapsed()
    }

    /// Reads the record so far.
    pub fn read<T>(&self, look: impl FnOnce(&TrafficRecord) -> T) -> T {
        self.recording.read(look)
    }

    /// A handle to the record.
    pub fn recording(&self) -> Recording {
        self.recording.clone()
    }

    /// Replaces the addresses of the routes. A route missing from `routes` is suspended until it is given again.
    pub fn reroute(&self, routes: &[(Route, SocketAddr)]) {
        let address = |route: &Route| {
            let found = routes.iter().find(|(known, _)| known == route);
            found.map(|(_, address)| *address)
        };
        self.addresses
            .send_replace(self.routes.iter().map(address).collect());
    }

    /// Suspends the routes through `member` until the next [`Traffic::reroute`].
    pub fn suspend(&self, member: &str) {
        self.addresses.send_modify(|addresses| {
            for (route, address) in self.routes.iter().zip(addresses) {
                if route.member == member {
                    *address = None;
                }
            }
        });
    }

    /// Ends the traffic, waits for the requests in flight, and returns the record.
    pub async fn finish(mut self) -> TrafficRecord {
        self.stop.cancel();
        while self.clients.join_next().await.is_some() {}
        self.read(TrafficRecord::clone)
    }
}

/// One client of a lane, or one of those that share its connection.
struct Client {
    lane: usize,
    /// The index of its route's address.
    route: usize,
    target: Route,
    caller: Caller,
    addresses: watch::Receiver<Vec<Option<SocketAddr>>>,
    recording: Recording,
}

impl Client {
    async fn run(mut self, period: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // A request in flight at the end is awaited: its failure counts too.
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let index = self.route;
            let known = self
                .addresses
                .wait_for(|addresses| addresses.get(index).is_some_and(Option::is_some));
            let address = match stop.run_until_cancelled(known).await {
                Some(Ok(addresses)) => addresses.get(index).copied().flatten(),
                Some(Err(_)) | None => return,
            };
            let Some(address) = address else { continue };
            let at = self.recording.start.elapsed();
            let result = self.caller.ask(address, &self.target, REQUEST_LIMIT).await;
            self.recording.add(RequestOutcome {
                at,
                took: self.recording.start.elapsed().saturating_sub(at),
                lane: self.lane,
                result,
            });
        }
    }
}

#[cfg(test)]
mod tests;
