//! `.mesh`, the folder beside a project's first file with all that the harness generates for it. It is the user's alone,
//! because the generated files can hold resolved secrets; only the waypoints' files are readable by others, since
//! waypoints run as nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::addresses::Assigned;
use super::listening::Sockets;
use super::waypoints::Addresses;
use crate::cluster::file_lock::FileLock;
use crate::error::Error;

/// Its name.
pub const NAME: &str = ".mesh";
/// The folder in it with the waypoints' files.
pub const WAYPOINTS: &str = "waypoints";
/// The additions, for version 2.
pub const OVERRIDE: &str = "override.yaml";
/// The whole project, for 1.29.
pub const WHOLE: &str = "compose.yaml";
const STATE: &str = "state.json";

/// What is kept between commands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The project's name.
    pub project: String,
    /// Ports on which services were seen listening.
    #[serde(flatten)]
    pub seen: Sockets,
    /// Static addresses of waypoints.
    pub addresses: Assigned,
    /// Addresses that waypoints had at the end of the last `up`, by service.
    pub waypoints: Addresses,
    /// Numbers of containers that `scale` set.
    pub scale: BTreeMap<String, u64>,
    /// Services whose host ports their waypoints have, because `scale` needed it.
    pub moved: BTreeSet<String>,
    /// Whether SELinux separates the engine's containers from its machine.
    pub relabel: bool,
    /// The volume that takes the place of the waypoints' folder, if the engine does not see it.
    pub volume: Option<String>,
    /// Whether the additions are also in Compose's own override, for a plain `docker compose up`.
    pub installed: bool,
}

/// The folder of a project.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder in the project's directory. Nothing is created.
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            path: directory.join(NAME),
        }
    }

    /// Waits until no other process works on the project, and keeps others from it. The folder must exist.
    ///
    /// # Errors
    /// The lock's file cannot be created.
    pub async fn lock(&self) -> Result<FileLock, Error> {
        let path = self.path.join("lock");
        FileLock::acquire(&path).await.map_err(failed(&path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the waypoints' files.
    pub fn waypoints(&self) -> PathBuf {
        self.path.join(WAYPOINTS)
    }

    /// What was kept; the default if nothing was.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn state(&self) -> Result<State, Error> {
        let path = self.path.join(STATE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            Err(error) => return Err(failed(&path)(error)),
        };
        serde_json::from_str(&text).map_err(|error| {
            let what = format!("{} is malformed: {error}", path.display());
            Error::environment(what, "remove it: `up` writes it again")
        })
    }

    /// Creates the folder, or makes an existing one the user's alone again.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(&self) -> Result<(), Error> {
        for (path, mode) in [(self.path.clone(), 0o700), (self.waypoints(), 0o755)] {
            let created = DirBuilder::new().mode(mode).create(&path);
            let created = match created {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            };
            // Also after creating it: the process's mask may have taken bits away.
            created
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
                .map_err(failed(&path))?;
        }
        self.write(".gitignore", "*\n")
    }

    /// Keeps the state.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, state: &State) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(state).map_err(io::Error::other);
        self.write(STATE, &text.map_err(failed(&self.path.join(STATE)))?)
    }

    /// Writes a file of the folder that is readable by the user alone.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.path.join(name);
        replace(&path, text, 0o600).map_err(failed(&path))
    }

    /// Makes these the waypoints' files, by service.
    ///
    /// # Errors
    /// One cannot be written, or another one not be removed.
    pub fn write_waypoints(&self, files: &BTreeMap<String, String>) -> Result<(), Error> {
        let directory = self.waypoints();
        for (service, text) in files {
            let path = directory.join(format!("{service}.json"));
            replace(&path, text, 0o644).map_err(failed(&path))?;
        }
        let entries = fs::read_dir(&directory).map_err(failed(&directory))?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = name
                .strip_suffix(".json")
                .is_some_and(|service| files.contains_key(service));
            if !known {
                fs::remove_file(entry.path()).map_err(failed(&entry.path()))?;
            }
        }
        Ok(())
    }

    /// Removes the folder.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self) -> Result<(), Error> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&self.path)(error)),
            _ => Ok(()),
        }
    }
}

/// Replaces a file at once, so that a reader sees the old or the new text. One with the same text stays.
pub(super) fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return fs::set_permissions(path, Permissions::from_mode(mode));
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    drop(file);
    fs::rename(&beside, path)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |error| {
        let what = format!("{}: {error}", path.display());
        Error::environment(what, "make the project's directory writable, or copy the project")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_waypoints_files_are_readable_by_others() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::in_directory(directory.path());
        assert_eq!(folder.state().unwrap(), State::default());
        folder.create().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        folder.create().unwrap();
        let state = State {
            project: "shop".to_owned(),
            ..State::default()
        };
        folder.keep(&state).unwrap();
        let files = ["api", "web"].map(|name| (name.to_owned(), "{}\n".to_owned()));
        folder.write_waypoints(&BTreeMap::from(files.clone())).unwrap();
        folder
            .write_waypoints(&BTreeMap::from([files[0].clone()]))
            .unwrap();

        assert_eq!(folder.state().unwrap(), state);
        let path = |name: &str| folder.path().join(name);
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(mode(&path(STATE)), 0o600);
        assert_eq!(fs::read_to_string(path(".gitignore")).unwrap(), "*\n");
        assert_eq!(mode(&folder.waypoints()), 0o755);
        assert_eq!(mode(&path("waypoints/api.json")), 0o644);
        assert!(!path("waypoints/web.json").exists());
        folder.remove().unwrap();
        folder.remove().unwrap();
        assert!(!folder.path().exists());
    }

    #[test]
    fn a_malformed_state_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::in_directory(directory.path());
        folder.create().unwrap();
        folder.write(STATE, "{").unwrap();
        assert!(
            folder
                .state()
                .unwrap_err()
                .to_string()
                .contains("state.json is malformed")
        );
    }
}
