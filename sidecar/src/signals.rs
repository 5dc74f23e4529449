//! What tells the sidecar to stop: signals and, where that is asked for, the end of standard input.

use std::fmt;

use anyhow::Context;
use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::oneshot;

/// What told the sidecar to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// SIGTERM.
    Terminate,
    /// SIGINT: a person at the terminal.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGHUP: the terminal is gone.
    HangUp,
    /// Standard input has ended.
    InputEnd,
}

impl StopReason {
    /// The signal that passes it on to the program.
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

/// Listens for all of them.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    hang_up: unix::Signal,
    /// Notified when standard input ends, where that counts; taken once it was told.
    input: Option<oneshot::Receiver<()>>,
}

impl Signals {
    /// Begins to listen; from now on none of the signals ends the process by itself. With `to_input` standard input is
    /// read to its end, too.
    ///
    /// # Errors
    /// When the system does not let us listen, or gives no thread to read standard input.
    pub fn listen(to_input: bool) -> anyhow::Result<Self> {
        Ok(Self {
            input: to_input.then(input_end).transpose()?,
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            quit: unix::signal(SignalKind::quit())?,
            hang_up: unix::signal(SignalKind::hangup())?,
        })
    }

    /// Waits to be told; cancellation-safe.
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

/// Reads standard input to its end, drops what comes, and tells.
fn input_end() -> anyhow::Result<oneshot::Receiver<()>> {
    let (told, end) = oneshot::channel();
    let read = move || {
        // An input that cannot be read any more has ended too.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = told.send(());
    };
    // Detached: nothing can end a read but the input's end, and a blocking task of the runtime would keep the process
    // from exiting until then.
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
