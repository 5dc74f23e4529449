//! What the program inherits through the sidecar, compared with what it inherits without one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::{Sidecar, command, eventually, kill};

/// Runs a command in a changed environment; returns what it prints.
fn printed(words: &[&str]) -> String {
    // A shell cannot block signals, nor ignore SIGCHLD.
    let output = Command::new("env")
        .args(["--block-signal=USR2,TERM,RTMIN", "--ignore-signal=CHLD,ALRM", "sh", "-c"])
        .arg("trap '' INT USR1; umask 027; cd /; ulimit -Sn 200; ulimit -Hn 300; ulimit -c 0; exec \"$@\" 3<&0")
        .arg("sh")
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("a shell runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_program_inherits_what_the_sidecar_did() {
    let program =
        "grep -E '^(Sig(Blk|Ign)|Umask|NoNewPrivs|Cap)' /proc/self/status; cat /proc/self/limits; pwd
        ls /proc/self/fd; readlink /proc/self/fd/0 /proc/self/fd/3; env | grep -v ^_= | sort; nice";
    let direct = printed(&["sh", "-c", program]);
    let sidecar = env!("CARGO_BIN_EXE_sidecar");
    let beside = printed(&[sidecar, "--", "sh", "-c", program]);
    assert!(direct.contains("SigIgn:"), "{direct}");
    assert_eq!(beside, direct);
}

#[test]
fn a_stop_signal_that_was_inherited_as_blocked_stops_the_sidecar() {
    let mut sidecar =
        Sidecar::spawn(Command::new("env").args(["--block-signal=TERM", env!("CARGO_BIN_EXE_sidecar")]));
    sidecar.logged("ready");
    sidecar.signal("-TERM");
    assert_eq!(sidecar.code(), Some(0));
}

#[test]
fn a_program_ends_by_a_broken_pipe() {
    // The reader has ended before the program writes.
    let mut sidecar = Sidecar::beside("(sleep 0.1; echo x; echo x; echo wrote >&2) | true; echo end >&2");
    sidecar.logged("end");
    assert!(
        !sidecar.seen.contains("wrote"),
        "SIGPIPE is ignored: {}",
        sidecar.seen
    );
    assert_eq!(sidecar.code(), Some(0));
}

#[test]
fn arguments_need_not_be_text() {
    let argument = OsStr::from_bytes(b"\xff\xfe");
    let output = command(&["--", "printf", "%s"]).arg(argument).output();
    assert_eq!(output.expect("the sidecar runs").stdout, argument.as_bytes());
}

#[test]
fn hang_ups_are_forwarded_and_stop_nothing() {
    let mut sidecar = Sidecar::beside(
        "trap 'echo got HUP >&2' HUP; trap 'exit 5' USR1; echo set >&2; while :; do sleep 0.02; done",
    );
    sidecar.logged("set");
    for _ in 0..2 {
        sidecar.signal("-HUP");
        sidecar.logged("got HUP");
    }
    sidecar.signal("-USR1");
    assert_eq!(sidecar.code(), Some(5), "{}", sidecar.seen);
    assert!(!sidecar.seen.contains("stopping"), "{}", sidecar.seen);
}

#[test]
fn a_hang_up_ends_a_program_that_does_not_handle_it() {
    let mut sidecar = Sidecar::beside("echo set >&2; exec sleep 1000");
    sidecar.logged("set");
    sidecar.signal("-HUP");
    assert_eq!(sidecar.code(), Some(128 + 1));
}

#[test]
fn with_nohup_hang_ups_are_ignored() {
    for program in [
        &[
            "--",
            "sh",
            "-c",
            "trap 'exit 5' TERM; echo set >&2; while :; do sleep 0.02; done",
        ][..],
        &[],
    ] {
        let mut nohup = Command::new("nohup");
        nohup.arg(env!("CARGO_BIN_EXE_sidecar")).args(program);
        let mut sidecar = Sidecar::spawn(nohup.stdin(Stdio::null()).stdout(Stdio::null()));
        sidecar.logged(if program.is_empty() { "ready" } else { "set" });
        sidecar.signal("-HUP");
        sidecar.signal("-TERM");
        let code = if program.is_empty() { 0 } else { 5 };
        sidecar.logged("stopping by=SIGTERM");
        assert_eq!(sidecar.code(), Some(code), "{}", sidecar.seen);
    }
}

#[test]
fn a_hang_up_for_the_loss_of_a_parent_is_not_forwarded() {
    // The kernel sends SIGHUP and SIGCONT to a group with stopped processes that loses its last parent outside.
    let program = "trap 'echo got HUP >&2' HUP; trap 'echo got USR1 >&2; exit' USR1
        echo set >&2; while :; do sleep 0.02; done";
    let script = "\"$0\" -- sh -c \"$1\" & echo process $! >&2; wait";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_sidecar"), program]);
    let mut parent = Sidecar::spawn(shell.process_group(0));
    let line = parent.logged("process ");
    let sidecar = line.rsplit(' ').next().expect("its process id").to_owned();
    if !parent.seen.contains("set\n") {
        parent.logged("set");
    }
    kill("-STOP", &sidecar);
    // The kernel sends nothing to a process of which a thread still runs.
    let stopped = || {
        let threads = std::fs::read_dir(format!("/proc/{sidecar}/task")).expect("its threads");
        let stat = |thread: &std::fs::DirEntry| std::fs::read_to_string(thread.path().join("stat"));
        threads
            .flatten()
            .all(|thread| stat(&thread).is_ok_and(|stat| stat.contains(") T ")))
    };
    eventually("the sidecar is stopped", stopped);
    parent.signal("-KILL");
    parent.ended();
    eventually("the sidecar is continued", || !stopped());
    kill("-USR1", &sidecar);
    parent.logged("got USR1");
    assert!(!parent.seen.contains("got HUP"), "{}", parent.seen);
}
