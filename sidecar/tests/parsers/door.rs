//! An HTTP controller on a connection of its own, for bodies that are nearly right. The fuzzer uses it as well.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sidecar::control::{self, Controller, Offers};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A request of the original's clients.
pub(crate) struct Recorded {
    method: String,
    path: String,
    pub(crate) body: Vec<u8>,
}

/// The recorded requests with bodies.
pub(crate) fn recorded() -> Vec<Recorded> {
    let recorded: Vec<Value> =
        serde_json::from_str(include_str!("../vectors/control-http.json")).expect("JSON");
    let text = |it: &Value| it.as_str().expect("text").to_owned();
    let with_body = recorded.iter().filter(|it| it["body"].is_object());
    let requests = with_body.map(|it| Recorded {
        method: text(&it["method"]),
        path: text(&it["path"]),
        body: it["body"].to_string().into_bytes(),
    });
    // Neither listeners nor servers are made: they would take ports of this machine, and look up names.
    requests
        .filter(|it| !it.path.ends_with("/server-groups") && !it.path.ends_with("/server"))
        .collect()
}

/// A client of a controller.
pub(crate) struct Door(SendRequest<Full<Bytes>>);

impl Door {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let controller = Arc::new(Controller::new(Offers::new(), None));
        let handle = move |request| control::http::handle(Arc::clone(&controller), None, request);
        tokio::spawn(sidecar::http::serve(listener, handle, CancellationToken::new()));
        let stream = TcpStream::connect(address).await.expect("it accepts");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        Self(sender)
    }

    /// Sends a recorded request with another body. No answer blames the sidecar, and the connection goes on.
    pub(crate) async fn send(&mut self, recorded: &Recorded, body: &[u8]) {
        let request = Request::builder()
            .method(&*recorded.method)
            .uri(&*recorded.path)
            .header("host", "sidecar")
            .body(Full::new(Bytes::copy_from_slice(body)))
            .expect("a request");
        self.0.ready().await.expect("the connection goes on");
        let answer = self.0.send_request(request).await.expect("an answer");
        assert!(answer.status().as_u16() < 500, "{answer:?}");
        answer.into_body().collect().await.expect("a body");
    }
}
