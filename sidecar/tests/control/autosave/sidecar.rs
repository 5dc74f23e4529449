//! A sidecar process that saves its configuration.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sidecar::control::autosave;

use crate::kill::kill;

pub(super) const SIDECAR: &str = env!("CARGO_BIN_EXE_sidecar");

/// Timeout of an answer.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// A running sidecar with its controllers; killed with SIGKILL when dropped.
pub(super) struct Sidecar {
    process: Child,
    /// Its log up to the line that says that it is ready.
    pub(super) seen: String,
    later: Arc<Mutex<String>>,
    resp: SocketAddr,
    http: SocketAddr,
    status: SocketAddr,
}

impl Sidecar {
    pub(super) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(SIDECAR);
        command.args(arguments);
        Self::start_by(command)
    }

    /// Starts a sidecar by a command that runs it with the arguments that are added.
    pub(super) fn start_by(mut command: Command) -> Self {
        let mut process = command
            .args(["--resp-controller", "127.0.0.1:0"])
            .args(["--http-controller", "127.0.0.1:0"])
            .args(["--status", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sidecar starts");
        let mut log = BufReader::new(process.stderr.take().expect("its log"));
        let mut line = String::new();
        let address = |line: &str, flag: &str| -> Option<SocketAddr> {
            let (_, address) = line.split_once(&format!("{flag} address="))?;
            address.trim().parse().ok()
        };
        let (mut resp, mut http, mut status) = (None, None, None);
        let mut seen = String::new();
        while !line.contains(" ready") {
            line.clear();
            assert!(
                log.read_line(&mut line).expect("a log") > 0,
                "the sidecar ended at its start:\n{seen}"
            );
            seen.push_str(&line);
            resp = resp.or(address(&line, "--resp-controller"));
            http = http.or(address(&line, "--http-controller"));
            status = status.or(address(&line, "--status"));
        }
        let later = Arc::new(Mutex::new(String::new()));
        // The log is read to its end, otherwise the sidecar's writes fail.
        std::thread::spawn({
            let later = Arc::clone(&later);
            move || {
                for line in log.lines().map_while(Result::ok) {
                    later.lock().expect("no panic").push_str(&(line + "\n"));
                }
            }
        });
        Self {
            process,
            seen,
            later,
            status: status.expect("an address in the log"),
            resp: resp.expect("an address in the log"),
            http: http.expect("an address in the log"),
        }
    }

    pub(super) fn connect(&self) -> BufReader<TcpStream> {
        BufReader::new(connect(self.resp))
    }

    /// Sends a command and waits for its answer.
    pub(super) fn answer(&self, command: &str) -> String {
        let mut stream = self.connect();
        stream
            .get_mut()
            .write_all(format!("{command}\r\n").as_bytes())
            .expect("sent");
        let mut answer = String::new();
        stream.read_line(&mut answer).expect("an answer");
        answer
    }

    /// Executes a command that succeeds.
    pub(super) fn run(&self, command: &str) {
        assert_eq!(self.answer(command), "+OK\r\n", "{command}");
    }

    /// Stops it with SIGTERM, in time.
    pub(super) fn stops(&mut self) {
        kill("-TERM", &self.process.id().to_string());
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while self.process.try_wait().expect("a child of ours").is_none() {
            assert!(Instant::now() < deadline, "it does not stop:\n{}", self.logged());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// What it logged after it was ready.
    pub(super) fn logged(&self) -> String {
        self.later.lock().expect("no panic").clone()
    }

    /// Waits until `/readyz` and the metric say that the configuration is unsaved, or that it is not. It is ready all the
    /// time.
    pub(super) fn await_unsaved(&self, unsaved: bool) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        let metric = format!("\nsidecar_autosave_unsaved {}\n", u8::from(unsaved));
        loop {
            let (ready, metrics) = (page(self.status, "/readyz"), page(self.status, "/metrics"));
            assert!(
                ready.starts_with("HTTP/1.1 200") && ready.contains("ready\n"),
                "{ready}"
            );
            if ready.contains("UNSAVED: cannot save to ") == unsaved && metrics.contains(&metric) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "not {metric:?}:\n{ready}\n{}",
                self.logged()
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Sends an HTTP request; returns the answer with its head.
    pub(super) fn post(&self, path: &str, body: &str) -> String {
        let mut stream = connect(self.http);
        let length = body.len();
        let request = format!(
            "POST /api/v1/module/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

fn page(address: SocketAddr, path: &str) -> String {
    let mut stream = connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, WAIT_TIMEOUT).expect("the controller accepts");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a socket");
    stream
}

/// Runs a sidecar that does not start, and returns its error.
pub(super) fn not_started(path: &Path) -> String {
    let output = Command::new("timeout")
        .args(["--kill-after=1", &WAIT_TIMEOUT.as_secs().to_string()])
        .arg(SIDECAR)
        .arg("--autosave")
        .arg(path)
        .args(["--", "true"])
        .output()
        .expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    message
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The saved commands.
pub(super) fn saved(path: &Path) -> Vec<String> {
    let script = autosave::load(path)
        .expect("a complete file")
        .expect("the file exists");
    script.lines.iter().map(|line| line.command.to_string()).collect()
}
