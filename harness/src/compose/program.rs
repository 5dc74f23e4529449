//! The Compose program that is installed, old or new.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Time that one of its commands may take; the old one is slow to start.
const LIMIT: Duration = Duration::from_secs(60);

/// `docker compose` or `docker-compose`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    name: &'static str,
    first: Option<&'static str>,
}

impl Program {
    /// The newer of those that are installed; none where neither is.
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

    /// Runs it on `files` as `project` with its own `variables`; answers with what it printed.
    ///
    /// # Errors
    /// It cannot be run, takes more than a minute, or does not end well: with its own words.
    pub async fn run(
        self,
        files: &[&Path],
        project: &str,
        variables: &[(&str, &str)],
        arguments: &[&str],
    ) -> Result<String, String> {
        let mut command = self.command();
        for file in files {
            command.arg("-f").arg(file);
        }
        command
            .args(["-p", project])
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null());
        let what = format!("`{} {}`", self.words(), arguments.join(" "));
        let ended = tokio::time::timeout(LIMIT, command.output()).await;
        let output = ended
            .map_err(|_| format!("{what} does not end within {LIMIT:?}"))?
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
