//! `sidecar relaunch`: becomes the successor.
//!
//! The sockets are for one process (LISTEN_PID), whose id is known only once it exists, and safe code cannot change the
//! environment between a fork and an exec. So the sidecar starts its own program once more, with the sockets in place;
//! this process sets the variable and executes the successor's program.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, bail};

use crate::activation::LISTEN_PID;

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "relaunch";

/// The command line of `sidecar relaunch`.
#[derive(Debug, clap::Args)]
pub struct RelaunchArgs {
    /// The successor's command line: the sidecar's own, so that a new file in the program's place is executed.
    #[arg(last = true)]
    pub command_line: Vec<OsString>,
}

impl RelaunchArgs {
    /// Becomes the successor. Returns only if that fails.
    ///
    /// # Errors
    /// When the program cannot be executed.
    pub fn exec(&self) -> anyhow::Result<Infallible> {
        let Some((program, arguments)) = self.command_line.split_first() else {
            bail!("{SUBCOMMAND} is for the sidecar itself");
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env(LISTEN_PID, std::process::id().to_string());
        Err(command.exec()).with_context(|| format!("cannot start {}", program.display()))
    }
}
