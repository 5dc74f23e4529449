//! A RESP controller in this process, and a client of it.

use std::sync::Arc;
use std::time::Duration;

use sidecar::control::credential::Credential;
use sidecar::control::resp::{Limits, serve};
use sidecar::control::{Controller, Offers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::answers::{Value, parse};

pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// A RESP controller in this process.
pub(crate) struct Server {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn open(password: Option<&str>, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let controller = Arc::new(Controller::new(Offers::new(), None));
        let credential = password.map(|p| Credential::from_text("test", p.as_bytes()).expect("a secret"));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, controller, credential, limits, stop.clone()));
        Self {
            address,
            stop,
            serving,
        }
    }

    pub(crate) async fn without_password() -> Self {
        Self::open(None, Limits::default()).await
    }

    pub(crate) async fn with_password() -> Self {
        Self::open(Some("secret"), Limits::default()).await
    }

    pub(crate) async fn client(&self) -> Client {
        Client {
            stream: TcpStream::connect(self.address)
                .await
                .expect("the server accepts"),
            received: Vec::new(),
        }
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.write_all(bytes.as_ref()).await;
        sent.expect("the server reads it");
    }

    /// The next answer; `None` if the connection ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((value, used)) = parse(&self.received) {
                self.received.drain(..used);
                return Some(value);
            }
            let read = self.stream.read_buf(&mut self.received);
            let count = timeout(WAIT_TIMEOUT, read).await.expect("an answer in time");
            if count.expect("a connection that ends in order") == 0 {
                assert!(self.received.is_empty(), "half an answer: {:?}", self.received);
                return None;
            }
        }
    }

    pub(crate) async fn ask(&mut self, line: &str) -> Value {
        self.send(format!("{line}\r\n")).await;
        self.next().await.unwrap_or_else(|| panic!("no answer to {line}"))
    }

    pub(crate) async fn error(&mut self, line: &str) -> String {
        match self.ask(line).await {
            Value::Error(text) => text,
            other => panic!("{line}: {other:?}"),
        }
    }
}
