//! The installed Compose program: `docker compose`, or the older `docker-compose`.

use std::fmt;
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
    /// The Compose that a user would run: `docker compose` if it is installed.
    pub async fn find() -> Option<Self> {
        Self::installed().await.into_iter().next()
    }

    /// All that are installed, `docker compose` first.
    pub async fn installed() -> Vec<Self> {
        let new = Self {
            name: "docker",
            first: Some("compose"),
        };
        let old = Self {
            name: "docker-compose",
            first: None,
        };
        let mut found = Vec::new();
        for program in [new, old] {
            let mut command = program.command();
            command
                .arg("version")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let status = tokio::time::timeout(LIMIT, command.status()).await;
            if matches!(status, Ok(Ok(status)) if status.success()) {
                found.push(program);
            }
        }
        found
    }

    /// Runs a command on the Compose files `files` and an additional one with the text `more`, with `variables` in its
    /// environment. Without a `project`, Compose names the project itself. Returns its standard output.
    ///
    /// # Errors
    /// It cannot be run, does not exit within a minute, or fails. The error has its output.
    pub async fn run(
        self,
        files: &[&Path],
        more: Option<&str>,
        project: Option<&str>,
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
        if let Some(project) = project {
            command.args(["-p", project]);
        }
        command
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let what = format!("`{self} {}`", arguments.join(" "));
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

    fn command(self) -> Command {
        let mut command = Command::new(self.name);
        command.args(self.first).kill_on_drop(true);
        command
    }
}

impl fmt::Display for ComposeCli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.first.map_or(Ok(()), |first| write!(f, " {first}"))
    }
}
