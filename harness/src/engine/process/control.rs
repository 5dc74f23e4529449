//! Signals to containers: stop, kill, pause, unpause.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::super::{Action, EngineError};
use super::record::{KILLED, Record, Run};
use super::tree::{self, Process};
use super::{Engine, Processes, failed};

/// Time that the system may take to carry out a signal that no process can refuse.
const LIMIT: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_millis(5);

/// A container that runs.
struct Running {
    /// The id of its first process.
    first: u32,
    run: Run,
    record: Record,
}

impl Processes {
    /// Stops a container gracefully, and kills it after `grace`. Answers with its exit code.
    ///
    /// # Errors
    /// It is gone, or the system's.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<i64, EngineError> {
        if let Some(Running { first, run, record }) = self.running(id, "stopping").await? {
            // One that stands still could not hear it.
            self.signal(&run.mark, Signal::CONT).await?;
            let deadline = Instant::now() + grace;
            let mut told = false;
            while run.first().is_some() && Instant::now() < deadline {
                // The shell may not have started the sidecar yet.
                if !told {
                    told = self.terminate(&run, first).await?;
                    if told {
                        self.engine
                            .tell(id, &record, Action::Other("kill (signal 15)".to_owned()));
                    }
                }
                sleep(PERIOD).await;
            }
            self.end_and_note(id, &run).await?;
            self.engine.tell(id, &record, Action::Other("stop".to_owned()));
        }
        Ok(self.engine.home(id).exit_code_or_killed())
    }

    /// Kills all processes of a container; returns once they have ended.
    ///
    /// # Errors
    /// It does not run, it is gone, or the system's.
    pub async fn kill(&self, id: &str) -> Result<(), EngineError> {
        let Running { run, record, .. } = self.must_run(id, "killing").await?;
        self.engine
            .tell(id, &record, Action::Other("kill (signal 9)".to_owned()));
        self.end_and_note(id, &run).await
    }

    /// Makes all processes of a container stand still.
    ///
    /// # Errors
    /// It does not run or stands still already, it is gone, or the system's.
    pub async fn pause(&self, id: &str) -> Result<(), EngineError> {
        let Running { first, run, record } = self.must_run(id, "pausing").await?;
        if tree::look(first).is_some_and(|process| process.stat.stopped) {
            return Err(refused("pausing", id, "it is paused already"));
        }
        self.until(&[run.mark], Signal::STOP, |process| process.stat.stopped)
            .await?;
        self.engine.tell(id, &record, Action::Pause);
        Ok(())
    }

    /// Lets a container that stands still go on.
    ///
    /// # Errors
    /// It does not stand still, it is gone, or the system's.
    pub async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        let Running { first, run, record } = self.must_run(id, "unpausing").await?;
        if !tree::look(first).is_some_and(|process| process.stat.stopped) {
            return Err(refused("unpausing", id, "it is not paused"));
        }
        self.until(&[run.mark], Signal::CONT, |process| !process.stat.stopped)
            .await?;
        self.engine.tell(id, &record, Action::Unpause);
        Ok(())
    }

    /// Ends all processes with a mark that begins like one of these; returns once they have ended.
    pub(super) async fn end(&self, marks: &[String]) -> Result<(), EngineError> {
        self.until(marks, Signal::KILL, |_| false).await
    }

    /// What runs of a container; none where nothing does.
    async fn running(&self, id: &str, what: &str) -> Result<Option<Running>, EngineError> {
        let (id, what) = (id.to_owned(), what.to_owned());
        self.blocking(move |engine: &Engine| {
            let record = engine.record(&id, &what)?;
            let run = engine
                .home(&id)
                .run()
                .map_err(failed(format!("{what} container {id}")))?;
            Ok(run.and_then(|run| {
                let first = run.first()?;
                Some(Running { first, run, record })
            }))
        })
        .await
    }

    async fn must_run(&self, id: &str, what: &str) -> Result<Running, EngineError> {
        let running = self.running(id, what).await?;
        running.ok_or_else(|| refused(what, id, "it does not run"))
    }

    /// Tells the sidecar to stop, which is the shell's child; answers whether it was there.
    async fn terminate(&self, run: &Run, first: u32) -> Result<bool, EngineError> {
        let mark = run.mark.clone();
        self.blocking(move |_| {
            let all = tree::marked(&[mark]);
            let children = all.iter().filter(|process| process.stat.parent == first);
            let mut heard = false;
            for child in children {
                child.signal(Signal::TERM);
                heard = true;
            }
            Ok(heard)
        })
        .await
    }

    async fn end_and_note(&self, id: &str, run: &Run) -> Result<(), EngineError> {
        self.end(std::slice::from_ref(&run.mark)).await?;
        let (id, run) = (id.to_owned(), run.clone());
        self.blocking(move |engine| {
            let home = engine.home(&id);
            if home.ended().is_none() {
                let written = std::fs::write(home.exit_code(), format!("{KILLED}\n"));
                written.map_err(failed("writing an exit code"))?;
            }
            engine.tell_end(&id, &run, home.exit_code_or_killed());
            Ok(())
        })
        .await
    }

    async fn signal(&self, mark: &str, signal: Signal) -> Result<(), EngineError> {
        let mark = mark.to_owned();
        self.blocking(move |_| {
            tree::marked(&[mark])
                .iter()
                .for_each(|process| process.signal(signal));
            Ok(())
        })
        .await
    }

    /// Signals all processes with one of the marks until `done` holds for each that there is.
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
                return Err(EngineError::Engine {
                    what: format!("sending {signal:?} to all processes of a container"),
                    reason: format!("not carried out within {LIMIT:?}: {}", left.join(", ")),
                });
            }
            sleep(PERIOD).await;
        }
    }
}

/// Signals all that are not done; answers with who they were.
fn round(marks: &[String], signal: Signal, done: fn(&Process) -> bool) -> Vec<String> {
    let mut open = tree::marked(marks);
    open.retain(|process| !done(process));
    if signal == Signal::KILL {
        // First of all they stand still, so that none starts another while its relatives are being killed.
        open.iter().for_each(|process| process.signal(Signal::STOP));
        open = tree::marked(marks);
    }
    open.iter().for_each(|process| process.signal(signal));
    let told = |process: &Process| format!("process {} ({})", process.pid, process.stat.name);
    open.iter().map(told).collect()
}

fn refused(what: &str, id: &str, reason: &str) -> EngineError {
    EngineError::Engine {
        what: format!("{what} container {id}"),
        reason: reason.to_owned(),
    }
}
