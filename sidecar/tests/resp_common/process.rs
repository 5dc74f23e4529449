//! The sidecar's program and redis-cli, as their users run them.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// How long redis-cli may take, in seconds.
const PATIENCE: &str = "30";

/// A running sidecar; killed when dropped.
pub(crate) struct Sidecar {
    process: Child,
    log: BufReader<ChildStderr>,
    /// Where its RESP door is.
    pub(crate) door: SocketAddr,
}

impl Sidecar {
    /// Starts one with a RESP door and waits until that is open.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut process = sidecar(arguments, variables)
            .args(["--resp-controller", "127.0.0.1:0"])
            .spawn()
            .expect("the sidecar starts");
        let mut log = BufReader::new(process.stderr.take().expect("its log"));
        let door = door(&mut log);
        Self { process, log, door }
    }

    /// Stops it as its user would; returns the rest of its log.
    pub(crate) fn stop(mut self) -> String {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status();
        assert!(status.expect("kill runs").success());
        let mut log = String::new();
        std::io::Read::read_to_string(&mut self.log, &mut log).expect("a log in UTF-8");
        let status = self.process.wait().expect("a child of ours");
        assert!(status.success(), "{status}:\n{log}");
        log
    }

    /// Runs redis-cli against it with a command's words, as in a shell.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        text(&redis_cli(self.door, arguments, &[], ""))
    }

    /// Types lines into redis-cli.
    pub(crate) fn typed(&self, arguments: &[&str], lines: &str) -> String {
        text(&redis_cli(self.door, arguments, &[], lines))
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads a log up to where the door is.
fn door(log: &mut impl BufRead) -> SocketAddr {
    let mut seen = String::new();
    loop {
        let start = seen.len();
        let count = log.read_line(&mut seen).expect("a log in UTF-8");
        assert!(count > 0, "the log ended without the door's address:\n{seen}");
        if let Some((_, address)) = seen[start..].split_once("--resp-controller address=") {
            return address.trim().parse().expect("an address");
        }
    }
}

/// The program, with nothing of the environment that it heeds but what is given.
pub(crate) fn sidecar(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidecar"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("SIDECAR_RESP_PASSWORD")
        .env_remove("SIDECAR_HTTP_TOKEN")
        .envs(variables.iter().copied())
        .stderr(Stdio::piped());
    command
}

/// Runs redis-cli to its end, with lines on its standard input.
pub(crate) fn redis_cli(
    door: SocketAddr,
    arguments: &[&str],
    variables: &[(&str, &str)],
    lines: &str,
) -> Output {
    let mut process = Command::new("timeout")
        .args([PATIENCE, "redis-cli", "-h", &door.ip().to_string()])
        .args(["-p", &door.port().to_string()])
        .args(arguments)
        .env_remove("REDISCLI_AUTH")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("timeout of the GNU core utilities is there");
    let mut input = process.stdin.take().expect("its input");
    // It may end before it has read everything.
    let _ = input.write_all(lines.as_bytes());
    drop(input);
    let output = process.wait_with_output().expect("it ends");
    match output.status.code() {
        Some(127) => panic!("redis-cli is not there: install it (Debian's package redis-tools)"),
        Some(124) => panic!("redis-cli {arguments:?} did not end: {output:?}"),
        _ => output,
    }
}

/// What redis-cli printed.
pub(crate) fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}
