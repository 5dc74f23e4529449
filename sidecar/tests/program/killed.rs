//! A sidecar that is killed, and the program that it leaves.

use std::path::Path;

use crate::{Sidecar, eventually, kill};

/// A sidecar that is killed while its program runs, and the program's process id.
fn killed(flags: &[&str], program: &str) -> (Sidecar, String) {
    let mut sidecar = Sidecar::start(&[flags, &["--", "sh", "-c", program]].concat());
    let line = sidecar.logged("program ");
    let program = line.trim().rsplit(' ').next().expect("a process id").to_owned();
    sidecar.signal("-KILL");
    assert_eq!(sidecar.code(), None, "it is killed");
    (sidecar, program)
}

#[test]
fn the_program_ends_with_a_killed_sidecar() {
    let (_sidecar, program) = killed(
        &[],
        "trap '' TERM; echo program $$ >&2; while :; do sleep 0.02; done",
    );
    let process = format!("/proc/{program}/cwd");
    eventually("the program ends", || !Path::new(&process).exists());
}

#[test]
fn the_program_can_get_sigterm_instead() {
    let script = "trap 'echo got TERM >&2; exit' TERM; echo program $$ >&2; while :; do sleep 0.02; done";
    let (mut sidecar, _) = killed(&["--death-signal", "term"], script);
    sidecar.logged("got TERM");
}

#[test]
fn the_program_survives_if_told_so() {
    let script = "trap 'echo got USR1 >&2; exit' USR1; echo program $$ >&2; while :; do sleep 0.02; done";
    let (mut sidecar, program) = killed(&["--death-signal", "none"], script);
    kill("-USR1", &program);
    sidecar.logged("got USR1");
}

#[test]
fn no_process_is_left_if_the_sidecar_cannot_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("missing.conf");
    let mark = format!("mark-{}", directory.path().display());
    let (code, log) = crate::run(&["--load", missing.to_str().expect("UTF-8"), "--", "sleep", &mark]);
    assert_eq!(code, Some(1), "{log}");
    let running = || {
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        let lines = processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
        lines
            .filter(|line| String::from_utf8_lossy(line).contains(&mark))
            .count()
    };
    eventually("the launcher ends", || running() == 0);
}
