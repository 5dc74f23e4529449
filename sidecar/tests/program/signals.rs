//! Signals that are sent to the sidecar: which stop it, and what its program gets.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::skip::skip;
use crate::{Sidecar, command, eventually, kill};

/// A program that reports each signal of the list, which are names or numbers, and ends with SIGUSR1: with the number of
/// SIGTERMs that it got. It ignores none of them.
fn reporting(signals: &str) -> String {
    format!(
        "n=0; trap 'n=$((n+1)); echo got TERM >&2' TERM; trap 'exit $n' USR1
        for s in {signals}; do trap \"echo got $s >&2\" $s; done
        echo set >&2; while :; do sleep 0.02; done"
    )
}

/// A sidecar whose program gets an hour to finish.
fn beside(program: &str) -> Sidecar {
    let mut sidecar = Sidecar::start(&["--program-grace", "3600", "--", "sh", "-c", program]);
    sidecar.logged("set");
    sidecar
}

#[test]
fn the_program_gets_the_signal_and_time_to_finish() {
    for (signal, name) in [("-TERM", "TERM"), ("-INT", "INT")] {
        let script =
            format!("trap 'echo got it >&2; exit 7' {name}; echo set >&2; while :; do sleep 0.05; done");
        let mut sidecar = Sidecar::beside(&script);
        sidecar.logged("set");
        sidecar.signal(signal);
        sidecar.logged("got it");
        assert_eq!(sidecar.code(), Some(7), "{signal}");
    }
}

#[test]
fn a_program_that_does_not_finish_is_killed() {
    let mut sidecar = Sidecar::beside("trap '' TERM; echo set >&2; while :; do sleep 0.05; done");
    sidecar.logged("set");
    sidecar.signal("-TERM");
    sidecar.logged("did not finish in time");
    assert_eq!(sidecar.code(), Some(128 + 9));
}

#[test]
fn without_a_program_the_sidecar_runs_until_a_signal() {
    let mut sidecar = Sidecar::start(&[]);
    sidecar.logged("ready");
    sidecar.signal("-TERM");
    assert_eq!(sidecar.code(), Some(0));
}

#[test]
fn a_repeated_stop_signal_changes_nothing() {
    let mut sidecar = beside(&reporting(""));
    sidecar.signal("-TERM");
    sidecar.logged("got TERM");
    sidecar.signal("-TERM");
    sidecar.signal("-TERM");
    sidecar.signal("-USR1");
    assert_eq!(sidecar.code(), Some(1), "one SIGTERM: {}", sidecar.seen);
}

#[test]
fn a_stop_signal_to_the_sidecars_process_group_arrives_once() {
    let arguments = ["--program-grace", "3600", "--", "sh", "-c", &reporting("")];
    let mut sidecar = Sidecar::spawn(command(&arguments).process_group(0));
    sidecar.logged("set");
    let group = format!("-{}", sidecar.process.id());
    // As timeout(1) does.
    sidecar.signal("-TERM");
    kill("-TERM", &group);
    sidecar.logged("got TERM");
    sidecar.signal("-USR1");
    assert_eq!(sidecar.code(), Some(1), "one SIGTERM: {}", sidecar.seen);
}

#[test]
fn another_stop_signal_is_forwarded() {
    let mut sidecar = beside(&reporting("INT"));
    sidecar.signal("-TERM");
    sidecar.logged("got TERM");
    sidecar.signal("-INT");
    sidecar.logged("got INT");
    sidecar.signal("-USR1");
    assert_eq!(sidecar.code(), Some(1));
}

#[test]
fn the_first_quit_is_a_graceful_stop() {
    let mut sidecar = beside("trap 'exit 7' QUIT; echo set >&2; while :; do sleep 0.02; done");
    sidecar.signal("-QUIT");
    sidecar.logged("stopping by=SIGQUIT");
    sidecar.signal("-QUIT");
    assert_eq!(sidecar.code(), Some(7));
}

#[test]
fn quit_after_another_stop_signal_kills_the_program_and_says_so() {
    let mut sidecar = beside("trap '' TERM QUIT; echo set >&2; while :; do sleep 0.02; done");
    sidecar.signal("-TERM");
    sidecar.logged("stopping by=SIGTERM");
    sidecar.signal("-QUIT");
    sidecar.logged("the program is killed by=SIGQUIT");
    assert_eq!(sidecar.code(), Some(128 + 9));
}

