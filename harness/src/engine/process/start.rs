//! Starts a container: a shell runs the sidecar and writes its exit code, even after the harness has ended.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::process::{Child, Command};

use super::super::EngineError;
use super::super::owner::Process;
use super::record::{Home, Record, Run};
use super::store::random_id;
use super::{Core, Processes, failed, tree};

const SHELL: &str = "/bin/sh";
/// `$0` is the file for the exit code; the others are the program and its arguments.
const SCRIPT: &str = r#""$@"; echo $? >"$0""#;

/// Held while a child is being spawned: until it executes its program, it has all open files of this process.
static SPAWNING: Mutex<()> = Mutex::new(());

/// Waits until no child is being spawned, and prevents it until the guard is dropped.
pub(super) fn no_spawning() -> MutexGuard<'static, ()> {
    SPAWNING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Processes {
    pub(crate) async fn start(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let (id, name) = (id.to_owned(), name.to_owned());
        let started = self.blocking(move |core| {
            let record = core.record(&id, "starting")?;
            let _lock = core.store.lock().map_err(failed(format!("starting {name}")))?;
            let started = core.start(&id, &record, &name)?;
            Ok(started.map(|(child, run)| (id, child, run)))
        });
        if let Some((id, mut child, run)) = started.await? {
            let processes = self.clone();
            // Reaps the shell, and kills the remaining processes, as the end of PID 1 does in a container.
            tokio::spawn(async move {
                // The lifeline: the pipe stays open until this task or the harness process ends.
                let _stdin = child.stdin.take();
                let _ = child.wait().await;
                let _ = processes.end(std::slice::from_ref(&run.mark)).await;
                let noted = processes.blocking(move |core| {
                    core.events.end(&run.mark, core.home(&id).exit_code_or_killed());
                    Ok(())
                });
                let _ = noted.await;
            });
        }
        Ok(())
    }
}

impl Core {
    /// Starts a container unless it is running. The caller holds the lock.
    fn start(&self, id: &str, record: &Record, name: &str) -> Result<Option<(Child, Run)>, EngineError> {
        let what = || format!("starting container {name}");
        let home = self.home(id);
        if let Some(run) = home.run().map_err(failed(what()))? {
            if run.shell().is_some() {
                return Ok(None);
            }
            self.events.end(&run.mark, home.exit_code_or_killed());
        }
        // Only the host's addresses can be taken; the node's own address is used by no other program.
        let shared = record.ports.iter().map(|(_, bound)| bound);
        for address in shared.filter(|bound| bound.ip() != record.address) {
            match TcpListener::bind(address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    return Err(EngineError::PortTaken {
                        container: name.to_owned(),
                        reason: format!("something listens on {address}"),
                    });
                }
                // The sidecar or its program reports any other error.
                Ok(_) | Err(_) => {}
            }
        }
        let started = self.spawn(id, record, &home).map_err(failed(what()))?;
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
            // Ctrl-C at the terminal must reach the harness only, which stops the containers gracefully.
            .process_group(0);
        let child = {
            let _guard = no_spawning();
            command.spawn()?
        };
        let shell = child
            .id()
            .map(Process::of)
            .ok_or_else(|| io::Error::other("it ended at once"))?;
        tree::await_mark(shell.pid, &mark);
        let run = Run::new(mark, shell);
        self.store.write(&home.run_file(), &run)?;
        self.events.start(id, record, &run.mark);
        Ok((child, run))
    }
}
