//! The timeline files of failures: their directory, names, and retention.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::text::TITLE;
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

/// Reads a timeline file. Blocking.
///
/// # Errors
/// It cannot be read, or is not a timeline: the error says what it is instead.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let advice = "pass a file that a failed `test` or `chaos` has named, or leave out FILE for the newest";
    let refused = |why: String| Error::environment(format!("{}: {why}", path.display()), advice);
    let not_a_timeline = |found: &str| {
        refused(format!(
            "expected a timeline, whose first line is `{TITLE}`, and found {found}"
        ))
    };
    let unread = |error: io::Error| refused(format!("it cannot be read: {error}"));
    // Opening a pipe would wait for its writer.
    let kind = std::fs::metadata(path).map_err(unread)?.file_type();
    if !kind.is_file() {
        let found = if kind.is_dir() {
            "a directory"
        } else {
            "no regular file"
        };
        return Err(not_a_timeline(found));
    }
    let mut file = File::open(path).map_err(unread)?;
    let mut read = Vec::new();
    let beginning = TITLE.len() as u64 + 1;
    let head = file.by_ref().take(beginning).read_to_end(&mut read);
    head.map_err(unread)?;
    if read.strip_suffix(b"\n") != Some(TITLE.as_bytes()) {
        return Err(not_a_timeline(&described(&read)));
    }
    file.read_to_end(&mut read).map_err(unread)?;
    Ok(read)
}

/// The beginning of a file that is not a timeline.
fn described(beginning: &[u8]) -> String {
    let text = String::from_utf8_lossy(beginning);
    let line = text.lines().next().unwrap_or_default();
    match line.trim() {
        "" if beginning.is_empty() => "an empty file".to_owned(),
        "" => "an empty first line".to_owned(),
        _ if line.contains(char::REPLACEMENT_CHARACTER) || line.contains(char::is_control) => {
            "no text".to_owned()
        }
        line => format!("`{line}`"),
    }
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
    fn only_a_timeline_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let with = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            read(&path).map_err(|error| error.to_string())
        };
        let timeline = format!("{TITLE}\n\nalternation does not hold\n");
        assert_eq!(with(timeline.as_bytes()).unwrap(), timeline.as_bytes());
        for (content, found) in [
            (&b""[..], "an empty file"),
            (b"\n\n", "an empty first line"),
            (b"[package]\nname = \"x\"\n", "`[package]`"),
            (b"\x7fELF\x02\x01\x01\x00", "no text"),
            (
                "\u{feff}é long line that has no end within the title".as_bytes(),
                "é long line",
            ),
            (TITLE.as_bytes(), TITLE),
            (format!("{TITLE}s").as_bytes(), TITLE),
        ] {
            let error = with(content).unwrap_err();
            assert!(
                error.contains("expected a timeline") && error.contains(found),
                "{error}"
            );
        }
        let error = read(directory.path()).unwrap_err().to_string();
        assert!(error.contains("found a directory"), "{error}");
        let error = read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("no regular file"), "{error}");
        let error = read(&directory.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
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
