//! Starting a container: a shell that runs the sidecar and writes down its exit code, whoever is there by then.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::process::{Child, Command};

use super::super::{Action, EngineError};
use super::record::{Home, Record, Run};
use super::store::random_id;
use super::{Engine, Processes, failed, tree};
use crate::engine::owner::Process;

const SHELL: &str = "/bin/sh";
/// Its first argument is where the exit code goes; the others are the program and its arguments.
const SCRIPT: &str = r#""$@"; echo $? >"$0""#;

/// Held while a child is being started: until it runs its program, it has all that this process has open.
static STARTING: Mutex<()> = Mutex::new(());

/// Waits until no child is being started, and keeps it so.
pub(super) fn starting() -> MutexGuard<'static, ()> {
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Processes {
    /// Starts a container. One that runs already is no error.
    ///
    /// # Errors
    /// A host port of it is taken, it is gone, or the system's.
    pub async fn start(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let (owned, name) = (id.to_owned(), name.to_owned());
        let id = owned.clone();
        let started = self
            .blocking(move |engine| {
                let record = engine.record(&owned, "starting")?;
                let lock = engine.store.lock().map_err(failed(format!("starting {name}")))?;
                let started = engine.start(&owned, &record, &name);
                drop(lock);
                started
            })
            .await?;
        if let Some((mut child, run)) = started {
            let processes = self.clone();
            // Ends with the child, whose remains it takes and whose own children it ends as the end of PID 1 would.
            self.engine.children.spawn(async move {
                let _ = child.wait().await;
                let _ = processes.end(std::slice::from_ref(&run.mark)).await;
                let noted = processes.blocking(move |engine| {
                    engine.drop_lifeline(&id, &run);
                    engine.tell_end(&id, &run, engine.home(&id).exit_code_or_killed());
                    Ok(())
                });
                let _ = noted.await;
            });
        }
        Ok(())
    }
}

impl Engine {
    /// The caller holds the lock.
    fn start(&self, id: &str, record: &Record, name: &str) -> Result<Option<(Child, Run)>, EngineError> {
        let what = || format!("starting container {name}");
        let home = self.home(id);
        let running = home.run().map_err(failed(what()))?;
        if let Some(run) = running {
            if run.first().is_some() {
                return Ok(None);
            }
            self.tell_end(id, &run, home.exit_code_or_killed());
        }
        for address in &record.shared {
            match TcpListener::bind(address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    return Err(EngineError::PortHeld {
                        container: name.to_owned(),
                        reason: format!("something listens on {address}"),
                    });
                }
                // The sidecar or its program will tell what else is wrong with it.
                Ok(_) | Err(_) => {}
            }
        }
        let started = self.spawn(id, record, &home).map_err(failed(what()))?;
        self.tell(id, record, Action::Start);
        Ok(Some(started))
    }

    fn spawn(&self, id: &str, record: &Record, home: &Home) -> io::Result<(Child, Run)> {
        match fs::remove_file(home.exit_code()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mark = format!("{id}/{}", random_id());
        let log: File = OpenOptions::new().append(true).create(true).open(home.log())?;
        let programs = self.image_files(&record.image_id).join("bin");
        let mut command = Command::new(SHELL);
        command
            .args(["-c", SCRIPT])
            .arg(home.exit_code())
            .arg(programs.join("sidecar"))
            .args(&record.arguments)
            .current_dir("/")
            .env_clear()
            .env("PATH", &programs)
            .envs(&record.environment)
            .env(tree::MARK, &mark)
            .stdin(if record.lifeline {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stderr(log.try_clone()?)
            .stdout(log)
            // Ctrl-C at the terminal is for the harness, which ends its containers in order.
            .process_group(0);
        let mut child = {
            let _no_writer = starting();
            command.spawn()?
        };
        let first = child
            .id()
            .map(Process::of)
            .ok_or_else(|| io::Error::other("it ended at once"))?;
        tree::await_mark(first.pid, &mark);
        let run = Run::new(mark, first);
        home.set_run(&run)?;
        if let Some(input) = child.stdin.take() {
            self.lifelines().insert(id.to_owned(), (run.mark.clone(), input));
        }
        Ok((child, run))
    }

    /// Lets go of what a run's standard input was held open by.
    fn drop_lifeline(&self, id: &str, run: &Run) {
        let mut lifelines = self.lifelines();
        if lifelines.get(id).is_some_and(|(mark, _)| *mark == run.mark) {
            lifelines.remove(id);
        }
    }
}
