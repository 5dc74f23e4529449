//! The file itself: links, owner, permissions, and what editors make of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use super::sidecar::{Sidecar, not_started, saved};

/// Saves to a file, with one more group of this name.
fn save(file: &Path, name: &str) -> Sidecar {
    let sidecar = Sidecar::start(&["--autosave", &file.display().to_string()]);
    sidecar.run(&format!("add server-groups {name}"));
    sidecar
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("saved.conf");
    (directory, file)
}

#[test]
fn the_target_of_a_symbolic_link_is_written() {
    let (directory, link) = directory();
    fs::create_dir(directory.path().join("data")).expect("a directory");
    let target = directory.path().join("data/target.conf");
    symlink("middle.conf", &link).expect("a link");
    symlink("data/target.conf", directory.path().join("middle.conf")).expect("a link");
    // The target does not exist at first.
    for name in ["a", "b"] {
        save(&link, name);
        assert!(
            fs::symlink_metadata(&link).expect("a link").is_symlink(),
            "the link was replaced"
        );
    }
    assert_eq!(saved(&target), ["add server-groups a", "add server-groups b"]);
    let lost = directory.path().join("loop");
    symlink("loop", &lost).expect("a link");
    assert!(not_started(&lost).contains("cannot read"));
}

#[test]
fn owner_and_permissions_stay() {
    let (_directory, file) = directory();
    save(&file, "a");
    fs::set_permissions(&file, Permissions::from_mode(0o2640)).expect("its owner");
    // Only root can give a file away.
    let given = chown(&file, Some(12345), Some(23456)).is_ok();
    fs::set_permissions(&file, Permissions::from_mode(0o2640)).expect("its owner");
    let before = fs::metadata(&file).expect("a file");
    save(&file, "b");
    let after = fs::metadata(&file).expect("a file");
    let of = |of: &fs::Metadata| (of.uid(), of.gid(), of.mode());
    assert_eq!(of(&after), of(&before));
    assert!(!given || after.uid() == 12345);
    assert_eq!(saved(&file).len(), 2);
}

#[test]
fn hard_links_stay() {
    let (directory, file) = directory();
    save(&file, "a");
    let other = directory.path().join("other.conf");
    fs::hard_link(&file, &other).expect("a link");
    save(&file, "b");
    assert_eq!(saved(&other), ["add server-groups a", "add server-groups b"]);
    assert_eq!(
        fs::read_dir(directory.path()).expect("a directory").count(),
        2,
        "no copy is left"
    );
}

/// The end of a write in place that was interrupted.
#[test]
fn the_copy_recovers_a_file_that_was_not_written_to_its_end() {
    let (directory, file) = directory();
    save(&file, "a");
    let whole = fs::read(&file).expect("the file");
    for torn in [&b""[..], &whole[..whole.len() - 9], &[0; 100], &whole[1..]] {
        fs::write(&file, torn).expect("written");
        fs::write(directory.path().join("saved.conf.new"), &whole).expect("written");
        let foreign = torn.starts_with(b" ");
        if foreign {
            assert!(not_started(&file).contains("was not written by --autosave"));
            continue;
        }
        let sidecar = Sidecar::start(&["--autosave", &file.display().to_string()]);
        assert!(
            sidecar.seen.contains("starting from its copy"),
            "{}",
            sidecar.seen
        );
        assert_eq!(saved(&file), ["add server-groups a"]);
        drop(sidecar);
        let left = directory.path().join("saved.conf.new");
        assert!(!left.exists(), "the copy is used up");
    }
}

#[test]
fn a_copy_that_is_not_whole_recovers_nothing() {
    let (directory, file) = directory();
    save(&file, "a");
    let whole = fs::read(&file).expect("the file");
    let torn = &whole[..whole.len() - 9];
    fs::write(&file, torn).expect("written");
    fs::write(directory.path().join("saved.conf.new"), torn).expect("written");
    assert!(not_started(&file).contains("is truncated or was edited"));
}

/// The file must exist before it can be mounted.
#[test]
fn an_empty_file_counts_as_none() {
    let (directory, file) = directory();
    fs::write(&file, "").expect("written");
    let load = directory.path().join("load.conf");
    fs::write(&load, "add server-groups loaded\n").expect("written");
    let (file_text, load) = (file.display().to_string(), load.display().to_string());
    Sidecar::start(&["--autosave", &file_text, "--load", &load]);
    assert_eq!(saved(&file), ["add server-groups loaded"]);
}

#[test]
fn marks_of_editors_are_not_part_of_the_saved_file() {
    let (_directory, file) = directory();
    save(&file, "a");
    let text = fs::read_to_string(&file).expect("the file");
    fs::write(&file, format!("\u{feff}{}", text.replace('\n', "\r\n"))).expect("written");
    save(&file, "b");
    assert_eq!(saved(&file), ["add server-groups a", "add server-groups b"]);
    assert!(
        !fs::read_to_string(&file)
            .expect("the file")
            .contains(['\r', '\u{feff}'])
    );
}
