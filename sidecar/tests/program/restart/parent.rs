//! The process that was started first: it forwards signals and ends with its successor's code.

use std::io::Write;
use std::process::Command;

use super::load::Service;
use super::{get, restart, start};
use crate::{Sidecar, address, command, eventually, kill};

#[test]
fn the_first_process_ends_with_its_successors_code() {
    let service = Service::start("127.0.0.1:0");
    let (mut sidecar, _, _) = start(&service, &[]);
    restart(&mut sidecar);
    let last = restart(&mut sidecar);
    kill("-KILL", &last);
    assert_eq!(sidecar.code(), Some(128 + 9), "{}", sidecar.seen);
}

#[test]
fn a_successor_stops_when_the_first_process_is_gone() {
    let service = Service::start("127.0.0.1:0");
    let (mut sidecar, _, _) = start(&service, &[]);
    restart(&mut sidecar);
    sidecar.signal("-KILL");
    sidecar.logged("stopping by=the end of its parent process");
    sidecar.logged("stopped");
}

#[test]
fn as_process_1_it_restarts_and_stops() {
    // Root in a new user namespace may do the same as root.
    let unshare = ["--pid", "--fork", "--kill-child", "--user", "--map-root-user"];
    let unshare = if rustix::process::geteuid().is_root() {
        &unshare[..3]
    } else {
        &unshare[..]
    };
    let allowed = Command::new("unshare").args(unshare).arg("true").status();
    if !allowed.is_ok_and(|status| status.success()) {
        return skip();
    }
    let sidecar = command(&["--status", "127.0.0.1:0"]);
    let mut unshare_command = Command::new("unshare");
    unshare_command
        .args(unshare)
        .arg(sidecar.get_program())
        .args(sidecar.get_args());
    let mut sidecar = Sidecar::spawn(&mut unshare_command);
    let status = address(&sidecar.logged("--status"));
    sidecar.logged("ready");
    let pid = child_of(sidecar.process.id());
    for _ in 0..2 {
        kill("-USR2", &pid);
        sidecar.logged("restarted: the successor serves");
        assert!(get(status, "/readyz").starts_with("HTTP/1.1 200"));
    }
    kill("-TERM", &pid);
    assert_eq!(sidecar.code(), Some(0), "{}", sidecar.seen);
}

/// Says that the test is skipped, or fails it if `MESH_REQUIRE` names `networks`, which are namespaces as well.
fn skip() {
    let advice = "run it as root, or allow unprivileged user namespaces, with `unshare`";
    let required = std::env::var("MESH_REQUIRE").is_ok_and(|all| all.split(',').any(|one| one == "networks"));
    assert!(!required, "MESH_REQUIRE names networks: {advice}");
    // Directly, because libtest hides the output of a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped: it needs namespaces: {advice}");
}

fn child_of(parent: u32) -> String {
    let mut found = String::new();
    eventually("a child", || {
        let listed = Command::new("pgrep").args(["-P", &parent.to_string()]).output();
        found = String::from_utf8_lossy(&listed.expect("pgrep runs").stdout)
            .trim()
            .to_owned();
        !found.is_empty()
    });
    found
}
