//! The state directory. Changes are atomic for readers: directories and files are written under `tmp` and renamed to
//! their final path. Only logs and exit codes are written in place, by a run's shell or after its end.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::EngineError;

const PARTS: [&str; 5] = ["containers", "images", "names", "networks", "tmp"];

/// The state directory.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the directory or creates it. Fails if other users have access to it.
    pub(super) fn open(root: PathBuf) -> Result<Self, EngineError> {
        let refused = |reason: String| EngineError::State {
            directory: root.clone(),
            reason,
        };
        match DirBuilder::new().mode(0o700).create(&root) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(refused(error.to_string())),
        }
        let found = fs::symlink_metadata(&root).map_err(|error| refused(error.to_string()))?;
        if !found.is_dir() {
            return Err(refused("it is not a directory".to_owned()));
        }
        if found.uid() != rustix::process::getuid().as_raw() {
            return Err(refused(format!("it belongs to user {}", found.uid())));
        }
        if found.mode() & 0o077 != 0 {
            return Err(refused("other users have access to it".to_owned()));
        }
        let store = Self { root: root.clone() };
        let prepare = || {
            for part in PARTS {
                fs::create_dir_all(store.root.join(part))?;
            }
            let _lock = store.lock()?;
            // Writers hold the lock, so these are the leftovers of a killed process.
            for (_, left) in entries(&store.root.join("tmp"))? {
                if left.is_dir() {
                    fs::remove_dir_all(left)?;
                } else {
                    fs::remove_file(left)?;
                }
            }
            Ok(())
        };
        prepare().map_err(|error: io::Error| refused(error.to_string()))?;
        Ok(store)
    }

    /// Acquires the exclusive lock on the directory, which is held until the file is dropped. Blocks.
    pub(super) fn lock(&self) -> io::Result<File> {
        let file = File::create(self.root.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// The directory with a subdirectory for each container.
    pub(super) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// The directory with a subdirectory for each image.
    pub(super) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The directory with a file for each image name.
    pub(super) fn names(&self) -> PathBuf {
        self.root.join("names")
    }

    /// The directory with a subdirectory for each network.
    pub(super) fn networks(&self) -> PathBuf {
        self.root.join("networks")
    }

    /// Creates an empty directory under `tmp`, to be filled and then renamed to its final path. The caller holds the
    /// lock.
    pub(super) fn fresh(&self) -> io::Result<PathBuf> {
        let directory = self.temporary();
        fs::create_dir(&directory)?;
        Ok(directory)
    }

    /// Writes a JSON file, atomically for readers. The caller holds the lock.
    pub(super) fn write<T: Serialize>(&self, path: &Path, value: &T) -> io::Result<()> {
        let temporary = self.temporary();
        fs::write(&temporary, serde_json::to_vec(value)?)?;
        fs::rename(temporary, path)
    }

    /// A new path under `tmp`.
    fn temporary(&self) -> PathBuf {
        self.root.join("tmp").join(random_id())
    }

    /// Removes a directory, atomically for readers. The caller holds the lock.
    pub(super) fn discard(&self, directory: &Path) -> io::Result<()> {
        let aside = self.temporary();
        match fs::rename(directory, &aside) {
            Ok(()) => fs::remove_dir_all(aside),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// 64 random hexadecimal digits.
pub(super) fn random_id() -> String {
    hex(&rand::random::<[u8; 32]>())
}

/// `bytes` as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names and paths of a directory's entries, sorted; empty if it does not exist.
pub(super) fn entries(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let listed = match fs::read_dir(directory) {
        Ok(listed) => listed,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in listed {
        let entry = entry?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    found.sort();
    Ok(found)
}

/// Reads a JSON file; `None` if it does not exist.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let named = |error: serde_json::Error| io::Error::other(format!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).map(Some).map_err(named)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn opened(root: &Path) -> Result<Store, String> {
        Store::open(root.to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_directory_with_access_for_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("state");
        opened(&root).unwrap();
        assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
        opened(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(
            opened(&root)
                .unwrap_err()
                .contains("other users have access to it")
        );
    }

    #[test]
    fn a_link_or_a_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        opened(&target).unwrap();
        std::os::unix::fs::symlink(&target, dir.path().join("link")).unwrap();
        assert!(
            opened(&dir.path().join("link"))
                .unwrap_err()
                .contains("not a directory")
        );
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(
            opened(&dir.path().join("file"))
                .unwrap_err()
                .contains("not a directory")
        );
    }

    #[test]
    fn what_was_never_finished_is_removed_at_the_next_opening() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("state");
        let store = opened(&root).unwrap();
        let directory = store.fresh().unwrap();
        fs::write(directory.join("half"), "").unwrap();
        // As a writer that is killed before it renames.
        let file = dir.path().join("state/names/name");
        fs::create_dir(&file).unwrap();
        store.write(&file, &5_u32).unwrap_err();
        assert_eq!(entries(&root.join("tmp")).unwrap().len(), 2);
        opened(&root).unwrap();
        assert_eq!(entries(&root.join("tmp")).unwrap(), []);
        assert_eq!(
            entries(&root.join("names")).unwrap().len(),
            1,
            "nothing is left beside the file"
        );
    }

    #[test]
    fn a_missing_file_has_no_value_and_a_malformed_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(&dir.path().join("state")).unwrap();
        let path = store.containers().join("value.json");
        assert_eq!(read::<u32>(&path).unwrap(), None);
        store.write(&path, &5_u32).unwrap();
        assert_eq!(read::<u32>(&path).unwrap(), Some(5));
        fs::write(&path, "{").unwrap();
        assert!(read::<u32>(&path).unwrap_err().to_string().contains("value.json"));
    }
}
