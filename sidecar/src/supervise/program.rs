//! The program beside the sidecar as a child process, and the orphans that the sidecar reaps as process 1 or child
//! subreaper.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper, wait,
};
use rustix_libc_wrappers::process::SignalExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// State of the program's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// Stopped by a signal, for instance SIGTSTP from a terminal.
    Stopped(Signal),
    Ended(ExitStatus),
}

/// The running program.
#[derive(Debug)]
pub(super) struct Program {
    /// Its process, and the process group that it leads.
    pub(super) pid: Pid,
    state: watch::Receiver<State>,
}

impl Program {
    /// Watches a child, and from now on reaps all children of this process.
    ///
    /// # Errors
    /// When the handler of SIGCHLD cannot be installed.
    pub(super) fn watch(pid: Pid) -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        let (sender, state) = watch::channel(State::Running);
        reap(Some((pid, sender)))?;
        Ok(Self { pid, state })
    }

    /// Sends a signal to the program alone, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        if !matches!(*self.state.borrow(), State::Ended(_)) {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Continues the program's process group, if a signal has stopped the program.
    pub(super) fn resume(&self) {
        if matches!(*self.state.borrow(), State::Stopped(_)) {
            self.signal_group(Signal::CONT);
        }
    }

    /// Sends a signal to the program's process group, which may outlive the program.
    pub(super) fn signal_group(&self, signal: Signal) {
        let _ = kill_process_group(self.pid, signal);
    }

    /// Waits for the next change of the state. Cancellation-safe.
    pub(super) async fn changed(&mut self) -> State {
        match self.state.changed().await {
            Ok(()) => *self.state.borrow_and_update(),
            // The reaper ends only with the runtime.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Reaps all children of this process from now on.
///
/// # Errors
/// When the handler of SIGCHLD cannot be installed.
pub(super) fn reap_orphans() -> io::Result<()> {
    reap(None)
}

fn reap(program: Option<(Pid, watch::Sender<State>)>) -> io::Result<()> {
    // A handler also ends an inherited "ignore", with which the kernel would discard how children ended.
    let mut signals = signal(SignalKind::child())?;
    // Detached: lives as long as the process.
    tokio::spawn(async move {
        loop {
            while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                let Some((_, state)) = program.as_ref().filter(|(of, _)| *of == pid) else {
                    continue;
                };
                match status.stopping_signal() {
                    Some(number) => Signal::from_raw(number).map(|s| state.send_replace(State::Stopped(s))),
                    None => Some(state.send_replace(State::Ended(ExitStatus::from_raw(status.as_raw())))),
                };
            }
            if signals.recv().await.is_none() {
                return;
            }
        }
    });
    Ok(())
}

/// The exit code of a program: its own, or 128 plus the number of the signal that ended it.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|s| 128 + s))
        .unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
