//! Saving the configuration: it is on disk before a command is answered, it is complete whenever the process is
//! killed, and the next start reads it.

mod disks;
mod files;
mod host_names;
mod namespace;
mod sidecar;

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::Command;

use sidecar::{Sidecar, not_started, saved};

#[test]
fn an_answered_change_survives_a_crash() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("saved.conf");
    let arguments = ["--autosave", path.to_str().expect("UTF-8")];
    let sidecar = Sidecar::start(&arguments);
    assert_eq!(saved(&path), Vec::<String>::new(), "it is written at the start");
    sidecar.run("add server-groups sgs0");
    sidecar.run("add server-group sg0 timeout 500 period 1000 up 2 down 3");
    sidecar.run("add server-group sg0 to server-groups sgs0 weight 7");
    sidecar.run("add socks5-server s5 address 127.0.0.1:0 server-groups sgs0 allow-non-backend");
    sidecar.run("add server-groups gone");
    sidecar.run("update server-group sg0 method wlc");
    sidecar.run("remove server-groups gone");
    drop(sidecar);

    let expected = [
        "add server-group sg0 timeout 500 period 1000 up 2 down 3 method wlc",
        "add server-groups sgs0",
        "add server-group sg0 to server-groups sgs0 weight 7",
        "add socks5-server s5 address 127.0.0.1:0 server-groups sgs0 allow-non-backend",
    ];
    assert_eq!(saved(&path), expected);
    let sidecar = Sidecar::start(&arguments);
    sidecar.run("remove socks5-server s5");
    assert_eq!(saved(&path), expected[..3]);
}

#[test]
fn the_saved_configuration_takes_precedence_over_load() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, load) = (
        directory.path().join("saved.conf"),
        directory.path().join("load.conf"),
    );
    std::fs::write(&load, "add server-groups loaded\n").expect("written");
    let (path_text, load_text) = (path.to_str().expect("UTF-8"), load.to_str().expect("UTF-8"));
    let arguments = ["--autosave", path_text, "--load", load_text];
    Sidecar::start(&arguments).run("add server-groups added");
    Sidecar::start(&arguments).run("add server-groups more");
    let expected = [
        "add server-groups loaded",
        "add server-groups added",
        "add server-groups more",
    ];
    assert_eq!(saved(&path), expected);
}

#[test]
fn the_file_is_complete_whenever_the_sidecar_is_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    always_complete(&directory.path().join("saved.conf"));
}

/// A file with several links is not replaced but written in place.
#[test]
fn a_file_written_in_place_is_recovered_whenever_the_sidecar_is_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("saved.conf");
    std::fs::write(&path, "").expect("written");
    std::fs::hard_link(&path, directory.path().join("other.conf")).expect("a link");
    always_complete(&path);
}

fn always_complete(path: &Path) {
    let arguments = ["--autosave", path.to_str().expect("UTF-8")];
    for answers in 1..=20 {
        let sidecar = Sidecar::start(&arguments);
        let mut stream = sidecar.connect();
        // A pipeline of changes, killed after one more answer in each round.
        let first = saved(path).len();
        let changes = (first..first + 50).map(|n| format!("add server-groups g{n}\r\n"));
        stream
            .get_mut()
            .write_all(changes.collect::<String>().as_bytes())
            .expect("sent");
        for _ in 0..answers {
            let mut answer = String::new();
            stream.read_line(&mut answer).expect("an answer");
            assert_eq!(answer, "+OK\r\n");
        }
        drop(sidecar);
        let now = saved(path);
        assert!(
            now.len() >= first + answers,
            "{answers} changes of {now:?} from {first} on were answered"
        );
        let expected: Vec<String> = (0..now.len())
            .map(|n| format!("add server-groups g{n}"))
            .collect();
        assert_eq!(now, expected);
    }
}

#[test]
fn an_edited_file_is_reported_and_nothing_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("saved.conf");
    let arguments = ["--autosave", path.to_str().expect("UTF-8")];
    Sidecar::start(&arguments).run("add server-groups x");
    let whole = std::fs::read_to_string(&path).expect("the file");
    for (text, expected) in [
        (&whole[..whole.len() - 10], "is truncated or was edited"),
        ("add server-groups x\n", "was not written by --autosave"),
    ] {
        std::fs::write(&path, text).expect("written");
        let message = not_started(&path);
        assert!(
            message.contains(expected) && message.contains(arguments[1]),
            "{message}"
        );
        assert_eq!(
            std::fs::read_to_string(&path).expect("the file"),
            text,
            "the file is unchanged"
        );
    }
}

#[test]
fn a_path_that_is_not_a_file_is_reported_without_waiting() {
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    for path in [pipe.as_path(), directory.path(), Path::new("/dev/null")] {
        let message = not_started(path);
        let expected = format!("{} is not a regular file", path.display());
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn an_unsaved_change_is_reported_and_saved_with_the_next() {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("directory");
    let path = directory.join("saved.conf");
    std::fs::create_dir(&directory).expect("a directory");
    let sidecar = Sidecar::start(&["--autosave", path.to_str().expect("UTF-8")]);
    std::fs::remove_dir_all(&directory).expect("removed");

    let expected = format!(
        "the change is made, but is lost at the next start: cannot save to {}: No such file",
        path.display()
    );
    let answer = sidecar.answer("add server-groups a");
    assert!(answer.starts_with(&format!("-UNSAVED {expected}")), "{answer}");
    let answer = sidecar.post("server-groups", r#"{"name":"b"}"#);
    assert!(
        answer.starts_with("HTTP/1.1 500 ") && answer.contains(&expected),
        "{answer}"
    );

    std::fs::create_dir(&directory).expect("a directory");
    sidecar.run("add server-groups c");
    let all = ["a", "b", "c"].map(|name| format!("add server-groups {name}"));
    assert_eq!(saved(&path), all, "the changes were made");
}
