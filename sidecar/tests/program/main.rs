//! The sidecar's executable, run as a user would: with a program, with invalid files, as a probe.

mod activation;
mod config_errors;
mod hosts;
mod inherited;
#[path = "../common/kill.rs"]
mod kill;
mod killed;
mod log;
mod mesh_key;
mod mistakes;
mod node;
mod restart;
mod search;
mod secrets;
mod signals;
#[path = "../common/skip.rs"]
mod skip;
mod stalled;
mod terminal;
mod text_files;
mod withdrawal;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use kill::kill;

const DEADLINE: Duration = Duration::from_secs(20);

/// A running sidecar; killed when dropped.
struct Sidecar {
    process: Child,
    log: Receiver<String>,
    seen: String,
}

impl Sidecar {
    fn start(arguments: &[&str]) -> Self {
        Self::spawn(&mut command(arguments))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut process = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sidecar starts");
        let errors = BufReader::new(process.stderr.take().expect("its log"));
        let (sender, log) = channel();
        std::thread::spawn(move || {
            // Ends with the last process that writes.
            let mut lines = errors.lines().map_while(Result::ok);
            lines.try_for_each(|line| sender.send(line))
        });
        Self {
            process,
            log,
            seen: String::new(),
        }
    }

    /// A sidecar with a shell script as its program.
    fn beside(script: &str) -> Self {
        Self::start(&["--program-grace", "2", "--", "sh", "-c", script])
    }

    /// Reads the log up to a line that contains the text, and returns that line.
    fn logged(&mut self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(rest).unwrap_or_else(|error| {
                panic!("{error}, without {text:?} in the log:\n{}", self.seen);
            });
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, signal: &str) {
        kill(signal, &self.process.id().to_string());
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.process.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the sidecar did not end; its log:\n{}",
                self.seen
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn code(&mut self) -> Option<i32> {
        self.ended().code()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until a condition holds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A sidecar with the default actions of signals, some of which a shell ignores for commands in the background.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("env");
    command
        .args(["--default-signal", env!("CARGO_BIN_EXE_sidecar")])
        .args(arguments)
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped());
    command
}

/// Runs a sidecar to its end; returns its exit code and its log.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(arguments).output().expect("the sidecar runs");
    (
        output.status.code(),
        String::from_utf8(output.stderr).expect("UTF-8"),
    )
}

/// The address that the log names for a flag.
fn address(line: &str) -> SocketAddr {
    let text = line.split("address=").nth(1).expect("an address in the line");
    text.trim().parse().expect("an address")
}

#[test]
fn the_sidecar_exits_with_its_programs_code() {
    assert_eq!(Sidecar::beside("exit 42").code(), Some(42));
    assert_eq!(Sidecar::beside("exit 0").code(), Some(0));
    assert_eq!(Sidecar::beside("kill -9 $$").code(), Some(128 + 9));
}

#[test]
fn the_program_does_not_get_the_sidecars_secrets() {
    let mut command = command(&[
        "--",
        "sh",
        "-c",
        "exit ${SIDECAR_RESP_PASSWORD:+1}${SIDECAR_HTTP_TOKEN:+1}0",
    ]);
    command
        .env("SIDECAR_RESP_PASSWORD", "secret")
        .env("SIDECAR_HTTP_TOKEN", "secret");
    assert_eq!(command.status().expect("the sidecar runs").code(), Some(0));
}

#[test]
fn orphans_are_reaped() {
    // The inner shell orphans its child. The script then waits until the child is gone from /proc, because a zombie
    // would still have a directory there.
    let mut sidecar = Sidecar::beside(
        "orphan=$(sh -c 'sleep 0.2 >/dev/null & echo $!'); \
         while [ -d /proc/$orphan ]; do sleep 0.05; done; exit 5",
    );
    assert_eq!(sidecar.code(), Some(5));
}

