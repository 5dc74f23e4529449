//! Controls a harness process: signals, its exit, and its watchdog.

use anyhow::{Context, Result, ensure};
use tokio::process::{Child, Command};

use crate::program::LIMIT;

/// Sends a signal, named as for kill(1), to a child.
///
/// # Errors
/// The child has ended, or `kill` is not installed.
pub async fn signal(child: &Child, name: &str) -> Result<()> {
    signal_to(child.id().context("the child has ended already")?, name).await
}

/// Sends a signal to a process.
///
/// # Errors
/// The process has ended, or `kill` is not installed.
pub async fn signal_to(pid: u32, name: &str) -> Result<()> {
    let pid = pid.to_string();
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid])
        .status()
        .await?;
    ensure!(status.success(), "kill -{name} {pid}: {status}");
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
    /// The child has ended, or the system's processes cannot be listed.
    pub async fn of(child: &Child) -> Result<Option<Self>> {
        let parent = child.id().context("the child has ended already")?.to_string();
        let listed = Command::new("ps")
            .args(["-A", "-o", "pid=,ppid=,args="])
            .output()
            .await
            .context("ps cannot be run")?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let found = listed.lines().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [pid, of, _, "watchdog", run, ..] if of == parent => Some((pid.to_owned(), run.to_owned())),
                _ => None,
            }
        });
        found
            .map(|(pid, run)| {
                Ok(Self {
                    pid: pid.parse()?,
                    run,
                })
            })
            .transpose()
    }
}
