//! Restarts that fail, and new programs.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::get;
use crate::{Sidecar, address, eventually};

/// A sidecar that is executed by a link of its own, which can be replaced. No file that is executed is written by this
/// process: a child that another test starts meanwhile would hold it open, and it could not be executed (ETXTBSY).
struct Replaceable {
    directory: TempDir,
    sidecar: Sidecar,
    status: std::net::SocketAddr,
}

impl Replaceable {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        symlink(env!("CARGO_BIN_EXE_sidecar"), program(&directory)).expect("linked");
        let mut command = Command::new("env");
        command
            .arg("--default-signal")
            .arg(program(&directory))
            .args(["--status", "127.0.0.1:0"])
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped());
        let mut sidecar = Sidecar::spawn(&mut command);
        let status = address(&sidecar.logged("--status"));
        sidecar.logged("ready");
        Self {
            directory,
            sidecar,
            status,
        }
    }

    /// Puts another file in the program's place.
    fn replace(&self, write: impl FnOnce(&Path)) {
        let new = self.directory.path().join("new");
        write(&new);
        std::fs::rename(new, program(&self.directory)).expect("renamed");
    }

    fn replace_by_script(&self, script: &str) {
        self.replace(|new| {
            let mut shell = Command::new("sh");
            shell.args([
                "-c",
                "printf '#!/bin/sh\n%s\n' \"$1\" >\"$2\" && chmod +x \"$2\"",
                "sh",
                script,
            ]);
            assert!(shell.arg(new).status().expect("sh runs").success());
        });
    }

    fn is_ready(&self) -> bool {
        get(self.status, "/readyz").starts_with("HTTP/1.1 200")
    }
}

fn program(directory: &TempDir) -> PathBuf {
    directory.path().join("sidecar")
}

#[test]
fn a_failed_successor_changes_nothing_and_a_new_program_takes_over() {
    let mut replaceable = Replaceable::start();
    replaceable.replace_by_script("exit 3");
    replaceable.sidecar.signal("-USR2");
    let line = replaceable.sidecar.logged("the successor has failed");
    assert!(line.contains("WARN") && line.contains("exit status: 3"), "{line}");
    assert!(replaceable.is_ready());

    std::fs::remove_file(program(&replaceable.directory)).expect("removed");
    replaceable.sidecar.signal("-USR2");
    replaceable.sidecar.logged("cannot start");
    replaceable.sidecar.logged("the successor has failed");
    assert!(replaceable.is_ready());

    replaceable.replace(|new| {
        symlink(env!("CARGO_BIN_EXE_sidecar"), new).expect("linked");
    });
    replaceable.sidecar.signal("-USR2");
    replaceable.sidecar.logged("restarted: the successor serves");
    assert!(replaceable.is_ready());
}

#[test]
fn a_successor_that_is_not_ready_in_time_is_ended() {
    let mut replaceable = Replaceable::start();
    let pid = replaceable.directory.path().join("pid");
    replaceable.replace_by_script(&format!("echo $$ >{}; exec sleep 600", pid.display()));
    replaceable.sidecar.signal("-USR2");
    replaceable.sidecar.logged("the successor is started");
    replaceable.sidecar.signal("-USR2");
    replaceable
        .sidecar
        .logged("ignored SIGUSR2: a restart is under way");
    assert!(replaceable.is_ready(), "it serves meanwhile");
    let line = replaceable.sidecar.logged("the successor has failed");
    assert!(line.contains("not ready within 10 s"), "{line}");
    assert!(is_gone(&pid));
    assert!(replaceable.is_ready());
}

#[test]
fn a_stop_during_a_restart_stops_both() {
    let mut replaceable = Replaceable::start();
    let pid = replaceable.directory.path().join("pid");
    replaceable.replace_by_script(&format!("echo $$ >{}; exec sleep 600", pid.display()));
    replaceable.sidecar.signal("-USR2");
    eventually("the successor runs", || {
        std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'))
    });
    replaceable.sidecar.signal("-TERM");
    assert_eq!(
        replaceable.sidecar.code(),
        Some(0),
        "{}",
        replaceable.sidecar.seen
    );
    assert!(is_gone(&pid));
}

/// Whether the process that the file names has ended and was reaped.
fn is_gone(file: &Path) -> bool {
    let pid = std::fs::read_to_string(file).expect("its process id");
    !Path::new("/proc").join(pid.trim()).exists()
}
