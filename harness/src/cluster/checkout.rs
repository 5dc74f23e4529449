//! The checkout of this project: its directory and its Compose file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cluster::topology::Topology;
use crate::compose::{ComposeFile, Environment};
use crate::error::Error;

const COMPOSE_FILE: &str = "compose/compose.yaml";
/// Files that only a checkout of this project has together. Other projects too have a `compose/compose.yaml`.
pub(crate) const MARKS: [&str; 3] = [COMPOSE_FILE, "harness/Cargo.toml", "sidecar/Cargo.toml"];

/// A checkout of this project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// Finds the checkout that contains the current directory, otherwise the one that this program was built from.
    ///
    /// # Errors
    /// Neither exists.
    pub fn find() -> Result<Self, Error> {
        let current = std::env::current_dir().unwrap_or_default();
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        let root = current.ancestors().chain(built_from).find(|dir| is_checkout(dir));
        let what = || {
            format!(
                "neither {} nor a directory above it is a checkout of this project",
                current.display()
            )
        };
        let root =
            root.ok_or_else(|| Error::environment(what(), "run it inside a checkout of this project"))?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// The checkout that this program was built from.
    ///
    /// # Errors
    /// It is gone.
    pub fn built_from() -> Result<Self, Error> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap_or(Path::new("/"));
        if is_checkout(root) {
            return Ok(Self {
                root: root.to_owned(),
            });
        }
        Err(Error::environment(
            format!("{}, which this program was built from, is gone", root.display()),
            "build the harness again from a checkout of this project",
        ))
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory: `CARGO_TARGET_DIR`, relative to the current directory, otherwise `target`.
    pub fn target(&self) -> PathBuf {
        let current = std::env::current_dir().unwrap_or_default();
        target(&self.root, &current, std::env::var_os("CARGO_TARGET_DIR"))
    }

    /// The variables of its Compose file.
    ///
    /// # Errors
    /// The `.env` beside the Compose file is malformed.
    pub fn environment(&self) -> Result<Environment, Error> {
        Ok(Environment::beside(&self.compose_file(), std::env::vars_os())?)
    }

    /// The topology that the Compose file describes, under this project name. The containers of a project that is not
    /// Compose's own are named after it.
    ///
    /// # Errors
    /// A file is missing or malformed, or does not describe a mesh.
    pub fn topology(&self, project: &str) -> Result<Topology, Error> {
        let environment = self.environment()?;
        let renamed = project != environment.project_name();
        let lookup = |name: &str| match name {
            "MESH_NAME" if renamed => Some(project.to_owned()),
            other => environment.get(other),
        };
        let mut file = ComposeFile::read(&self.compose_file(), &lookup)?;
        file.unset.extend(environment.unset().iter().cloned());
        Ok(Topology::new(project, file)?)
    }

    fn compose_file(&self) -> PathBuf {
        self.root.join(COMPOSE_FILE)
    }
}

/// Whether a directory is the root of a checkout of this project.
pub fn is_checkout(directory: &Path) -> bool {
    MARKS.iter().all(|file| directory.join(file).is_file())
}

fn target(root: &Path, current: &Path, named: Option<OsString>) -> PathBuf {
    match named {
        Some(named) if !named.is_empty() => current.join(named),
        _ => root.join("target"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compose_file_alone_makes_no_checkout() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        write(COMPOSE_FILE);
        assert!(!is_checkout(directory.path()));
        MARKS.into_iter().for_each(write);
        assert!(is_checkout(directory.path()));
        assert!(Checkout::built_from().is_ok());
    }

    #[test]
    fn the_target_directory_is_relative_to_the_current_directory() {
        let target = |named: Option<&str>| {
            let named = named.map(OsString::from);
            target(Path::new("/root"), Path::new("/root/below"), named)
        };
        assert_eq!(target(None), Path::new("/root/target"));
        assert_eq!(target(Some("")), Path::new("/root/target"));
        assert_eq!(target(Some("other")), Path::new("/root/below/other"));
        assert_eq!(target(Some("/elsewhere")), Path::new("/elsewhere"));
    }
}
