//! Accepts connections, owns them, and ends them in order.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::balance::{Counters, Direction, Totals};

/// Connections that the kernel may hold for us; it has a limit of its own, `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// The first and the longest pause after the system had no room for a connection.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// After the cut, connections end at once; this bounds the wait for that.
const AFTER_CUT: Duration = Duration::from_secs(1);

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

/// What is done with the connections of a listener.
pub(super) trait Serve: Send + Sync + 'static {
    /// Serves one connection to its end.
    fn serve(self: Arc<Self>, client: TcpStream, connection: Connection) -> impl Future<Output = ()> + Send;
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

#[derive(Debug)]
struct Shared {
    cut: CancellationToken,
    permits: Semaphore,
    counters: Counters,
}

/// An accepted connection; it counts as active until this is dropped.
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    shared: Arc<Shared>,
}

impl Connection {
    /// Told when the connection is to end at once.
    pub(super) fn cut(&self) -> &CancellationToken {
        &self.shared.cut
    }

    pub(super) fn moved(&self, direction: Direction, bytes: u64) {
        self.shared.counters.moved(direction, bytes);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.counters.close();
        self.shared.permits.add_permits(1);
    }
}

impl Listener {
    /// Begins to accept on a bound listener, on the runtime that this is called on.
    ///
    /// # Errors
    /// When the system refuses a setting of the socket.
    pub(super) fn start<S: Serve>(
        listener: std::net::TcpListener,
        most_connections: usize,
        service: Arc<S>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // Accepted connections inherit it, which saves a system call on each.
        SockRef::from(&listener).set_tcp_nodelay(true)?;
        let listener = TcpListener::from_std(listener)?;
        let this = Self {
            local: listener.local_addr()?,
            stop: CancellationToken::new(),
            accepting: TaskTracker::new(),
            connections: TaskTracker::new(),
            shared: Arc::new(Shared {
                cut: CancellationToken::new(),
                permits: Semaphore::new(most_connections),
                counters: Counters::default(),
            }),
        };
        let accept = Accept {
            listener,
            service,
            connections: this.connections.clone(),
            shared: Arc::clone(&this.shared),
        };
        let stop = this.stop.clone();
        this.accepting.spawn(async move {
            stop.run_until_cancelled(accept.run()).await;
        });
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

    /// What it accepted and passed on.
    pub fn totals(&self) -> Totals {
        self.shared.counters.totals()
    }

    /// Stops accepting; when this returns, the address is free. Established connections live on.
    pub async fn close(&self) {
        self.stop.cancel();
        self.accepting.wait().await;
    }

    /// Stops accepting, lets connections end until the deadline, and then cuts those that are left: returns
    /// how many. Takes at most a second longer than the deadline.
    pub async fn drain(&self, deadline: Duration) -> usize {
        self.close().await;
        self.connections.close();
        if tokio::time::timeout(deadline, self.connections.wait())
            .await
            .is_ok()
        {
            return 0;
        }
        let cut = self.connections.len();
        self.shared.cut.cancel();
        // The cut ends every wait of a connection's task; one that had not ended would be busy, not stuck.
        let _ = tokio::time::timeout(AFTER_CUT, self.connections.wait()).await;
        cut
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Accept<S> {
    listener: TcpListener,
    service: Arc<S>,
    connections: TaskTracker,
    shared: Arc<Shared>,
}

impl<S: Serve> Accept<S> {
    async fn run(self) {
        let mut pause = PAUSE.0;
        loop {
            let Ok(permit) = self.shared.permits.acquire().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((client, peer)) => {
                    pause = PAUSE.0;
                    permit.forget();
                    self.spawn(client, peer);
                }
                Err(error) if out_of_room(&error) => {
                    if pause == PAUSE.0 {
                        tracing::warn!(error = %error, "no room to accept a connection, pausing");
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
                // The peer's affair: it was gone before we accepted (accept(2) lists what is passed on).
                Err(error) => {
                    tracing::debug!(error = %error, "a connection ended before it was accepted");
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn spawn(&self, client: TcpStream, peer: SocketAddr) {
        self.shared.counters.open();
        self.shared.counters.established();
        let connection = Connection {
            peer,
            shared: Arc::clone(&self.shared),
        };
        self.connections
            .spawn(Arc::clone(&self.service).serve(client, connection));
    }
}

/// Whether it is a lack of descriptors or memory, of this process or the system: it passes when something
/// ends, and trying again at once would only burn the processor.
pub(super) fn out_of_room(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}
