//! A sidecar process and redis-cli.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// Timeout of redis-cli, in seconds.
const WAIT_TIMEOUT: &str = "30";

/// A running sidecar; killed when dropped.
pub(crate) struct Sidecar {
    process: Child,
    log: BufReader<ChildStderr>,
    /// The address of its RESP controller.
    pub(crate) server: SocketAddr,
}

impl Sidecar {
    /// Starts a sidecar and waits until its RESP controller listens.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut process = sidecar(arguments, variables)
            .args(["--resp-controller", "127.0.0.1:0"])
            .spawn()
            .expect("the sidecar starts");
        let mut log = BufReader::new(process.stderr.take().expect("its log"));
        let server = server(&mut log);
        Self { process, log, server }
    }

    /// Stops it with SIGTERM; returns the rest of its log.
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

    /// Runs redis-cli with a command's words.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        text(&redis_cli(self.server, arguments, &[], ""))
    }

    /// Runs redis-cli with lines on its standard input.
    pub(crate) fn typed(&self, arguments: &[&str], lines: &str) -> String {
        text(&redis_cli(self.server, arguments, &[], lines))
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads a log up to the address of the RESP controller.
fn server(log: &mut impl BufRead) -> SocketAddr {
    let mut seen = String::new();
    loop {
        let start = seen.len();
        let count = log.read_line(&mut seen).expect("a log in UTF-8");
        assert!(count > 0, "the log ended without the server's address:\n{seen}");
        if let Some((_, address)) = seen[start..].split_once("--resp-controller address=") {
            return address.trim().parse().expect("an address");
        }
    }
}

/// A sidecar with only these of the environment variables that it reads.
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
    server: SocketAddr,
    arguments: &[&str],
    variables: &[(&str, &str)],
    lines: &str,
) -> Output {
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
    match output.status.code() {
        Some(127) => panic!("redis-cli is not installed (Debian's package redis-tools)"),
        Some(124) => panic!("redis-cli {arguments:?} did not end: {output:?}"),
        _ => output,
    }
}

/// The output of redis-cli.
pub(crate) fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}
