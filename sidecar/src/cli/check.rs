//! `sidecar check`: whether config files would load.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::discovery::DiscoveryArgs;
use super::load;
use crate::diagnostic::Diagnostics;

/// The arguments of `sidecar check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Config files as for --load, one command per line, checked as if executed in order
    #[arg(value_name = "FILE", required_unless_present = "discovery_config")]
    load: Vec<PathBuf>,
    #[command(flatten)]
    discovery: DiscoveryArgs,
}

impl CheckArgs {
    /// Checks the files; returns the number of commands.
    pub(super) fn check(&self) -> anyhow::Result<usize> {
        let mut errors = Vec::new();
        let script = load(&self.load, &mut errors)?;
        self.discovery.settings(&mut errors)?;
        if !errors.is_empty() {
            bail!("the configuration would not load:\n{}", Diagnostics(errors));
        }
        script.log_remarks();
        Ok(script.lines.len())
    }
}
