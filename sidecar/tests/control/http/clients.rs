//! A sidecar process, curl as its controller, and clients and servers on both sides of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(20);
/// The destination that SOCKS5 clients ask for, and the group of that name.
pub(crate) const SERVICE: &str = "a.my.service.com:80";

/// A sidecar without configuration; killed when dropped.
pub(crate) struct Sidecar {
    process: Child,
    api: String,
}

impl Sidecar {
    pub(crate) fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sidecar"))
            .args(["--http-controller", "127.0.0.1:0"])
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sidecar starts");
        let mut log = BufReader::new(process.stderr.take().expect("its log"));
        let (mut seen, mut line) = (String::new(), String::new());
        while !line.contains("--http-controller") {
            line.clear();
            assert!(
                log.read_line(&mut line).expect("a log in UTF-8") > 0,
                "the HTTP controller does not start:\n{seen}"
            );
            seen.push_str(&line);
        }
        let address = line
            .split("address=")
            .nth(1)
            .expect("an address in the line")
            .trim();
        let api = format!("http://{address}/api/v1");
        // The log is read to its end, otherwise the sidecar would block on it.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Self { process, api }
    }

    /// The address of its controller.
    pub(crate) fn address(&self) -> &str {
        let (_, rest) = self.api.split_once("//").expect("a URL");
        rest.split('/').next().expect("an address")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.api)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let url = format!("{}{path}", self.api);
        let mut arguments = vec!["-X", method, "-w", "\n%{http_code}"];
        let body = body.to_string();
        if body != "null" {
            arguments.extend(["-H", "content-type: application/json", "-d", &body]);
        }
        arguments.push(&url);
        let output = curl(&arguments);
        assert!(output.status.success(), "{method} {path}: {output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let (body, status) = text.rsplit_once('\n').expect("a status");
        (status.parse().expect("a status"), body.to_owned())
    }

    /// Makes a change that succeeds.
    pub(crate) fn change(&self, method: &str, path: &str, body: &Value) {
        let answer = self.ask(method, path, body);
        assert_eq!(answer, (204, String::new()), "{method} {path} {body}");
    }

    pub(crate) fn read(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &Value::Null);
        assert_eq!(status, 200, "GET {path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    pub(crate) fn up(&self, server: &str) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        let path = format!("/module/server-group/{SERVICE}/server/{server}");
        loop {
            let found = self.read(&path);
            if found["status"] == "UP" {
                return;
            }
            assert!(Instant::now() < deadline, "{server} is not up: {found}");
        }
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn curl(arguments: &[&str]) -> Output {
    let run = || {
        Command::new("curl")
            .args(["-sS", "--max-time", "10", "--noproxy", ""])
            .args(arguments)
            .output()
    };
    tokio::task::block_in_place(run).unwrap_or_else(|e| {
        panic!("curl cannot be run ({e}): this test needs it, install the package `curl`")
    })
}

/// The name of the server that answers a client of the listener; `None` if none answers.
pub(crate) fn direct(address: &str) -> Option<String> {
    got(&[&format!("http://{address}/")])
}

pub(crate) fn by_socks5(address: &str) -> Option<String> {
    got(&["--socks5-hostname", address, &format!("http://{SERVICE}/")])
}

fn got(arguments: &[&str]) -> Option<String> {
    let output = curl(arguments);
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).expect("text"))
}

/// The number of clients that each server gets, of `clients` that connect one after another.
pub(crate) fn shares(address: &str, clients: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..clients {
        *shares.entry(direct(address).expect("an answer")).or_default() += 1;
    }
    shares
}

/// An HTTP server that answers with its name, and keeps connections open.
pub(crate) async fn server(name: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufStream::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                    if line.trim().is_empty() {
                        let answer =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                        let _ = stream.write_all(answer.as_bytes()).await;
                        let _ = stream.flush().await;
                    }
                    line.clear();
                }
            });
        }
    });
    address
}

/// A client that keeps its connection.
pub(crate) struct Kept(pub(crate) TcpStream);

impl Kept {
    pub(crate) async fn open(address: &str) -> Self {
        let mut kept = Self(TcpStream::connect(address).await.expect("the listener accepts"));
        assert!(kept.is_answered().await);
        kept
    }

    /// Sends another request; false if the connection has ended.
    pub(crate) async fn is_answered(&mut self) -> bool {
        let ask = self.0.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut answer = [0; 256];
        let read = tokio::time::timeout(WAIT_TIMEOUT, self.0.read(&mut answer));
        let read = read.await.expect("an answer or an end in time");
        ask.is_ok() && read.is_ok_and(|count| count > 0)
    }

    pub(crate) async fn has_ended(&mut self) -> bool {
        let read = tokio::time::timeout(WAIT_TIMEOUT, self.0.read(&mut [0; 16])).await;
        read.is_ok_and(|outcome| outcome.map_or(true, |count| count == 0))
    }
}
