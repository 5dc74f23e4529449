//! Constant traffic with every outcome recorded.

mod record;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::cluster::answer;
use crate::cluster::topology::Route;
pub use record::{Fault, Judged, Outcome, Record};

/// Time that a request may take; the frontend itself answers within 5 s.
const REQUEST_LIMIT: Duration = Duration::from_secs(7);

/// How much traffic there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Clients on each route.
    pub clients: usize,
    /// Time between two requests of a client. One that waits for an answer skips its turns meanwhile.
    pub period: Duration,
}

impl Pace {
    /// Three clients, a request every 10 ms each: for a moment that matters. A request is up to five connections, and
    /// the kernel keeps a record of each for two minutes, in a table that is not large.
    pub const DENSE: Self = Self {
        clients: 3,
        period: Duration::from_millis(10),
    };
}

impl Default for Pace {
    /// Three clients, a request every 40 ms each.
    fn default() -> Self {
        Self {
            period: Duration::from_millis(40),
            ..Self::DENSE
        }
    }
}

/// Traffic that flows until it is finished. Dropped, it ends at once.
#[derive(Debug)]
pub struct Traffic {
    recording: Recording,
    routes: Vec<Route>,
    /// Where each route begins; a route without an address rests.
    addresses: watch::Sender<Vec<Option<SocketAddr>>>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

/// A look at what traffic has recorded, which outlives it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Recording {
    record: Arc<Mutex<Record>>,
    start: Instant,
}

impl Recording {
    /// Looks at what was recorded so far. Nothing is recorded meanwhile, so this must be quick.
    pub fn read<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, outcome: Outcome) {
        self.record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(outcome);
    }
}

impl Traffic {
    /// Sends requests on every route.
    pub fn start(routes: &[(Route, SocketAddr)], pace: Pace) -> Self {
        let start = Instant::now();
        let (routes, addresses): (Vec<Route>, Vec<SocketAddr>) = routes.iter().cloned().unzip();
        let record = Record::new(routes.clone(), SystemTime::now());
        let recording = Recording {
            record: Arc::new(Mutex::new(record)),
            start,
        };
        let (addresses, known) = watch::channel(addresses.into_iter().map(Some).collect());
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for (index, route) in routes.iter().enumerate() {
            for _ in 0..pace.clients {
                let client = Client {
                    index,
                    route: route.clone(),
                    addresses: known.clone(),
                    recording: recording.clone(),
                };
                clients.spawn(client.run(pace.period, stop.clone()));
            }
        }
        Self {
            recording,
            routes,
            addresses,
            stop,
            clients,
        }
    }

    /// The time since the traffic began, on which outcomes are dated.
    pub fn now(&self) -> Duration {
        self.recording.start.elapsed()
    }

    /// Looks at what was recorded so far.
    pub fn read<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        self.recording.read(look)
    }

    /// What it records, to be looked at after its end too.
    pub fn recording(&self) -> Recording {
        self.recording.clone()
    }

    /// Sends the next requests where `routes` begin now. A route that is not among them rests until it is again.
    pub fn reroute(&self, routes: &[(Route, SocketAddr)]) {
        let address = |route: &Route| {
            let found = routes.iter().find(|(known, _)| known == route);
            found.map(|(_, address)| *address)
        };
        self.addresses
            .send_replace(self.routes.iter().map(address).collect());
    }

    /// Sends nothing on the routes that begin at the member of this name until it is rerouted.
    pub fn rest(&self, member: &str) {
        self.addresses.send_modify(|addresses| {
            for (route, address) in self.routes.iter().zip(addresses) {
                if route.member == member {
                    *address = None;
                }
            }
        });
    }

    /// Ends the traffic, waits for requests under way, and hands over what was recorded.
    pub async fn finish(mut self) -> Record {
        self.stop.cancel();
        while self.clients.join_next().await.is_some() {}
        self.read(Record::clone)
    }
}

/// One client on one route.
struct Client {
    index: usize,
    route: Route,
    addresses: watch::Receiver<Vec<Option<SocketAddr>>>,
    recording: Recording,
}

impl Client {
    async fn run(mut self, period: Duration, stop: CancellationToken) {
        let mut turns = tokio::time::interval(period);
        turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // A request that is under way when the traffic ends is waited for: its failure counts too.
        while stop.run_until_cancelled(turns.tick()).await.is_some() {
            let index = self.index;
            let known = self
                .addresses
                .wait_for(|addresses| addresses.get(index).is_some_and(Option::is_some));
            let address = match stop.run_until_cancelled(known).await {
                Some(Ok(addresses)) => addresses.get(index).copied().flatten(),
                Some(Err(_)) | None => return,
            };
            let Some(address) = address else { continue };
            let at = self.recording.start.elapsed();
            let result = answer::ask(address, &self.route, REQUEST_LIMIT).await;
            self.recording.add(Outcome {
                at,
                took: self.recording.start.elapsed().saturating_sub(at),
                route: index,
                result,
            });
        }
    }
}

#[cfg(test)]
mod tests;
