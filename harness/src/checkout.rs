//! Where this project's files are.

use std::path::{Path, PathBuf};

use crate::compose::ComposeFile;
use crate::error::Error;
use crate::topology::Topology;

const COMPOSE_FILE: &str = "compose/compose.yaml";

/// A checkout of this project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// The checkout that the current directory is in, else the one that this program was built from.
    ///
    /// # Errors
    /// Neither is there.
    pub fn find() -> Result<Self, Error> {
        let current = std::env::current_dir().unwrap_or_default();
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        let root = current
            .ancestors()
            .chain(built_from)
            .find(|dir| dir.join(COMPOSE_FILE).is_file());
        let what = || format!("there is no {COMPOSE_FILE} in {} or above it", current.display());
        let root =
            root.ok_or_else(|| Error::environment(what(), "run it inside a checkout of this project"))?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The mesh that its Compose file describes, as the project of this name.
    ///
    /// # Errors
    /// The file is not there, not understood, or not a mesh.
    pub fn topology(&self, project: &str) -> Result<Topology, Error> {
        let lookup = |name: &str| match name {
            "MESH_NAME" => Some(project.to_owned()),
            other => std::env::var(other).ok(),
        };
        let file = ComposeFile::read(&self.root.join(COMPOSE_FILE), &lookup)?;
        Ok(Topology::new(project, file)?)
    }
}