/// Signals that do not stop a process whose program handles them, by number: all but SIGKILL, SIGSTOP and the job
/// control signals, those of the tests above, SIGCHLD, faults of the own code, and the two of the C library.
fn others() -> Vec<String> {
    let standard = [1, 6, 12, 13, 14, 16, 18, 23, 24, 25, 26, 27, 28, 29, 30];
    standard
        .into_iter()
        .chain(34..=64)
        .map(|n: u8| n.to_string())
        .collect()
}

#[test]
fn every_other_signal_is_forwarded_to_the_program_alone() {
    let signals = others();
    let program = format!(
        "sh -c 'for s in {0}; do trap \"echo the child got $s >&2\" $s; done; while :; do sleep 0.02; done' &
        {1}",
        signals.join(" "),
        reporting(&signals.join(" "))
    );
    let mut sidecar = beside(&program);
    for signal in &signals {
        sidecar.signal(&format!("-{signal}"));
        sidecar.logged(&format!("got {signal}"));
    }
    sidecar.signal("-USR1");
    assert_eq!(
        sidecar.code(),
        Some(0),
        "SIGUSR1 to the program: {}",
        sidecar.seen
    );
    assert!(!sidecar.seen.contains("the child"), "{}", sidecar.seen);
    assert!(!sidecar.seen.contains("stopping"), "{}", sidecar.seen);
}

#[test]
fn process_1_forwards_every_signal() {
    let signals = others();
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
    ]);
    if !unshare.arg("true").status().is_ok_and(|status| status.success()) {
        skip("processes", "allow unprivileged user namespaces, with `unshare`");
        return;
    }
    let mut unshare = Command::new("env");
    unshare
        .args([
            "--default-signal",
            "unshare",
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child",
        ])
        .args([
            env!("CARGO_BIN_EXE_sidecar"),
            "--program-grace",
            "3600",
            "--",
            "sh",
            "-c",
        ])
        .arg(format!(
            "echo parent $PPID >&2; {}",
            reporting(&signals.join(" "))
        ));
    let mut sidecar = Sidecar::spawn(&mut unshare);
    sidecar.logged("parent 1");
    sidecar.logged("set");
    let children = format!("/proc/{0}/task/{0}/children", sidecar.process.id());
    let first = std::fs::read_to_string(children).expect("its children");
    let first = first.trim();
    for signal in &signals {
        kill(&format!("-{signal}"), first);
        sidecar.logged(&format!("got {signal}"));
    }
    kill("-TERM", first);
    sidecar.logged("got TERM");
    kill("-TERM", first);
    kill("-USR1", first);
    assert_eq!(sidecar.code(), Some(1), "one SIGTERM: {}", sidecar.seen);
}

#[test]
fn without_a_program_other_signals_change_nothing() {
    let mut sidecar = Sidecar::start(&[]);
    sidecar.logged("ready");
    for signal in others() {
        sidecar.signal(&format!("-{signal}"));
    }
    sidecar.logged("ignored");
    sidecar.signal("-TERM");
    sidecar.logged("stopping by=SIGTERM");
    assert_eq!(sidecar.code(), Some(0), "{}", sidecar.seen);
}

#[test]
fn a_program_that_is_stopped_while_the_sidecar_stops_is_continued() {
    let mut sidecar = beside(
        "trap 'echo got TERM >&2' TERM; trap 'exit 7' USR1; echo set $$ >&2; while :; do sleep 0.02; done",
    );
    let line = sidecar.seen.lines().next_back().expect("its pid");
    let program = line.rsplit(' ').next().expect("its pid").to_owned();
    sidecar.signal("-TERM");
    sidecar.logged("got TERM");
    kill("-STOP", &program);
    sidecar.signal("-USR1");
    assert_eq!(sidecar.code(), Some(7));
}

#[test]
fn a_stop_signal_also_continues_a_stopped_program() {
    let mut sidecar = beside("trap 'exit 7' TERM; echo set $$ >&2; while :; do sleep 0.02; done");
    let program = sidecar
        .seen
        .rsplit(' ')
        .next()
        .expect("its pid")
        .trim()
        .to_owned();
    kill("-STOP", &program);
    eventually("the program is stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{program}/stat")).expect("its state");
        stat.contains(") T ")
    });
    sidecar.signal("-TERM");
    assert_eq!(sidecar.code(), Some(7));
}
