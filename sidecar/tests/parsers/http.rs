//! Bodies for the HTTP controller, over a connection: no answer blames the sidecar, and the connection goes on.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sidecar::control::{self, Controller, Offers};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::mutation::Mutations;
use crate::{SEED, Shown};

/// Changed bodies, each of which takes a round trip.
const BODIES: usize = 2_000;

#[tokio::test]
async fn bodies() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let controller = Arc::new(Controller::new(Offers::new(), None));
    let handle = move |request| control::http::handle(Arc::clone(&controller), None, request);
    tokio::spawn(sidecar::http::serve(listener, handle, CancellationToken::new()));
    let stream = TcpStream::connect(address).await.expect("it accepts");
    let client = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = client.expect("HTTP/1.1");
    tokio::spawn(connection);

    let recorded: Vec<Value> =
        serde_json::from_str(include_str!("../vectors/control-http.json")).expect("JSON");
    let (paths, seeds): (Vec<_>, Vec<_>) = recorded
        .iter()
        .filter(|it| it["body"].is_object())
        // Neither listeners nor servers are made: they would take ports of this machine, and look up names.
        .filter(|it| {
            let path = it["path"].as_str().expect("text");
            !path.ends_with("/server-groups") && !path.ends_with("/server")
        })
        .map(|it| (it, it["body"].to_string().into_bytes()))
        .unzip();
    for (number, body) in Mutations::new(seeds, SEED).take(BODIES).enumerate() {
        let _shown = Shown(&body);
        let recorded = paths[number % paths.len()];
        let text = |key: &str| recorded[key].as_str().expect("text");
        let request = Request::builder()
            .method(text("method"))
            .uri(text("path"))
            .header("host", "sidecar")
            .body(Full::new(Bytes::from(body.clone())))
            .expect("a request");
        sender.ready().await.expect("the connection goes on");
        let answer = sender.send_request(request).await.expect("an answer");
        assert!(answer.status().as_u16() < 500, "{answer:?}");
        answer.into_body().collect().await.expect("a body");
    }
}
