//! Requests to stop: signals and, if enabled, the end of standard input.

use std::fmt;

use anyhow::Context;
use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::oneshot;

/// Why the sidecar stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// SIGTERM.
    Terminate,
    /// SIGINT, for instance Ctrl-C in a terminal.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGHUP: the terminal was closed.
    HangUp,
    /// The end of standard input.
    InputEnd,
}

impl StopReason {
    /// The signal to send to the program.
    #[must_use]
    pub fn signal(self) -> Signal {
        match self {
            Self::Terminate | Self::InputEnd => Signal::TERM,
            Self::Interrupt => Signal::INT,
            Self::Quit => Signal::QUIT,
            Self::HangUp => Signal::HUP,
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::HangUp => "SIGHUP",
            Self::InputEnd => "the end of standard input",
        })
    }
}

/// Listens for all reasons to stop.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    hang_up: unix::Signal,
    /// Resolves at the end of standard input, if that is a reason to stop; `None` after it did.
    input: Option<oneshot::Receiver<()>>,
}

impl Signals {
    /// Starts to listen; from now on none of the signals ends the process by itself. With `to_input`, also reads standard
    /// input to its end.
    ///
    /// # Errors
    /// When a signal handler or the thread that reads standard input cannot be created.
    pub fn listen(to_input: bool) -> anyhow::Result<Self> {
        Ok(Self {
            input: to_input.then(input_end).transpose()?,
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            quit: unix::signal(SignalKind::quit())?,
            hang_up: unix::signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next reason to stop. Cancellation-safe.
    pub async fn next(&mut self) -> StopReason {
        tokio::select! {
            _ = self.terminate.recv() => StopReason::Terminate,
            _ = self.interrupt.recv() => StopReason::Interrupt,
            _ = self.quit.recv() => StopReason::Quit,
            _ = self.hang_up.recv() => StopReason::HangUp,
            () = ended(&mut self.input) => StopReason::InputEnd,
        }
    }
}

/// Reads and discards standard input in a thread; resolves at its end.
fn input_end() -> anyhow::Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    let read = move || {
        // A read error counts as the end.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = ended.send(());
    };
    // Detached: only the end of the input ends the read, and a blocking task of the runtime would keep the process until
    // then.
    let thread = std::thread::Builder::new().name("stdin".to_owned()).spawn(read);
    thread.context("cannot start the thread that reads standard input")?;
    Ok(end)
}

async fn ended(input: &mut Option<oneshot::Receiver<()>>) {
    match input {
        Some(end) => {
            let _ = end.await;
            *input = None;
        }
        None => std::future::pending().await,
    }
}
