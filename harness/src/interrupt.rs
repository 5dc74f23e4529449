//! Interrupts by the user: SIGINT (Ctrl-C), SIGTERM and SIGHUP.

use tokio_util::sync::CancellationToken;

/// The user's requests to stop; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Interrupts {
    /// Cancelled by the first signal: stop gracefully.
    pub stop: CancellationToken,
    /// Cancelled by the second signal: stop immediately.
    pub force: CancellationToken,
}

impl Interrupts {
    /// Listens for signals: the first one cancels `stop`, the second one `force`.
    ///
    /// # Errors
    /// Signal handlers cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        let interrupts = Self::default();
        let handle = interrupts.clone();
        let mut signals = Signals::new()?;
        tokio::spawn(async move {
            signals.next().await;
            handle.stop.cancel();
            signals.next().await;
            handle.force.cancel();
        });
        Ok(interrupts)
    }
}

#[cfg(unix)]
struct Signals([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // An error means that no signal can be received.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