#[test]
fn with_end_with_stdin_the_sidecar_stops_at_the_end_of_its_input() {
    let script = "trap 'exit 7' TERM; wc -c >&2; echo set >&2; while :; do sleep 0.05; done";
    let mut command = command(&["--end-with-stdin", "--", "sh", "-c", script]);
    let mut sidecar = Sidecar::spawn(command.stdin(Stdio::piped()));
    let mut input = sidecar.process.stdin.take().expect("its input");
    input.write_all(b"is dropped\n").expect("it is read");
    sidecar.logged("set");
    assert!(
        sidecar.seen.lines().any(|line| line == "0"),
        "the program's input is empty: {}",
        sidecar.seen
    );
    drop(input);
    sidecar.logged("stopping");
    assert_eq!(sidecar.code(), Some(7));
}

#[test]
fn an_open_input_does_not_keep_the_sidecar_from_stopping() {
    let mut sidecar = Sidecar::spawn(command(&["--end-with-stdin"]).stdin(Stdio::piped()));
    let input = sidecar.process.stdin.take();
    sidecar.logged("ready");
    sidecar.signal("-TERM");
    assert_eq!(sidecar.code(), Some(0));
    drop(input);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "there is no runtime to block")]
fn a_node_has_the_configured_name() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = "discovery.nic = lo\ndiscovery.address = 127.61.7.2\ndiscovery.node_name = somebody\n";
    std::fs::write(file.path(), text).expect("written");
    let name = file.path().display().to_string();
    let mut sidecar = Sidecar::start(&["--discovery-config", &name, "--status", "127.0.0.1:0"]);
    let address = address(&sidecar.logged("--status"));
    sidecar.logged("ready");
    let mut page = std::net::TcpStream::connect(address).expect("its status listener");
    page.write_all(b"GET /mesh HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("asked");
    let mut view = String::new();
    page.read_to_string(&mut view).expect("an answer");
    assert!(view.contains("\"somebody\""), "{view}");
}

#[test]
fn an_error_names_the_program_that_cannot_be_started() {
    let (code, output) = run(&["--", "/no/such/program"]);
    assert_eq!(code, Some(1));
    assert!(
        output.contains("cannot start /no/such/program: No such file or directory"),
        "{output}"
    );
}

#[test]
fn the_probe_succeeds_if_the_status_page_does() {
    let mut sidecar = Sidecar::start(&["--status", "127.0.0.1:0"]);
    let address = address(&sidecar.logged("--status"));
    sidecar.logged("ready");
    for (path, code) in [("healthz", 0), ("readyz", 0), ("mesh", 1), ("nope", 1)] {
        let (probed, output) = run(&["probe", &format!("http://{address}/{path}")]);
        assert_eq!(probed, Some(code), "{path}: {output}");
    }
    sidecar.signal("-TERM");
    assert_eq!(sidecar.code(), Some(0));
    let (probed, output) = run(&["probe", &format!("http://{address}/healthz")]);
    assert_eq!(probed, Some(1));
    assert!(output.contains("cannot connect"), "{output}");
}

#[test]
fn a_probe_without_an_answer_times_out() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", silent.local_addr().expect("an address"));
    let (code, output) = run(&["probe", "--timeout", "0.2", &url]);
    assert_eq!(code, Some(1));
    assert!(output.contains("did not answer within 0.2 s"), "{output}");
    let (code, output) = run(&["probe", "nonsense"]);
    assert_eq!(code, Some(1));
    assert!(output.contains("http://"), "{output}");
}

#[test]
fn help_names_every_flag() {
    let output = command(&["--help"]).output().expect("it runs");
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    for flag in [
        "--load",
        "--discovery-config",
        "--discovery-key-file",
        "--http-controller",
        "--status",
        "--status-clients",
        "--allow-host",
        "--allow-open-proxies",
        "--workers",
        "--end-with-stdin",
        "PROGRAM",
        "probe",
        "key",
    ] {
        assert!(help.contains(flag), "{flag} is missing in:\n{help}");
    }
}
