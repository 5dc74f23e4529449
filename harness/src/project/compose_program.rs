//! The user's Compose: `docker compose`, or `docker-compose`, of version 2 or 1.29.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::engine::Variables;
use crate::error::Error;

/// Timeout for a command that only reads; `docker-compose` 1.29 is slow to start.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// The programs, in the order of preference.
const WORDS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];

/// The variable that chooses one of them.
const VARIABLE: &str = "MESH_COMPOSE";

/// What differs between versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Version 2 or later.
    V2,
    /// Version 1.
    V1,
}

/// A Compose program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeProgram {
    words: &'static [&'static str],
    version: String,
    /// Its generation.
    pub generation: Generation,
    /// Variables for it, so that it and the harness use the same engine.
    pub variables: Variables,
}

impl ComposeProgram {
    /// Finds the program: that of `MESH_COMPOSE`, or `docker compose`, else `docker-compose`.
    ///
    /// # Errors
    /// Neither runs, or it is another program of that name.
    pub async fn find() -> Result<Self, Error> {
        let chosen = std::env::var(VARIABLE).unwrap_or_default();
        let known = |words: &[&str]| chosen.is_empty() || words.join(" ") == chosen;
        if !WORDS.into_iter().any(known) {
            return Err(Error::environment(
                format!("{VARIABLE}: `{chosen}`: expected `docker compose` or `docker-compose`"),
                format!("change {VARIABLE}, or unset it"),
            ));
        }
        let mut other = None;
        for words in WORDS.into_iter().filter(|words| known(words)) {
            match Self::of(words).await {
                Ok(Some(program)) => return Ok(program),
                Ok(None) => {}
                Err(reason) => other = Some(reason),
            }
        }
        Err(Error::environment(
            other.unwrap_or_else(|| match chosen.as_str() {
                "" => "neither `docker compose` nor `docker-compose` runs".to_owned(),
                chosen => format!("`{chosen}`, which {VARIABLE} chooses, does not run"),
            }),
            "install Docker's Compose plugin (Debian: docker-compose); podman-compose is not supported",
        ))
    }

    /// All that are installed, in the order of [`ComposeProgram::find`].
    pub async fn installed() -> Vec<Self> {
        let mut found = Vec::new();
        for words in WORDS {
            found.extend(Self::of(words).await.ok().flatten());
        }
        found
    }

    /// The program that these words run, if there is one.
    async fn of(words: &'static [&'static str]) -> Result<Option<Self>, String> {
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(["version", "--short"])
            .kill_on_drop(true);
        let Ok(printed) = read(command).await else {
            return Ok(None);
        };
        let version = printed.trim().trim_start_matches('v').to_owned();
        let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
        let generation = match major {
            Some(1) if words.len() == 1 => Generation::V1,
            Some(2..) => Generation::V2,
            _ => {
                let line = printed.lines().next().unwrap_or_default();
                return Err(format!(
                    "`{}` is not Docker's Compose: its version is `{line}`",
                    words.join(" ")
                ));
            }
        };
        Ok(Some(Self {
            words,
            version,
            generation,
            variables: Variables::new(),
        }))
    }

    /// Whether a file can replace values of earlier ones, which needs 2.24.4; for 1.29 they are replaced here.
    pub fn replaces(&self) -> bool {
        let mut parts = self
            .version
            .split(['.', '-', '+'])
            .map(|part| part.parse().unwrap_or(0_u32));
        let mut next = || parts.next().unwrap_or(0);
        self.generation == Generation::V1 || (next(), next(), next()) >= (2, 24, 4)
    }

    /// Its words, such as `docker compose`, for a command line to copy.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.words.iter().copied()
    }

    /// Runs a command that prints its result.
    ///
    /// # Errors
    /// It fails, with what it wrote to standard error.
    pub async fn read(&self, arguments: &[String]) -> Result<String, Error> {
        let mut command = self.command();
        command.args(arguments);
        read(command).await.map_err(|reason| {
            let what = format!("`{self} {}` failed:\n{}", arguments.join(" "), reason.trim_end());
            Error::environment(what, "correct what Compose reports")
        })
    }

    /// Runs a command with this process's standard output and error.
    ///
    /// # Errors
    /// It fails.
    pub async fn run(&self, arguments: &[String]) -> Result<(), Error> {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null());
        let status = command.status().await;
        let status =
            status.map_err(|error| Error::environment(format!("`{self}`: {error}"), "install Compose"))?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::environment(
                format!("`{self} {}`: {status}", arguments.join(" ")),
                "correct what Compose reports above, then run the command again",
            ))
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.words[0]);
        command.args(&self.words[1..]).kill_on_drop(true);
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

impl fmt::Display for ComposeProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

impl ComposeProgram {
    /// Its name and version.
    pub fn described(&self) -> String {
        format!("{self} {}", self.version)
    }
}

/// The command's standard output. If it fails, its standard error.
async fn read(mut command: Command) -> Result<String, String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = tokio::time::timeout(READ_LIMIT, command.output()).await;
    let output = output.map_err(|_| format!("no end within {} s", READ_LIMIT.as_secs()))?;
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_from_a_version_on() {
        let program = |version: &str, generation| ComposeProgram {
            words: WORDS[1],
            version: version.to_owned(),
            generation,
            variables: Variables::new(),
        };
        assert!(program("1.29.2", Generation::V1).replaces());
        for (version, replaces) in [
            ("2.24.3", false),
            ("2.24.4-desktop.1", true),
            ("2.26.1-4", true),
            ("5.0.0", true),
            ("2.9", false),
        ] {
            assert_eq!(program(version, Generation::V2).replaces(), replaces, "{version}");
        }
    }
}
