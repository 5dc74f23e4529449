//! Stops, kills, pauses and resumes containers.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::super::{Action, EngineError};
use super::record::{KILLED, Record, Run};
use super::tree::{self, Process};
use super::{Core, Processes, failed};

/// Timeout for SIGSTOP, SIGCONT and SIGKILL, which no process can ignore, to take effect.
const LIMIT: Duration = Duration::from_secs(10);
/// Polling interval of the processes.
const PERIOD: Duration = Duration::from_millis(5);

/// A running container.
struct Running {
    /// The process id of the shell.
    shell: u32,
    run: Run,
    record: Record,
}

impl Processes {
    pub(crate) async fn stop(&self, id: &str, grace: Duration) -> Result<i64, EngineError> {
        if let Some(Running { shell, run, record }) = self.running(id, "stopping").await? {
            // A paused process does not act on SIGTERM.
            self.signal(&run.mark, Signal::CONT).await?;
            let deadline = Instant::now() + grace;
            let mut terminated = false;
            while run.shell().is_some() && Instant::now() < deadline {
                // The shell may not have started the sidecar yet.
                if !terminated {
                    terminated = self.terminate(&run, shell).await?;
                    if terminated {
                        self.emit(id, &record, "kill (signal 15)");
                    }
                }
                sleep(PERIOD).await;
            }
            self.end_run(id, &run).await?;
            self.emit(id, &record, "stop");
        }
        Ok(self.core.home(id).exit_code_or_killed())
    }

    pub(crate) async fn kill(&self, id: &str) -> Result<(), EngineError> {
        let Running { run, record, .. } = self.must_run(id, "killing").await?;
        self.emit(id, &record, "kill (signal 9)");
        self.end_run(id, &run).await
    }

    pub(crate) async fn pause(&self, id: &str) -> Result<(), EngineError> {
        let Running { shell, run, record } = self.must_run(id, "pausing").await?;
        if tree::look(shell).is_some_and(|process| process.stat.stopped) {
            return Err(refused("pausing", id, "it is already paused"));
        }
        self.until(&[run.mark], Signal::STOP, |process| process.stat.stopped)
            .await?;
        self.core.events.emit(id, &record, Action::Pause);
        Ok(())
    }

    pub(crate) async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        let Running { shell, run, record } = self.must_run(id, "unpausing").await?;
        if !tree::look(shell).is_some_and(|process| process.stat.stopped) {
            return Err(refused("unpausing", id, "it is not paused"));
        }
        self.until(&[run.mark], Signal::CONT, |process| !process.stat.stopped)
            .await?;
        self.core.events.emit(id, &record, Action::Unpause);
        Ok(())
    }

    /// Kills all processes whose mark begins with one of `marks`, and waits for their end.
    pub(super) async fn end(&self, marks: &[String]) -> Result<(), EngineError> {
        self.until(marks, Signal::KILL, |_| false).await
    }

    /// The current run of a container; `None` if it is not running.
    async fn running(&self, id: &str, doing: &str) -> Result<Option<Running>, EngineError> {
        let (id, doing) = (id.to_owned(), doing.to_owned());
        self.blocking(move |core: &Core| {
            let record = core.record(&id, &doing)?;
            let run = core.home(&id).run();
            let run = run.map_err(failed(format!("{doing} container {id}")))?;
            Ok(run.and_then(|run| {
                let shell = run.shell()?;
                Some(Running { shell, run, record })
            }))
        })
        .await
    }

    async fn must_run(&self, id: &str, doing: &str) -> Result<Running, EngineError> {
        let running = self.running(id, doing).await?;
        running.ok_or_else(|| refused(doing, id, "it is not running"))
    }

    /// Sends SIGTERM to the sidecar, the shell's child. Returns false if it has not been started yet.
    async fn terminate(&self, run: &Run, shell: u32) -> Result<bool, EngineError> {
        let mark = run.mark.clone();
        self.blocking(move |_| {
            let mut all = tree::marked(&[mark]);
            all.retain(|process| process.stat.parent == shell);
            all.iter().for_each(|process| process.signal(Signal::TERM));
            Ok(!all.is_empty())
        })
        .await
    }

    /// Kills the remaining processes of a run and reports its end. Writes the exit code if the killed shell could not.
    async fn end_run(&self, id: &str, run: &Run) -> Result<(), EngineError> {
        self.end(std::slice::from_ref(&run.mark)).await?;
        let (id, run) = (id.to_owned(), run.clone());
        self.blocking(move |core| {
            let home = core.home(&id);
            let code = home.exit_code_or_killed();
            if code == KILLED {
                let written = std::fs::write(home.exit_code(), format!("{KILLED}\n"));
                written.map_err(failed("writing an exit code"))?;
            }
            core.events.end(&run.mark, code);
            Ok(())
        })
        .await
    }

    fn emit(&self, id: &str, record: &Record, what: &str) {
        self.core.events.emit(id, record, Action::Other(what.to_owned()));
    }

    async fn signal(&self, mark: &str, signal: Signal) -> Result<(), EngineError> {
        let mark = mark.to_owned();
        self.blocking(move |_| {
            let all = tree::marked(&[mark]);
            all.iter().for_each(|process| process.signal(signal));
            Ok(())
        })
        .await
    }

    /// Signals all processes with one of the marks, repeatedly, until `done` holds for each that still exists.
    async fn until(
        &self,
        marks: &[String],
        signal: Signal,
        done: fn(&Process) -> bool,
    ) -> Result<(), EngineError> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let marks = marks.to_owned();
            let left = self.blocking(move |_| Ok(round(&marks, signal, done))).await?;
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(EngineError::Other {
                    what: format!("sending {signal:?} to all processes of a container"),
                    reason: format!("no effect within {LIMIT:?}: {}", left.join(", ")),
                });
            }
            sleep(PERIOD).await;
        }
    }
}

/// Signals each process for which `done` does not hold. Returns their names.
fn round(marks: &[String], signal: Signal, done: fn(&Process) -> bool) -> Vec<String> {
    let mut open = tree::marked(marks);
    open.retain(|process| !done(process));
    if signal == Signal::KILL {
        // Stopped first, so that no process forks while others are being killed.
        open.iter().for_each(|process| process.signal(Signal::STOP));
        open = tree::marked(marks);
    }
    open.iter().for_each(|process| process.signal(signal));
    let name = |process: &Process| format!("process {} ({})", process.pid, process.stat.name);
    open.iter().map(name).collect()
}

fn refused(doing: &str, id: &str, reason: &str) -> EngineError {
    EngineError::Other {
        what: format!("{doing} container {id}"),
        reason: reason.to_owned(),
    }
}
