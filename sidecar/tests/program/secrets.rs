//! Files with a secret that others can read are warned about, and used.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::Sidecar;
use crate::skip::skip;

const WARNING: &str = "can read the secret in this file";

const DOORS: [&str; 4] = [
    "--http-controller",
    "127.0.0.1:0",
    "--resp-controller",
    "127.0.0.1:0",
];

#[test]
fn a_secret_that_every_user_can_read_is_warned_about() {
    for (mode, warnings) in [(0o600, 0), (0o640, 0), (0o604, 2), (0o644, 2), (0o444, 2)] {
        let directory = tempfile::tempdir().expect("a directory");
        let [token, password] = ["token", "password"].map(|name| {
            let file = directory.path().join(name);
            fs::write(&file, "secret\n").expect("written");
            fs::set_permissions(&file, Permissions::from_mode(mode)).expect("its owner");
            file.display().to_string()
        });
        let files = ["--http-token-file", &token, "--resp-password-file", &password];
        let mut sidecar = Sidecar::start(&[&DOORS[..], &files].concat());
        sidecar.logged("ready");
        let found: Vec<&str> = sidecar
            .seen
            .lines()
            .filter(|line| line.contains(WARNING))
            .collect();
        assert_eq!(found.len(), warnings, "{mode:o}: {found:?}");
        for (line, file) in found.iter().zip([token, password]) {
            assert!(line.contains("WARN") && line.contains(&file), "{line}");
        }
    }
}

#[test]
fn so_is_a_mesh_key() {
    for (mode, warnings) in [(0o600, 0), (0o644, 1)] {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        let (key, settings) = (at("key"), at("discovery.conf"));
        let made = crate::command(&["key"]).output().expect("the sidecar runs");
        fs::write(&key, made.stdout).expect("written");
        fs::set_permissions(&key, Permissions::from_mode(mode)).expect("its owner");
        let text =
            format!("discovery.nic = lo\ndiscovery.address = 127.61.9.2\ndiscovery.key_file = {key}\n");
        fs::write(&settings, text).expect("written");
        let mut sidecar = Sidecar::start(&["--discovery-config", &settings]);
        sidecar.logged("ready");
        let found = sidecar.seen.lines().filter(|line| line.contains(WARNING));
        assert_eq!(found.count(), warnings, "{mode:o}: {}", sidecar.seen);
    }
}

/// Container engines mount secrets so, and their users cannot change the permissions.
#[test]
fn a_secret_on_a_read_only_mount_is_not_warned_about() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("token");
    fs::write(&file, "secret\n").expect("written");
    fs::set_permissions(&file, Permissions::from_mode(0o444)).expect("its owner");
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" || exit 77
        exec \"$2\" --http-controller 127.0.0.1:0 --http-token-file \"$1/token\"";
    let mount = directory.path().display().to_string();
    let Some(mut command) = unshared() else {
        return skip("mounts", "run it as root, or allow unprivileged user namespaces");
    };
    command
        .args(["sh", "-c", script, "sh", &mount, env!("CARGO_BIN_EXE_sidecar")])
        .env_remove("RUST_LOG");
    let mut sidecar = Sidecar::spawn(&mut command);
    sidecar.logged("ready");
    assert!(!sidecar.seen.contains(WARNING), "{}", sidecar.seen);
}

/// The start of a command in a mount namespace of its own; `None` if this user may not make one.
fn unshared() -> Option<Command> {
    let ways = [&["--mount"][..], &["--map-root-user", "--mount"]];
    let unshare = |way: &&[&str]| {
        let mut command = Command::new("unshare");
        command.args(*way);
        command
    };
    let may = |way: &&[&str]| {
        let mut probe = unshare(way);
        probe
            .args(["mount", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    };
    ways.iter().find(|way| may(way)).map(unshare)
}
