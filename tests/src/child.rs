//! Controls a harness process: signals, its exit, and its watchdog.

use std::fs;

use anyhow::{Context, Result, ensure};
use tokio::process::{Child, Command};

use crate::program::LIMIT;

/// Sends a signal, named as for kill(1), to a child.
///
/// # Errors
/// The child has ended.
pub async fn signal(child: &Child, name: &str) -> Result<()> {
    signal_to(child.id().context("the child has ended already")?, name).await
}

/// Sends a signal to a process.
///
/// # Errors
/// The process has ended.
pub async fn signal_to(pid: u32, name: &str) -> Result<()> {
    let pid = pid.to_string();
    // The shell's own: not every machine has the program `kill`.
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid])
        .status()
        .await?;
    ensure!(status.success(), "kill -s {name} {pid}: {status}");
    Ok(())
}

/// Waits until a child exits.
///
/// # Errors
/// It does not end in time.
pub async fn end(child: &mut Child) -> Result<std::process::ExitStatus> {
    let ended = tokio::time::timeout(LIMIT, child.wait()).await;
    Ok(ended.context("the child did not end in time")??)
}

/// The process that removes a run's leftovers if its own process is killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watchdog {
    /// Its process id.
    pub pid: u32,
    /// The run's id, a label of everything that it created.
    pub run: String,
}

impl Watchdog {
    /// The watchdog of `child`; `None` if it has not been started yet.
    ///
    /// # Errors
    /// The child has ended.
    pub fn of(child: &Child) -> Result<Option<Self>> {
        let parent = child.id().context("the child has ended already")?;
        // Each thread lists the processes that it has started.
        for thread in fs::read_dir(format!("/proc/{parent}/task"))?.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            for pid in children.split_whitespace() {
                let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                if let [_, "watchdog", run, ..] = arguments.split('\0').collect::<Vec<_>>()[..] {
                    let (pid, run) = (pid.parse()?, run.to_owned());
                    return Ok(Some(Self { pid, run }));
                }
            }
        }
        Ok(None)
    }
}
