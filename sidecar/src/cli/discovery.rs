//! The arguments about discovery.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::diagnostic::Diagnostic;
use crate::mesh::DiscoverySettings;
use crate::mesh::key::reload::{LoadError, load};
use crate::settings::KEY_FILE;
use crate::text_file::read;

/// Where the settings of discovery are.
#[derive(Debug, Args)]
pub(super) struct DiscoveryArgs {
    /// Discovery settings; without them the sidecar joins no mesh
    #[arg(long, value_name = "FILE")]
    discovery_config: Option<PathBuf>,
    /// File with the mesh key, instead of discovery.key_file; or set SIDECAR_DISCOVERY_KEY_FILE
    #[arg(long, value_name = "FILE", requires = "discovery_config")]
    discovery_key_file: Option<PathBuf>,
}

impl DiscoveryArgs {
    /// Reads the settings, and checks the key file. `None` without a file of settings.
    ///
    /// # Errors
    /// A file that cannot be read. Errors in a file are added to `errors`.
    pub(super) fn settings(&self, errors: &mut Vec<Diagnostic>) -> anyhow::Result<Option<DiscoverySettings>> {
        let Some(path) = &self.discovery_config else {
            return Ok(None);
        };
        let settings = DiscoverySettings::parse(&path.display().to_string(), &read(path)?);
        let settings = settings.map_err(|mut found| errors.append(&mut found.0)).ok();
        let variable = || {
            std::env::var_os(KEY_FILE)
                .filter(|file| !file.is_empty())
                .map(PathBuf::from)
        };
        let key_file = self.discovery_key_file.clone().or_else(variable);
        let Some(mut settings) = settings else {
            return Ok(None);
        };
        settings.key_file = key_file.or(settings.key_file);
        if let Some(file) = &settings.key_file {
            match load(file) {
                Ok(_) => {}
                Err(LoadError::Keys(diagnostic)) => errors.push(diagnostic),
                Err(LoadError::Read(error)) => return Err(error).context("discovery.key_file"),
            }
        }
        Ok(Some(settings))
    }
}
