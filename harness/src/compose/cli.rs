//! The installed Compose program: `docker compose`, or the older `docker-compose`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Timeout for one command; `docker-compose` is slow to start.
const LIMIT: Duration = Duration::from_secs(60);
/// The path of standard input, for a Compose file that is not written to disk.
const STDIN: &str = "/dev/stdin";

/// `docker compose` or `docker-compose`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComposeCli {
    name: &'static str,
    first: Option<&'static str>,
}

impl ComposeCli {
    /// Finds an installed Compose; prefers `docker compose`.
    pub async fn find() -> Option<Self> {
        let new = Self {
            name: "docker",
            first: Some("compose"),
        };
        let old = Self {
            name: "docker-compose",
            first: None,
        };
        for program in [new, old] {
            let mut command = program.command();
            command
                .arg("version")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let status = tokio::time::timeout(LIMIT, command.status()).await;
            if matches!(status, Ok(Ok(status)) if status.success()) {
                return Some(program);
            }
        }
        None
    }

    /// Runs a command on the Compose files `files` and an additional one with the text `more`, as `project`, with
    /// `variables` in its environment. Returns its standard output.
    ///
    /// # Errors
    /// It cannot be run, does not exit within a minute, or fails. The error has its output.
    pub async fn run(
        self,
        files: &[&Path],
        more: Option<&str>,
        project: &str,
        variables: &[(&str, &str)],
        arguments: &[&str],
    ) -> Result<String, String> {
        let mut command = self.command();
        for file in files {
            command.arg("-f").arg(file);
        }
        if more.is_some() {
            command.arg("-f").arg(STDIN);
        }
        command
            .args(["-p", project])
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let what = format!("`{} {}`", self.words(), arguments.join(" "));
        let running = async {
            let mut child = command.spawn()?;
            if let (Some(mut stdin), Some(more)) = (child.stdin.take(), more) {
                stdin.write_all(more.as_bytes()).await?;
            }
            child.wait_with_output().await
        };
        let ended = tokio::time::timeout(LIMIT, running).await;
        let output = ended
            .map_err(|_| format!("{what} did not exit within {LIMIT:?}"))?
            .map_err(|error| format!("{what} cannot be run: {error}"))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(printed)
        } else {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(format!(
                "{what}: {}\n{printed}{}",
                output.status,
                errors.trim_end()
            ))
        }
    }

    fn words(self) -> String {
        let first = self.first.map(|first| format!(" {first}")).unwrap_or_default();
        format!("{}{first}", self.name)
    }

    fn command(self) -> Command {
        let mut command = Command::new(self.name);
        command.args(self.first).kill_on_drop(true);
        command
    }
}
