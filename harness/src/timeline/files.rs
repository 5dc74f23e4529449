//! The timeline files of failures: their directory, names, and retention.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::clock;
use crate::cluster::checkout::Checkout;
use crate::error::Error;

/// Newest files kept; older ones are deleted.
const KEPT: usize = 20;
/// Pattern of a file name's start: a UTC time, with a digit for each 0.
const STAMP: &str = "0000-00-00T00-00-00-000Z-";

/// The directory of the timeline files.
pub fn directory(checkout: &Checkout) -> PathBuf {
    checkout.target().join("harness").join("why")
}

/// The file for a failure of `scenario` at `at`. File names sort by time.
pub fn file(directory: &Path, at: SystemTime, scenario: &str) -> PathBuf {
    let stamp = clock::rfc3339(at).replace([':', '.'], "-");
    directory.join(format!("{stamp}-{scenario}-{}.txt", std::process::id()))
}

/// The newest timeline file.
///
/// # Errors
/// There is none.
pub fn newest(directory: &Path) -> Result<PathBuf, Error> {
    let nothing = || {
        let advice =
            "a timeline is written when `test` or `chaos` fails; pass FILE to print one from elsewhere";
        Error::environment(format!("there is no timeline in {}", directory.display()), advice)
    };
    let listed = listed(directory).map_err(|_| nothing())?;
    listed.into_iter().next_back().ok_or_else(nothing)
}

/// Writes a timeline file and deletes the oldest beyond [`KEPT`]. Blocking.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    std::fs::write(path, text)?;
    // A file that cannot be deleted now is tried again at the next write.
    let mut older = listed(directory).unwrap_or_default();
    older.retain(|other| other != path);
    for file in older.iter().rev().skip(KEPT - 1) {
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}

/// The timeline files of a directory, oldest first.
fn listed(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)?.filter_map(Result::ok);
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(is_timeline))
        .collect();
    files.sort();
    Ok(files)
}

/// Whether `name` has the form that [`file`] generates.
fn is_timeline(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let dated = name.len() > STAMP.len()
        && name.bytes().zip(STAMP.bytes()).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        });
    let process = name.strip_suffix(".txt").and_then(|name| name.rsplit('-').next());
    dated && process.is_some_and(digits)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn at(seconds: usize) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_498_000 + seconds as u64)
    }

    #[test]
    fn newest_ignores_other_files() {
        let directory = tempfile::tempdir().unwrap();
        assert!(newest(directory.path()).is_err());
        assert!(newest(&directory.path().join("not there")).is_err());
        let newer = file(directory.path(), at(687), "a");
        for path in [&newer, &file(directory.path(), at(686), "z")] {
            std::fs::write(path, "").unwrap();
        }
        std::fs::write(directory.path().join("zzz.txt"), "").unwrap();
        assert_eq!(newest(directory.path()).unwrap(), newer);
        let name = newer.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("2026-11-24T05-38-07-000Z-a-"), "{name}");
    }

    #[test]
    fn only_the_oldest_timelines_are_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("why");
        let path = |number| file(&directory, at(number), "all_gone");
        write(&path(1), "1").unwrap();
        let stamped = path(0).file_name().unwrap().to_str().unwrap().to_owned();
        let others = [
            "notes.txt".to_owned(),
            "0.txt".to_owned(),
            stamped.replace(".txt", ".json"),
            stamped.replace(".txt", "-kept.txt"),
            format!("old-{stamped}"),
        ]
        .map(|name| directory.join(name));
        for other in &others {
            std::fs::write(other, "").unwrap();
        }
        for number in 2..=KEPT + 3 {
            write(&path(number), &number.to_string()).unwrap();
        }
        let kept: Vec<PathBuf> = (4..=KEPT + 3).map(path).collect();
        assert_eq!(listed(&directory).unwrap(), kept);
        assert!(others.iter().all(|other| other.exists()));
        // After the clock was set back, the file just written is kept.
        write(&path(0), "0").unwrap();
        assert_eq!(listed(&directory).unwrap().len(), KEPT);
        assert_eq!(std::fs::read_to_string(path(0)).unwrap(), "0");
    }
}
