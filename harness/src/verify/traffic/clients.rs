//! How the clients of traffic use connections.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Pace;
use crate::cluster::answer::{self, Answer};
use crate::cluster::topology::Route;
use crate::http::{Session, Version};

/// Clients with a kept connection on each route.
const KEPT: usize = 2;
/// Requests that an HTTP/2 client sends at the same time.
const STREAMS: usize = 4;
/// Time between two requests of all clients of one kind on a route, if they keep their connections.
const KEPT_PERIOD: Duration = Duration::from_millis(40);

/// How the clients of a route use connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// A new connection for each request, as `curl` makes.
    New,
    /// One connection for all requests, as most clients keep theirs: HTTP/1.1.
    KeepAlive,
    /// One connection for all requests, four of them at the same time: HTTP/2 with prior knowledge.
    Streams,
}

impl Clients {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::New, Self::KeepAlive, Self::Streams];

    /// Requests in flight on a route at a time, at most.
    pub fn concurrency(self, pace: Pace) -> usize {
        match self {
            Self::New => pace.clients,
            Self::KeepAlive => KEPT,
            Self::Streams => STREAMS,
        }
    }

    /// Time between two requests of one client or stream on a route.
    pub(super) fn period(self, pace: Pace, route: &Route) -> Duration {
        match self {
            // A failure there is seen by the sidecar, however rare requests are.
            Self::New if route.repeats_requests() => pace.period.max(KEPT_PERIOD),
            Self::New => pace.period,
            Self::KeepAlive => KEPT_PERIOD * KEPT as u32,
            Self::Streams => KEPT_PERIOD * STREAMS as u32,
        }
    }

    /// One caller for each request in flight. Those of HTTP/2 share their connection.
    pub(super) fn callers(self, pace: Pace) -> Vec<Caller> {
        let caller = |version| Caller(Some(Arc::new(Kept::new(version))));
        match self {
            Self::New => vec![Caller(None); pace.clients],
            Self::KeepAlive => (0..KEPT).map(|_| caller(Version::Http1)).collect(),
            Self::Streams => vec![caller(Version::Http2); STREAMS],
        }
    }

    /// The version of HTTP of a connection that is kept.
    pub fn version(self) -> Option<Version> {
        match self {
            Self::New => None,
            Self::KeepAlive => Some(Version::Http1),
            Self::Streams => Some(Version::Http2),
        }
    }
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new connections",
            Self::KeepAlive => "keep-alive",
            Self::Streams => "h2",
        })
    }
}

/// A route, and how its clients use connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The route.
    pub route: Route,
    /// Its clients.
    pub clients: Clients,
}

impl Lane {
    /// Its name in messages, for instance `lb:8083/ (keep-alive)`.
    pub fn name(&self) -> String {
        match self.clients {
            Clients::New => self.route.name(),
            kept => format!("{} ({kept})", self.route.name()),
        }
    }

    /// Whether each of its requests is balanced by itself. Otherwise they go where their connection went.
    pub fn balances_requests(&self) -> bool {
        self.clients == Clients::New || self.route.balances_requests()
    }
}

impl From<Route> for Lane {
    /// With a new connection for each request.
    fn from(route: Route) -> Self {
        Self {
            route,
            clients: Clients::New,
        }
    }
}

/// Sends requests, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Caller(Option<Arc<Kept>>);

/// A connection that is kept while the server has the same address.
#[derive(Debug)]
struct Kept {
    version: Version,
    session: Mutex<Option<Arc<Session>>>,
}

impl Caller {
    /// Sends a request on the route.
    pub(super) async fn ask(
        &self,
        address: SocketAddr,
        route: &Route,
        limit: Duration,
    ) -> Result<Answer, String> {
        match &self.0 {
            None => answer::ask(address, route, limit).await,
            Some(kept) => answer::read(kept.session(address).get(&route.target, limit).await, route),
        }
    }

    /// Connections that were opened after the first.
    pub(super) fn reconnects(&self) -> usize {
        let Some(kept) = &self.0 else { return 0 };
        let session = kept.session.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = session.as_ref().map_or(0, |session| session.opened());
        opened.saturating_sub(1)
    }
}

impl Kept {
    fn new(version: Version) -> Self {
        Self {
            version,
            session: Mutex::default(),
        }
    }

    fn session(&self, address: SocketAddr) -> Arc<Session> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        match session.as_ref().filter(|session| session.address() == address) {
            Some(session) => Arc::clone(session),
            None => Arc::clone(session.insert(Arc::new(Session::new(address, self.version)))),
        }
    }
}
