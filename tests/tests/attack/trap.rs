//! Servers that no client of the mesh may ever reach: they count who connects and who sends something.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::namespace::Host;

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    requests: AtomicU64,
}

/// A listening trap; it answers requests as a service would, with the host `trap`.
pub(crate) struct Trap {
    counts: Arc<Counts>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Trap {
    /// At these addresses of a host.
    pub(crate) fn at(host: &Host, addresses: &[SocketAddr]) -> Self {
        let counts = Arc::default();
        let serve = |address: &SocketAddr| serve(host.listen(*address), Arc::clone(&counts));
        let tasks = addresses.iter().map(serve);
        let tasks = tasks
            .map(|task| AbortOnDropHandle::new(tokio::spawn(task)))
            .collect();
        Self {
            counts,
            _tasks: tasks,
        }
    }

    /// Connections so far, a health check's included.
    pub(crate) fn connections(&self) -> u64 {
        self.counts.connections.load(Relaxed)
    }

    /// Connections that sent something.
    pub(crate) fn requests(&self) -> u64 {
        self.counts.requests.load(Relaxed)
    }
}

async fn serve(listener: TcpListener, counts: Arc<Counts>) {
    const BODY: &str = r#"{"service":"a","host":"trap","port":1}"#;
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        counts.connections.fetch_add(1, Relaxed);
        let counts = Arc::clone(&counts);
        // Detached: ends with its connection.
        tokio::spawn(async move {
            if stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {
                counts.requests.fetch_add(1, Relaxed);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    BODY.len()
                );
                let _ = stream.write_all((head + BODY).as_bytes()).await;
            }
        });
    }
}
