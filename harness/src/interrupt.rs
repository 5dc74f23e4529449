//! Ctrl-C, and what ends a process more politely than a kill.

use tokio_util::sync::CancellationToken;

/// What the user has asked for so far; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Interrupts {
    /// Stop in good order.
    pub stop: CancellationToken,
    /// Stop at once.
    pub force: CancellationToken,
}

impl Interrupts {
    /// Listens from now on: the first signal asks to stop, the second to stop at once.
    ///
    /// # Errors
    /// The system's, when it does not let signals be heard.
    pub fn listen() -> std::io::Result<Self> {
        let interrupts = Self::default();
        let heard = interrupts.clone();
        let mut signals = Signals::new()?;
        // Detached: it ends with the process, which it has no part of but to be told of its end.
        tokio::spawn(async move {
            signals.next().await;
            heard.stop.cancel();
            signals.next().await;
            heard.force.cancel();
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
        // An error means that there is nothing to hear: then it never comes.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
