//! Warns about files with a secret that any user of the machine can read.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, fstatvfs};

/// The permission of users other than the owner and those of the group to read a file, see inode(7).
const READ_BY_OTHERS: u32 = 0o004;

/// Warns if any user of the machine can read the file. It is used all the same: a container's secrets often have such
/// permissions, and cannot be given others. Those are mounted read-only, and not worth a warning.
pub(crate) fn warn_if_public(path: &Path, file: &File) {
    if is_public(file) && !is_read_only(file) {
        tracing::warn!(
            file = %path.display(),
            "every user of this machine can read the secret in this file; `chmod o-r` takes that away"
        );
    }
}

/// Whether it is a file whose permissions let everybody read it. A pipe, for instance, is read once.
fn is_public(file: &File) -> bool {
    file.metadata()
        .is_ok_and(|found| found.is_file() && found.mode() & READ_BY_OTHERS != 0)
}

/// Whether the file is on a read-only mount.
fn is_read_only(file: &File) -> bool {
    fstatvfs(file).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}
