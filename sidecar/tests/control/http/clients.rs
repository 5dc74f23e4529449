//! A sidecar process, a client of its HTTP controller, and clients and servers on both sides of it.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_socks::tcp::Socks5Stream;

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

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let request = Request::builder().method(method).uri(self.url(path));
        let request = match body {
            Value::Null => request.body(Full::default()),
            body => request
                .header("content-type", "application/json")
                .body(Full::from(body.to_string())),
        };
        let stream = TcpStream::connect(self.address()).await.expect("it accepts");
        let answer = answer(stream, request.expect("a request"))
            .await
            .unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        (answer.status().as_u16(), answer.into_body())
    }

    /// Makes a change that succeeds.
    pub(crate) async fn change(&self, method: &str, path: &str, body: &Value) {
        let answer = self.ask(method, path, body).await;
        assert_eq!(answer, (204, String::new()), "{method} {path} {body}");
    }

    pub(crate) async fn read(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &Value::Null).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    pub(crate) async fn up(&self, server: &str) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        let path = format!("/module/server-group/{SERVICE}/server/{server}");
        loop {
            let found = self.read(&path).await;
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

/// Sends a request and reads the answer to its end.
pub(crate) async fn answer<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<B>,
) -> Result<Response<String>, Box<dyn Error>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let exchange = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the answer.
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
        Ok(Response::from_parts(head, body))
    };
    tokio::time::timeout(WAIT_TIMEOUT, exchange).await?
}

/// The name of the server that answers a client of the listener; `None` if none answers.
pub(crate) async fn direct(address: &str) -> Option<String> {
    name(TcpStream::connect(address).await.ok()?).await
}

pub(crate) async fn by_socks5(address: &str) -> Option<String> {
    name(Socks5Stream::connect(address, SERVICE).await.ok()?).await
}

async fn name(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Option<String> {
    let request = Request::builder().header("host", SERVICE);
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    answer(stream, request).await.ok().map(Response::into_body)
}

/// The number of clients that each server gets, of `clients` that connect one after another.
pub(crate) async fn shares(address: &str, clients: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..clients {
        *shares
            .entry(direct(address).await.expect("an answer"))
            .or_default() += 1;
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
