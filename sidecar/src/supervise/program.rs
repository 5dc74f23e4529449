//! The program beside the sidecar as a child process, and the other children: successors, and the orphans that the sidecar
//! reaps as process 1 or child subreaper.

use std::collections::HashMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper, wait,
};
use rustix_libc_wrappers::process::SignalExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// State of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// Stopped by a signal, for instance SIGTSTP from a terminal.
    Stopped(Signal),
    Ended(ExitStatus),
}

/// A running program: a child that is waited for.
#[derive(Debug)]
pub struct Program {
    /// Its process, and the process group that it may lead.
    pub(super) pid: Pid,
    state: watch::Receiver<State>,
}

impl Program {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal to the program alone, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        if !matches!(*self.state.borrow(), State::Ended(_)) {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits for its end. Cancellation-safe.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = self
            .state
            .wait_for(|state| matches!(state, State::Ended(_)))
            .await;
        match ended.map(|state| *state) {
            Ok(State::Ended(status)) => status,
            // The reaper ends only with the runtime.
            _ => std::future::pending().await,
        }
    }

    /// Continues the program and its process group, if a signal has stopped the program.
    pub(super) fn resume(&self) {
        if matches!(*self.state.borrow(), State::Stopped(_)) {
            self.signal(Signal::CONT);
            self.signal_group(Signal::CONT);
        }
    }

    /// Sends a signal to the program's process group, which may outlive the program. Does nothing if it leads none.
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

/// The children of this process that are waited for.
#[derive(Debug, Clone, Default)]
pub(super) struct Children(Arc<Mutex<HashMap<Pid, watch::Sender<State>>>>);

impl Children {
    /// Waits for a child, or for a process that becomes one. Must be called before its end can be reaped: before
    /// [`Children::reap`], or on its runtime's thread with nothing awaited since the process was started.
    pub(super) fn watch(&self, pid: Pid) -> Program {
        let (sender, state) = watch::channel(State::Running);
        self.watched().insert(pid, sender);
        Program { pid, state }
    }

    /// Reaps all children of this process from now on, until the task is aborted.
    ///
    /// # Errors
    /// When the handler of SIGCHLD cannot be installed.
    pub(super) fn reap(&self) -> io::Result<AbortHandle> {
        // A handler also ends an inherited "ignore", with which the kernel would discard how children ended.
        let mut signals = signal(SignalKind::child())?;
        let children = self.clone();
        let reaping = tokio::spawn(async move {
            loop {
                while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                    match status.stopping_signal() {
                        Some(number) => children.stopped(pid, number),
                        None => children.ended(pid, ExitStatus::from_raw(status.as_raw())),
                    }
                }
                if signals.recv().await.is_none() {
                    return;
                }
            }
        });
        Ok(reaping.abort_handle())
    }

    fn stopped(&self, pid: Pid, signal: i32) {
        if let (Some(state), Some(signal)) = (self.watched().get(&pid), Signal::from_raw(signal)) {
            state.send_replace(State::Stopped(signal));
        }
    }

    fn ended(&self, pid: Pid, status: ExitStatus) {
        if let Some(state) = self.watched().remove(&pid) {
            state.send_replace(State::Ended(status));
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Pid, watch::Sender<State>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes this process the parent of its descendants that lose theirs.
///
/// # Errors
/// When the system refuses it.
pub(super) fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
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
