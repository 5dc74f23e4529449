//! An HTTP controller in this process, and a client.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Version};
use serde_json::Value;
use sidecar::balance::service::Instances;
use sidecar::control::http::TokenCheck;
use sidecar::control::{self, Controller, Offers};
use sidecar::http;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::clients::answer;

/// An HTTP controller in this process, in a mesh without other nodes.
pub(crate) struct Api {
    pub(crate) controller: Arc<Controller>,
    pub(crate) instances: watch::Sender<Arc<Instances>>,
    address: SocketAddr,
    _stop: DropGuard,
}

/// A status, headers and a body.
pub(crate) type Answer = hyper::Response<String>;

impl Api {
    pub(crate) async fn open() -> Self {
        Self::guarded(None).await
    }

    pub(crate) async fn guarded(token: Option<TokenCheck>) -> Self {
        let (instances, learned) = watch::channel(Arc::new(Instances::default()));
        let controller = Arc::new(Controller::new(Offers::new(), Some(learned)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let executor = Arc::clone(&controller);
        let handle = move |request| control::http::handle(Arc::clone(&executor), token.clone(), request);
        tokio::spawn(http::serve(listener, handle, stop.clone()));
        Self {
            controller,
            instances,
            address,
            _stop: stop.drop_guard(),
        }
    }

    /// Executes commands, one per line.
    pub(crate) async fn run(&self, commands: &str) {
        for line in commands.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let command = line.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
            if let Err(error) = self.controller.execute(command).await {
                panic!("{line}: {error}");
            }
        }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        self.send_as(Version::HTTP_11, method, path, headers, body).await
    }

    /// Sends a request of a version of HTTP.
    pub(crate) async fn send_as(
        &self,
        version: Version,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .version(version)
            .uri(path)
            .header("host", "sidecar");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .expect("a request");
        let stream = TcpStream::connect(self.address).await.expect("it accepts");
        answer(stream, request).await.expect("an answer")
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let answer = self.send(method, path, &[], body).await;
        (answer.status().as_u16(), answer.into_body())
    }

    /// Reads a path, as JSON.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, "").await;
        assert_eq!(status, 200, "GET {path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("GET {path}: {e}: {body}"))
    }
}
