//! Runs the program beside the sidecar: starts it, signals it, and reaps it. As a child subreaper, like PID 1, the
//! sidecar also reaps orphaned descendants.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper, wait,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Why the program could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {program}")]
pub struct StartError {
    program: String,
    source: io::Error,
}

/// The running program.
#[derive(Debug)]
pub struct Program {
    pid: Pid,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Program {
    /// Starts the program in its own process group, without the environment variables in `secrets`, and from now on reaps
    /// all children of this process. With `own_input` the sidecar reads standard input, and the program's is empty.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(words: &[String], secrets: &[&str], own_input: bool) -> Result<Self, StartError> {
        let (program, arguments) = words
            .split_first()
            .map_or(("", words), |(p, rest)| (p.as_str(), rest));
        let failed = |source| StartError {
            program: program.to_owned(),
            source,
        };
        let signals = signal(SignalKind::child()).map_err(failed)?;
        set_child_subreaper(Some(getpid())).map_err(|e| failed(e.into()))?;
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        if own_input {
            command.stdin(Stdio::null());
        }
        for variable in secrets {
            command.env_remove(variable);
        }
        let child = command.spawn().map_err(failed)?;
        let pid = Pid::from_child(&child);
        let (sender, ended) = watch::channel(None);
        // Detached: lives as long as the process.
        tokio::spawn(reap(signals, Some((pid, sender))));
        Ok(Self { pid, ended })
    }

    /// Sends a signal to the program, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        if self.ended.borrow().is_none() {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Sends SIGTERM to the processes that the program left in its process group.
    pub fn end_group(&self) {
        let _ = kill_process_group(self.pid, Signal::TERM);
    }

    /// Kills the program and its process group.
    pub fn kill(&self) {
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    /// Waits until the program has ended. Cancellation-safe.
    pub async fn ended(&mut self) -> ExitStatus {
        match self.ended.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or_default(),
            // The reaper ends only with the runtime.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Reaps the orphans that PID 1 inherits, if there is no program.
///
/// # Errors
/// When the handler of SIGCHLD cannot be installed.
pub fn reap_orphans() -> io::Result<()> {
    let signals = signal(SignalKind::child())?;
    // Detached: lives as long as the process.
    tokio::spawn(reap(signals, None));
    Ok(())
}

async fn reap(
    mut signals: tokio::signal::unix::Signal,
    program: Option<(Pid, watch::Sender<Option<ExitStatus>>)>,
) {
    loop {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some((_, ended)) = program.as_ref().filter(|(of, _)| *of == pid) {
                ended.send_replace(Some(ExitStatus::from_raw(status.as_raw())));
            }
        }
        if signals.recv().await.is_none() {
            return;
        }
    }
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
