//! The flags that name a Compose project of the user's, instead of the example.

use std::path::PathBuf;

use clap::Args;
use harness::error::Error;
use harness::project::files;

/// A project's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(super) struct FileArgs {
    /// Compose file of a project of yours, which becomes a mesh, instead of the example (repeatable)
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// With -f: file with the project's variables, instead of .env (repeatable)
    #[arg(long = "env-file", value_name = "FILE")]
    pub(super) env_files: Vec<PathBuf>,
    /// With -f: an active profile of the project (repeatable)
    #[arg(long = "profile", value_name = "NAME")]
    pub(super) profiles: Vec<String>,
    /// Whether a variable named the files: then no override is read beside a single one.
    #[arg(skip)]
    pub(super) exact: bool,
}

impl FileArgs {
    /// These flags; each missing one is taken from `before`, the flags that precede the command.
    pub(super) fn or(mut self, before: Self) -> Self {
        let take = |own: &mut Vec<PathBuf>, before| {
            if own.is_empty() {
                *own = before;
            }
        };
        take(&mut self.files, before.files);
        take(&mut self.env_files, before.env_files);
        if self.profiles.is_empty() {
            self.profiles = before.profiles;
        }
        self
    }

    /// These flags with the project's files: those of -f, or those that Compose finds here. `None` if there are none: the
    /// example is meant.
    ///
    /// # Errors
    /// Only flags are given that need a project, or the `.env` here is malformed.
    pub(super) fn project(mut self) -> Result<Option<Self>, Error> {
        if !self.files.is_empty() {
            return Ok(Some(self));
        }
        let current = std::env::current_dir().unwrap_or_default();
        if let Some(found) = files::found(&current, std::env::vars_os())? {
            self.files = found.files;
            self.exact = found.exact;
            if self.env_files.is_empty() {
                self.env_files.extend(found.env_file);
            }
            return Ok(Some(self));
        }
        if self != Self::default() {
            return Err(Error::environment(
                "--env-file or --profile without a project",
                "name the project's Compose file with -f",
            ));
        }
        Ok(None)
    }

    /// Refuses these flags before a command for which they mean nothing.
    pub(super) fn check_accepted(&self, accepted: bool) -> Result<(), Error> {
        if accepted || *self == Self::default() {
            return Ok(());
        }
        Err(Error::environment(
            "-f, --env-file or --profile precedes a command that knows the example only",
            "remove it; up, down, status, scale, logs, inject and eject take a project",
        ))
    }
}
