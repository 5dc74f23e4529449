//! Writes a file so that one whole version of it can be read even if the process is killed or the power fails.
//!
//! The new version is written beside the file, and renamed over it. A file that cannot be replaced is written in place
//! while its new version stands beside it: a mount point, one of several hard links, or a file whose owner would change.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Maximum number of symbolic links to follow, as in the kernel (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// How a file was written.
#[derive(Debug)]
pub(super) enum Written {
    /// By a rename.
    Replaced,
    /// In place.
    InPlace {
        /// Why it was not replaced.
        reason: io::Error,
        /// Whether its new version stood beside it meanwhile. If not, a crash can leave it truncated.
        copied: bool,
    },
}

/// The file that a path leads to: the target of a symbolic link, which may not exist yet.
///
/// # Errors
/// When the links have no end.
pub(super) fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..=MAX_LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = directory(&path).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("its symbolic links have no end"))
}

/// The new version of a file, beside it.
pub(super) fn copy_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().map(OsString::from).unwrap_or_default();
    name.push(".new");
    directory(file).join(name)
}

fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes a file. An existing one keeps its owner and permissions, and its content if this fails.
///
/// # Errors
/// When neither way is possible, with the reason of the last one.
pub(super) fn write(path: &Path, text: &str) -> io::Result<Written> {
    let file = target(path)?;
    let copy = copy_of(&file);
    let old = match fs::metadata(&file) {
        Ok(old) if old.is_file() => Some(old),
        Ok(_) => return Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let copied = write_copy(&copy, text, old.as_ref());
    let replaced = copied.map(|kept| match &old {
        Some(_) if !kept => Err(io::Error::other("its owner would change")),
        Some(old) if old.nlink() > 1 => Err(io::Error::other("it has several hard links")),
        _ => fs::rename(&copy, &file),
    });
    let (reason, copied) = match (replaced, &old) {
        (Ok(Ok(())), _) => return sync_directory(&file).map(|()| Written::Replaced),
        (Ok(Err(reason)), Some(_)) => (reason, true),
        (Err(reason), Some(old)) if says_nothing_of(&file, old, &reason) => (reason, false),
        (Ok(Err(error)) | Err(error), _) => {
            let _ = fs::remove_file(&copy);
            return Err(error);
        }
    };
    if copied {
        // The copy must be found after a power failure during the write.
        sync_directory(&file)?;
    }
    // If this fails, the copy stays: it is whole, whatever became of the file.
    write_in_place(&file, text)?;
    if copied {
        fs::remove_file(&copy)?;
    }
    Ok(Written::InPlace { reason, copied })
}

/// Writes the new version of a file, with its owner and permissions; returns whether it could be given these.
fn write_copy(copy: &Path, text: &str, old: Option<&Metadata>) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if old.is_some() {
        // Until it has the permissions of the file, it has none for others.
        options.mode(0o600);
    }
    let mut new = options.open(copy)?;
    let kept = match old {
        Some(old) => keep_owner(&new, old).is_ok(),
        None => true,
    };
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    Ok(kept)
}

fn keep_owner(new: &File, old: &Metadata) -> io::Result<()> {
    let made = new.metadata()?;
    if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
        fchown(new, Some(old.uid()), Some(old.gid()))?;
    }
    new.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
}

/// Whether the failure to write beside a file says nothing about the file itself: its directory cannot be written, or
/// is of another file system.
fn says_nothing_of(file: &Path, old: &Metadata, failure: &io::Error) -> bool {
    matches!(
        failure.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    ) || fs::metadata(directory(file)).is_ok_and(|directory| directory.dev() != old.dev())
}

/// Writes an existing file in place. If that fails, restores its content.
fn write_in_place(path: &Path, text: &str) -> io::Result<()> {
    let old = fs::read(path)?;
    let mut file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.nlink() == 0 {
        // What is written to it would be lost with the mount.
        return Err(io::Error::other(
            "the mounted file was replaced outside, as editors do; mount it again, or mount its directory",
        ));
    }
    overwrite(&mut file, text.as_bytes()).inspect_err(|_| {
        // The original error is reported.
        let _ = overwrite(&mut file, &old);
    })
}

fn overwrite(file: &mut File, content: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

/// Makes a rename last. Some file systems cannot sync a directory; they are as safe as they can be.
fn sync_directory(file: &Path) -> io::Result<()> {
    match File::open(directory(file))?.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        outcome => outcome,
    }
}
