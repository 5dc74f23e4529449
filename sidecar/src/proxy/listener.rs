//! A listener: accepts connections, lists them, and drains them.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Limits;
use super::access::SecurityGroup;
use super::admission::{Admission, Handle};
use super::buffers;
use super::refusal::Refusals;
use super::session::SessionView;
use super::shared::Shared;
use super::workers::Workers;
use crate::balance::{RequestCounters, Totals};
use crate::limits::{BUDGET, Descriptors, PER_CONNECTION};
use crate::serve::{drained, serve, serve_backlog};

/// Backlog: connections that the kernel may hold for us, up to its own limit `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Timeout for aborted connections to end, which takes them one poll.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// An address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// The system's error.
    pub source: io::Error,
}

/// Binds a listening socket, for [`TcpLb::start`](super::tcp_lb::TcpLb::start) and the SOCKS5 server.
///
/// # Errors
/// The system's error, with the address.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // Otherwise connections of an earlier run in TIME_WAIT hold the address.
        socket.set_reuse_address(true)?;
        if address.ip() == Ipv6Addr::UNSPECIFIED {
            // Of both families, whatever net.ipv6.bindv6only says.
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen().map_err(|source| BindError { address, source })
}

/// A listener that accepts until it is closed or dropped. Its connections live on after that, until they end or are aborted
/// by [`Listener::drain`].
#[derive(Debug)]
pub struct Listener {
    local: SocketAddr,
    /// A socket of those that accept, while they do.
    socket: Weak<TcpListener>,
    /// Whether the backlog is another process's.
    handed_over: Arc<AtomicBool>,
    stop: CancellationToken,
    accepting: TaskTracker,
    connections: TaskTracker,
    shared: Arc<Shared>,
    /// Of its sockets and the connections that wait on them; `None` if the budget was used up when it started.
    _descriptors: Option<Descriptors>,
}

