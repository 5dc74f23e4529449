//! Sessions of redis-cli.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use super::process::Sidecar;
use crate::skip::skip;

/// Timeout of redis-cli, in seconds.
const WAIT_TIMEOUT: &str = "30";
const GROUP: &str = "g timeout 500 period 1000 up 2 down 3";

/// A sidecar, and redis-cli to command it.
struct Session(Sidecar);

impl Session {
    /// `None`, with a message, if redis-cli is not installed.
    fn open(arguments: &[&str]) -> Option<Self> {
        let asked = Command::new("redis-cli").arg("--version").output();
        if asked.is_ok_and(|output| output.status.success()) {
            return Some(Self(Sidecar::start(arguments, &[])));
        }
        skip("redis-cli", "install it (Debian's package redis-tools)");
        None
    }

    /// Runs redis-cli with the words of a command.
    fn cli(&self, arguments: &[&str]) -> String {
        text(&self.run(arguments, &[], ""))
    }

    /// Runs redis-cli with lines on its standard input.
    fn typed(&self, arguments: &[&str], lines: &str) -> String {
        text(&self.run(arguments, &[], lines))
    }

    /// Runs redis-cli to its end.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)], lines: &str) -> Output {
        let server = self.0.server;
        let mut process = Command::new("timeout")
            .args([WAIT_TIMEOUT, "redis-cli", "-h", &server.ip().to_string()])
            .args(["-p", &server.port().to_string()])
            .args(arguments)
            .env_remove("REDISCLI_AUTH")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("timeout (GNU coreutils) is installed");
        let mut input = process.stdin.take().expect("its input");
        // It may end before it has read all its input.
        let _ = input.write_all(lines.as_bytes());
        drop(input);
        let output = process.wait_with_output().expect("it ends");
        let code = output.status.code();
        assert_ne!(code, Some(124), "redis-cli {arguments:?} did not end: {output:?}");
        output
    }
}

/// What redis-cli printed.
fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn each_call_executes_one_command() {
    let Some(sidecar) = Session::open(&[]) else { return };
    assert_eq!(sidecar.cli(&["PING"]), "PONG\n");
    assert_eq!(sidecar.cli(&["add", "server-groups", "sgs0"]), "OK\n");
    assert_eq!(sidecar.cli(&["list", "server-groups"]), "sgs0\n");
    assert_eq!(sidecar.cli(&words(&format!("a sg {GROUP}"))), "OK\n");
    for three in [&["-3"][..], &[]] {
        let line = [three, &["--no-raw", "list-detail", "server-group"]].concat();
        assert_eq!(
            sidecar.cli(&line),
            format!("1) \"{} method wrr\"\n", GROUP.replacen("g", "g ->", 1))
        );
    }
    assert_eq!(
        sidecar.cli(&["add", "server-groups", "sgs0"]),
        "the resource already exists\n\n"
    );
    let failed = sidecar.run(&["-e", "foo"], &[], "");
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        text(&failed).starts_with("foo is not a valid action"),
        "{failed:?}"
    );
}

#[test]
fn a_session_executes_typed_lines() {
    let Some(sidecar) = Session::open(&[]) else { return };
    let output = sidecar.typed(
        &["--no-raw"],
        "add server-groups \"sgs0\"\nlist server-groups\nfoo\n\nCOMMAND DOCS\nselect 0\necho 'a b'\nquit\nPING\n",
    );
    let lines: Vec<&str> = output.lines().filter(|line| !line.is_empty()).collect();
    let [done, list, error, docs, selected, echo] = lines.as_slice() else {
        panic!("{output}");
    };
    assert_eq!(
        [*done, *list, *docs, *selected, *echo],
        ["OK", "1) \"sgs0\"", "(empty array)", "OK", "\"a b\""]
    );
    assert!(error.starts_with("(error) foo is not a valid action"), "{error}");
}

#[test]
fn a_pipe_executes_many_commands() {
    let Some(sidecar) = Session::open(&[]) else { return };
    let lines: String = (0..300)
        .map(|n| format!("add server-groups sgs{n}\r\n"))
        .collect();
    let output = sidecar.typed(&["--pipe"], &lines);
    assert!(output.contains("errors: 0, replies: 300"), "{output}");
    assert_eq!(sidecar.cli(&["list", "server-groups"]).lines().count(), 300);
}

#[test]
fn the_password_is_accepted_with_and_without_a_user_name() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "pass word\n").expect("written");
    let path = file.path().display().to_string();
    let Some(sidecar) = Session::open(&["--resp-password-file", &path]) else {
        return;
    };
    assert_eq!(sidecar.cli(&["PING"]), "NOAUTH Authentication required.\n\n");
    let list = ["--no-auth-warning", "-a", "pass word", "list", "tcp-lb"];
    assert_eq!(sidecar.cli(&list), "\n");
    for options in [&["--user", "default"][..], &["--user", "admin", "-3"], &["-3"]] {
        let line = [options, &["--no-auth-warning", "-a", "pass word", "PING"]].concat();
        assert_eq!(sidecar.cli(&line), "PONG\n", "{options:?}");
    }
    let variable = [("REDISCLI_AUTH", "pass word")];
    assert_eq!(text(&sidecar.run(&["PING"], &variable, "")), "PONG\n");
    let output = sidecar.typed(
        &[],
        "PING\nAUTH \"pass word\"\nPING\nAUTH admin 'pass word'\nHELLO 3 AUTH x 'pass word' SETNAME me\nCLIENT GETNAME\n",
    );
    for expected in ["NOAUTH", "OK\n", "PONG\n", "proto", "me\n"] {
        assert!(output.contains(expected), "{expected} is missing in:\n{output}");
    }
    let wrong = sidecar.cli(&["--no-auth-warning", "-a", "pass", "PING"]);
    assert!(wrong.contains("WRONGPASS") && wrong.contains("NOAUTH"), "{wrong}");
}

/// It prints what `INFO` says, once a second, until it is ended.
#[test]
fn the_statistics_have_figures() {
    let Some(session) = Session::open(&[]) else { return };
    let port = session.0.server.port().to_string();
    let output = Command::new("timeout")
        .args(["2", "stdbuf", "-oL", "redis-cli", "-p", &port, "--stat"])
        .output()
        .expect("timeout (GNU coreutils) is installed");
    let printed = text(&output);
    let line = printed.lines().nth(2).unwrap_or_else(|| panic!("{printed}"));
    let figures: Vec<&str> = line.split_whitespace().collect();
    let [keys, memory, clients, blocked, requests, _, connections] = figures[..] else {
        panic!("{printed}");
    };
    assert_eq!(
        [keys, clients, blocked, connections],
        ["0", "1", "0", "1"],
        "{printed}"
    );
    assert!(
        memory.ends_with('M') && requests.parse::<u32>().is_ok_and(|n| n > 0),
        "{printed}"
    );
}
