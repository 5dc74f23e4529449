//! A listener: it owns its connections, shows them, and ends them in order.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Limits;
use super::access::{SecurityGroup, Verdict};
use super::admission::{Admission, Handle};
use super::refusal::{RefusalCounters, Refusals};
use super::session::SessionView;
use super::sessions::Sessions;
use super::workers::Workers;
use crate::balance::{Counters, Totals};
use crate::serve::{drained, serve, serve_backlog};

/// Connections that the kernel may hold for us; it has a limit of its own, `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// After the cut, connections end at once; this bounds the wait for that.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Binds a listening socket, ready for [`TcpLb::start`](super::tcp_lb::TcpLb::start) and its like.
///
/// # Errors
/// What the system says, with the address.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // Otherwise connections of an earlier run, closed but remembered by the kernel, hold the address.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen().map_err(|source| BindError { address, source })
}

/// A listener that accepts until it is closed or dropped. Its connections live on after that, until they end
/// or are cut by [`Listener::drain`].
#[derive(Debug)]
pub struct Listener {
    local: SocketAddr,
    stop: CancellationToken,
    accepting: TaskTracker,
    connections: TaskTracker,
    shared: Arc<Shared>,
}

/// What the listener and its connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) permits: Semaphore,
    pub(super) counters: Counters,
    pub(super) refusals: RefusalCounters,
    pub(super) sessions: Sessions,
    security_group: RwLock<Option<Arc<SecurityGroup>>>,
}

impl Shared {
    /// Whether the security group denies a client at a port.
    pub(super) fn denies(&self, client: IpAddr, port: u16) -> bool {
        let group = self.security_group.read().unwrap_or_else(PoisonError::into_inner);
        group
            .as_ref()
            .is_some_and(|group| group.verdict(client, port) == Verdict::Deny)
    }
}

impl Listener {
    /// Begins to accept on a bound listener, on each of the workers.
    ///
    /// # Errors
    /// When the system refuses a setting of the socket.
    pub(super) fn start<H: Handle>(
        listener: std::net::TcpListener,
        handler: &Arc<H>,
        security_group: Option<Arc<SecurityGroup>>,
        limits: Limits,
        workers: &Workers,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // Accepted connections inherit it, which saves a system call on each.
        SockRef::from(&listener).set_tcp_nodelay(true)?;
        let this = Self {
            local: listener.local_addr()?,
            stop: CancellationToken::new(),
            accepting: TaskTracker::new(),
            connections: TaskTracker::new(),
            shared: Arc::new(Shared {
                limits,
                permits: Semaphore::new(limits.connections),
                counters: Counters::default(),
                refusals: RefusalCounters::default(),
                sessions: Sessions::default(),
                security_group: RwLock::new(security_group),
            }),
        };
        for runtime in workers.runtimes() {
            let listener = {
                let _within = runtime.enter();
                TcpListener::from_std(listener.try_clone()?)?
            };
            let admission = Admission {
                local: this.local,
                handler: Arc::clone(handler),
                shared: Arc::clone(&this.shared),
            };
            let (connections, stop) = (this.connections.clone(), this.stop.clone());
            let accepting = async move {
                serve(&listener, &admission, &connections, &stop).await;
                serve_backlog(&listener, &admission, &connections);
            };
            this.accepting.spawn_on(accepting, &runtime);
        }
        this.accepting.close();
        Ok(this)
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Connections open now.
    pub fn active(&self) -> usize {
        usize::try_from(self.shared.counters.active()).unwrap_or(usize::MAX)
    }

    /// What it accepted, those turned away included, and passed on.
    pub fn totals(&self) -> Totals {
        self.shared.counters.totals()
    }

    /// Those of the accepted that got nowhere.
    pub fn refusals(&self) -> Refusals {
        self.shared.refusals.read()
    }

    /// Which clients are served; all where there is none.
    pub fn security_group(&self) -> Option<Arc<SecurityGroup>> {
        let group = self.shared.security_group.read();
        group.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves other clients from the next connection on; established ones stay.
    pub fn set_security_group(&self, group: Option<Arc<SecurityGroup>>) {
        *self
            .shared
            .security_group
            .write()
            .unwrap_or_else(PoisonError::into_inner) = group;
    }

    /// Its connections, in the order in which they were accepted.
    pub fn sessions(&self) -> Vec<SessionView> {
        self.shared.sessions.all().iter().map(|s| s.view()).collect()
    }

    /// Ends the connections that match, at once and with a reset on both sides. Returns how many.
    pub fn abort_sessions(&self, matches: impl Fn(&SessionView) -> bool) -> usize {
        let all = self.shared.sessions.all();
        all.iter().filter(|s| matches(&s.view()) && s.abort()).count()
    }

    /// Stops accepting, soon and whoever waits for it. Connections live on, those included that were still waiting in
    /// the backlog, as far as the cap has room for them.
    pub fn stop_accepting(&self) {
        self.stop.cancel();
    }

    /// Stops accepting; when this returns, the address is free.
    pub async fn close(&self) {
        self.stop_accepting();
        self.accepting.wait().await;
    }

    /// Whether it accepts no more, not even what waits in the backlog, and has no connections any more.
    pub fn is_over(&self) -> bool {
        self.accepting.is_empty() && self.active() == 0
    }

    /// Stops accepting, lets connections end until the deadline, and then cuts those that are left: returns
    /// how many. Takes at most a second longer than the deadline.
    pub async fn drain(&self, deadline: Duration) -> usize {
        self.close().await;
        if drained(&self.connections, deadline).await {
            return 0;
        }
        let cut = self.shared.sessions.all().iter().filter(|s| s.abort()).count();
        // The cut ends every wait of a connection's task; one that had not ended would be busy, not stuck.
        drained(&self.connections, ABORT_TIMEOUT).await;
        cut
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop_accepting();
    }
}
