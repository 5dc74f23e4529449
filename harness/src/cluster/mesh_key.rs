//! A mesh with a key: the key's file, and an override of the Compose file that gives it to every container. The Compose file
//! itself has no secrets.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::cluster::checkout::Checkout;
use crate::cluster::topology::Topology;
use crate::compose::MountedFile;
use crate::engine::Engine;
use crate::error::Error;

/// The file with the key.
const KEY: &str = "mesh.key";
/// The override of the Compose file.
const OVERRIDE: &str = "compose.key.yaml";
/// The sidecar's variable with the name of the key's file.
const VARIABLE: &str = "SIDECAR_DISCOVERY_KEY_FILE";
/// Where a container has the file: there Compose mounts a secret of this name.
const MOUNTED: &str = "/run/secrets/mesh_key";

/// The files of a mesh's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshKey {
    directory: PathBuf,
}

impl MeshKey {
    /// That of a project of this checkout, whether it has one or not.
    pub fn of_project(checkout: &Checkout, project: &str) -> Self {
        Self::at(checkout.target().join("harness/keys").join(project))
    }

    /// That with its files in this directory.
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Makes a new key, and the override for this topology. Only this user can enter the directory.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn create(&self, topology: &Topology, engine: &Engine) -> Result<(), Error> {
        self.write(topology, engine).map_err(|error| {
            let directory = self.directory.display();
            Error::environment(
                format!("the mesh key cannot be written to {directory}: {error}"),
                "make room, or make the directory writable",
            )
        })
    }

    /// That of a mesh whose containers were made from these files, separated by commas; `None` if it has no key.
    pub fn of_files(files: &str) -> Option<Self> {
        let file = files
            .split(',')
            .map(Path::new)
            .find(|file| file.ends_with(OVERRIDE))?;
        let directory = file.parent()?.to_owned();
        Some(Self { directory })
    }

    fn write(&self, topology: &Topology, engine: &Engine) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        fs::set_permissions(&self.directory, Permissions::from_mode(0o700))?;
        // The user of a container has to read it. Others cannot enter the directory.
        let mode = match engine {
            Engine::Docker(_) => 0o644,
            Engine::Process(_) => 0o600,
        };
        let line = BASE64_STANDARD.encode(rand::random::<[u8; 32]>()) + "\n";
        replace(&self.directory.join(KEY), mode, &line)?;
        replace(&self.file(), 0o600, &self.text(topology))
    }

    /// The override of the Compose file.
    pub fn file(&self) -> PathBuf {
        self.directory.join(OVERRIDE)
    }

    fn text(&self, topology: &Topology) -> String {
        let mut text = format!(
            "# The mesh `{}` with a key:\n#     docker compose -f {} -f {} -p {} up\nservices:\n",
            topology.project,
            topology.file.display(),
            self.file().display(),
            topology.project
        );
        let mut services: Vec<&str> = topology
            .members
            .iter()
            .map(|member| member.service.name.as_str())
            .collect();
        services.dedup();
        for service in services {
            text += &format!(
                "  {service}:\n    environment:\n      {VARIABLE}: {MOUNTED}\n    secrets: [mesh_key]\n"
            );
        }
        // A path in an override is relative to the first file.
        let key = serde_json::Value::from(self.directory.join(KEY).display().to_string());
        text + &format!("secrets:\n  mesh_key:\n    file: {key}\n")
    }

    /// The topology whose containers have the key.
    pub fn given_to(&self, mut topology: Topology) -> Topology {
        for member in &mut topology.members {
            let environment = &mut member.service.environment;
            environment.insert(VARIABLE.to_owned(), MOUNTED.to_owned());
            member.service.files = vec![MountedFile {
                source: self.directory.join(KEY),
                target: MOUNTED.to_owned(),
            }];
        }
        topology.overrides = vec![self.file()];
        topology
    }

    /// Removes the files. Nothing is reported: only the mesh that they were made for has used them.
    pub fn remove(&self) {
        for file in [KEY, OVERRIDE] {
            let _ = fs::remove_file(self.directory.join(file));
        }
        let _ = fs::remove_dir(&self.directory);
    }
}

/// Writes a new file, in the place of one that is there.
fn replace(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    // Not subject to the umask.
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::ComposeFile;
    use crate::engine::Processes;

    fn topology() -> Topology {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/compose.yaml");
        Topology::new("m", ComposeFile::read(&path, &|_| None).unwrap()).unwrap()
    }

    #[test]
    fn every_container_gets_a_key_that_others_cannot_read() {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::Process(Processes::open_in(directory.path().join("state")).unwrap());
        let key = MeshKey::at(directory.path().join("key"));
        let make = || key.create(&topology(), &engine).unwrap();
        make();
        let read = || fs::read_to_string(key.directory.join(KEY)).unwrap();
        let first = read();
        assert_eq!(BASE64_STANDARD.decode(first.trim()).unwrap().len(), 32);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&key.directory), mode(&key.directory.join(KEY))),
            (0o700, 0o600)
        );
        make();
        assert_ne!(read(), first, "another mesh has another key");

        let keyed = key.given_to(topology());
        for member in &keyed.members {
            assert_eq!(member.service.environment[VARIABLE], MOUNTED);
            assert_eq!(member.service.files[0].source, key.directory.join(KEY));
        }
        let text = fs::read_to_string(key.file()).unwrap();
        assert_eq!(text.matches("secrets: [mesh_key]").count(), 5, "{text}");
        assert!(!text.contains(read().trim()), "the override contains the key");
        let files = format!("{},{}", keyed.file.display(), key.file().display());
        assert_eq!(MeshKey::of_files(&files).as_ref(), Some(&key));
        assert_eq!(MeshKey::of_files(&keyed.file.display().to_string()), None);
        key.remove();
        assert!(!key.directory.exists());
    }
}
