//! The backend and the load, as processes of this same program.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::load::{Outcome, Task};
use crate::error::Error;

/// Time that a backend may take to listen.
const START_LIMIT: Duration = Duration::from_secs(10);

/// This program, which can be started as its helpers.
#[derive(Debug, Clone)]
pub(super) struct Helpers {
    program: PathBuf,
}

/// A helper that stays; it is killed when this is dropped, and ends with the process that has this.
#[derive(Debug)]
pub(super) struct Helper(#[expect(dead_code, reason = "it lives as long as this")] Child);

impl Helpers {
    pub(super) fn new() -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(failed)?;
        Ok(Self { program })
    }

    /// A backend with this number of threads.
    pub(super) async fn backend(&self, threads: usize) -> Result<(Helper, SocketAddr), Error> {
        let arguments = ["backend".to_owned(), threads.to_string()];
        let (helper, line) = self.started(&arguments, START_LIMIT).await?;
        let address = line.parse().map_err(|_| unheard(&line))?;
        Ok((helper, address))
    }

    /// Puts on a load, which must be done within `limit`; what it holds, it holds as long as the helper lives.
    pub(super) async fn load(&self, task: &Task, limit: Duration) -> Result<(Helper, Outcome), Error> {
        let task = serde_json::to_string(task).map_err(|error| unheard(&error.to_string()))?;
        let (helper, line) = self.started(&["load".to_owned(), task], limit).await?;
        let outcome: Outcome = serde_json::from_str(&line).map_err(|_| unheard(&line))?;
        if outcome.exhausted {
            return Err(Error::environment(
                format!(
                    "this machine ran out of ports or descriptors: {}",
                    outcome.failure.as_deref().unwrap_or_default()
                ),
                "wait a minute for closed connections to be forgotten, take a shorter --duration, or raise the \
                 limit of open files (ulimit -Hn)",
            ));
        }
        Ok((helper, outcome))
    }

    /// Starts a helper and hears its first line.
    async fn started(&self, arguments: &[String], limit: Duration) -> Result<(Helper, String), Error> {
        let mut child = Command::new(&self.program)
            .arg("bench")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut stdout = BufReader::new(stdout);
            let heard = tokio::time::timeout(limit, stdout.read_line(&mut line)).await;
            heard.map_err(|_| unheard("nothing in time"))?.map_err(failed)?;
        }
        Ok((Helper(child), line.trim_end().to_owned()))
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::environment(
        format!("the harness cannot start itself as a helper: {error}"),
        "check that the harness's program file still exists",
    )
}

fn unheard(what: &str) -> Error {
    Error::environment(
        format!("a helper of the bench reported: {what}"),
        "look at what it wrote above; where the machine is very busy, try again",
    )
}