impl Listener {
    /// Starts to accept on a bound listener, on each of the workers.
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
        // Inherited by accepted connections, which saves system calls for each.
        SockRef::from(&listener).set_tcp_nodelay(true)?;
        buffers::bound(&listener);
        let runtimes = workers.runtimes();
        // Each accepts on a socket of its own, and may have accepted a connection that waits for its descriptors.
        let sockets = u32::try_from(2 * runtimes.len()).unwrap_or(u32::MAX);
        let stop = CancellationToken::new();
        let mut this = Self {
            local: listener.local_addr()?,
            socket: Weak::new(),
            handed_over: Arc::default(),
            stop: stop.clone(),
            accepting: TaskTracker::new(),
            connections: TaskTracker::new(),
            shared: Arc::new(Shared::new(limits, security_group, stop)),
            _descriptors: BUDGET.try_relayed(sockets),
        };
        for runtime in runtimes {
            let listener = {
                let _within = runtime.enter();
                Arc::new(TcpListener::from_std(listener.try_clone()?)?)
            };
            this.socket = Arc::downgrade(&listener);
            let admission = Admission {
                local: this.local,
                handler: Arc::clone(handler),
                shared: Arc::clone(&this.shared),
            };
            let (connections, stop) = (this.connections.clone(), this.stop.clone());
            let (workers, handed_over) = (workers.clone(), Arc::clone(&this.handed_over));
            let accepting = async move {
                stop.run_until_cancelled(workers.opened()).await;
                serve(&listener, &admission, &connections, &stop).await;
                let take = || {
                    Some((
                        admission.shared.try_permit()?,
                        BUDGET.try_relayed(PER_CONNECTION)?,
                    ))
                };
                if !handed_over.load(Ordering::Acquire) {
                    serve_backlog(&listener, &admission, take, &connections);
                }
            };
            this.accepting.spawn_on(accepting, &runtime);
        }
        this.accepting.close();
        Ok(this)
    }

    /// The address that it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Open connections.
    pub fn active(&self) -> usize {
        usize::try_from(self.shared.counters.active()).unwrap_or(usize::MAX)
    }

    /// Connections accepted, including refused ones, and bytes passed.
    pub fn totals(&self) -> Totals {
        self.shared.counters.totals()
    }

    /// Accepted connections that were refused.
    pub fn refusals(&self) -> Refusals {
        self.shared.refusals.read()
    }

    /// How often its limit of connections was reached.
    pub fn times_full(&self) -> u64 {
        self.shared.times_full()
    }

    /// Limits the open connections of one client address, for new ones; 0 is no limit.
    pub fn set_client_limit(&self, limit: u32) {
        self.shared.set_client_limit(limit);
    }

    /// The security group; `None` serves all clients.
    pub fn security_group(&self) -> Option<Arc<SecurityGroup>> {
        self.shared.security_group()
    }

    /// Replaces the security group for new connections; established ones stay.
    pub fn set_security_group(&self, group: Option<Arc<SecurityGroup>>) {
        self.shared.set_security_group(group);
    }

    /// Sets the idle timeout of new connections; zero is none.
    pub fn set_idle_timeout(&self, timeout: Duration) {
        self.shared.set_idle(timeout);
    }

    /// Sets for how long a new connection waits while no endpoint takes it.
    pub fn set_hold(&self, hold: Duration) {
        self.shared.set_hold(hold);
    }

    /// Sets the time in which an HTTP request must be answered, for new requests; zero is none.
    pub fn set_request_timeout(&self, timeout: Duration) {
        self.shared.http.set_request_timeout(timeout);
    }

    /// Sets whether new HTTP requests tell instances the client's address, and the host and scheme that it used
    /// (`Forwarded` of RFC 7239, and `X-Forwarded-For`, `-Host`, `-Proto`).
    pub fn set_forwarded(&self, forwarded: bool) {
        self.shared.http.set_forwarded(forwarded);
    }

    /// HTTP requests of its connections.
    pub fn requests(&self) -> &RequestCounters {
        &self.shared.requests
    }

    /// Its open connections, in the order they were accepted.
    pub fn sessions(&self) -> Vec<SessionView> {
        self.shared.sessions.all().iter().map(|s| s.view()).collect()
    }

    /// Aborts the matching connections, with a reset on both sides. Returns their number.
    pub fn abort_sessions(&self, matches: impl Fn(&SessionView) -> bool) -> usize {
        let all = self.shared.sessions.all();
        all.iter().filter(|s| matches(&s.view()) && s.abort()).count()
    }

    /// Makes the listener stop accepting soon, without waiting for it. Open connections live on; those in the backlog
    /// are still served, up to the limit of connections.
    pub fn stop_accepting(&self) {
        self.stop.cancel();
    }

    /// Stops accepting. When this returns, the address is free.
    pub async fn close(&self) {
        self.stop_accepting();
        self.accepting.wait().await;
    }

    /// As [`Listener::close`], but leaves the connections in the backlog to another process that has the socket.
    pub async fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Release);
        self.close().await;
    }

    /// A duplicate of its socket, while it accepts.
    pub fn duplicate(&self) -> Option<OwnedFd> {
        let socket = self.socket.upgrade()?;
        socket.as_fd().try_clone_to_owned().ok()
    }

    /// Whether it has stopped accepting and its last connection has ended.
    pub fn is_over(&self) -> bool {
        self.accepting.is_empty() && self.active() == 0
    }

    /// Stops accepting, waits until connections have ended, and after the timeout aborts the remaining ones. Returns
    /// their number. Takes at most a second longer than the timeout.
    pub async fn drain(&self, timeout: Duration) -> usize {
        self.close().await;
        if drained(&self.connections, timeout).await {
            return 0;
        }
        let aborted = self.shared.sessions.all().iter().filter(|s| s.abort()).count();
        drained(&self.connections, ABORT_TIMEOUT).await;
        aborted
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop_accepting();
    }
}
