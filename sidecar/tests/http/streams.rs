//! Requests of HTTP/2, each of which is balanced by itself.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sidecar::proxy::tcp_lb::TcpLb;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::support::{Body, body, connect, eventually, lb, loopback, within};

/// An instance of HTTP/2 alone, whose answers `answer` gives; counts its connections.
pub(crate) async fn instance<F, A>(answer: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answering = answer(request);
                async move { Ok::<_, Infallible>(answering.await) }
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, count)
}

async fn named(name: &'static str) -> SocketAddr {
    instance(move |_| async move { Response::new(body(name)) })
        .await
        .0
}

pub(crate) async fn client(lb: &TcpLb) -> SendRequest<Body> {
    let io = TokioIo::new(connect(lb).await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(crate) fn request(method: &str, body: Body) -> Request<Body> {
    let builder = Request::builder()
        .method(method)
        .uri("http://service.mesh/path?query");
    builder.body(body).unwrap()
}

pub(crate) async fn send(client: &SendRequest<Body>, request: Request<Body>) -> Response<Incoming> {
    within("answer", client.clone().send_request(request))
        .await
        .unwrap()
}

pub(crate) async fn ask(client: &SendRequest<Body>) -> String {
    let answer = send(client, request("GET", body(""))).await;
    let body = within("body", answer.into_body().collect()).await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// A body that a test sends frame by frame.
fn channel() -> (mpsc::Sender<Frame<Bytes>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let frames = stream::unfold(receiver, |mut receiver| async move {
        let frame = receiver.recv().await?;
        Some((Ok(frame), receiver))
    });
    (sender, BodyExt::boxed(StreamBody::new(frames)))
}

#[tokio::test]
async fn streams_of_one_connection_take_exact_turns() {
    let (lb, _) = lb(&[named("one").await, named("two").await]);
    let client = client(&lb).await;
    let mut names = Vec::new();
    for _ in 0..10 {
        names.push(ask(&client).await);
    }
    assert_eq!(names, ["one", "two"].repeat(5));
    assert_eq!(lb.listener().totals().connections, 1);
}

#[tokio::test]
async fn streams_at_the_same_time_share_a_connection_to_their_instance() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let (address, connections) = instance(move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Response::new(body("late"))
        }
    })
    .await;
    let (lb, group) = lb(&[address]);
    let client = client(&lb).await;
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { ask(&client).await })
        })
        .collect();
    eventually(|| {
        let active = group.counters().active();
        (active < 50).then(|| format!("{active} requests are active"))
    })
    .await;
    opened.add_permits(50);
    for asked in asking {
        assert_eq!(asked.await.unwrap(), "late");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_target_and_trailers_pass_unchanged() {
    let (address, _) = instance(|request: Request<Incoming>| async move {
        let target = request.uri().to_string();
        let te = request.headers()["te"].to_str().unwrap().to_owned();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let frames = [
            Ok(Frame::data(Bytes::from(format!("{target} {te}")))),
            Ok(Frame::trailers(trailers)),
        ];
        Response::new(BodyExt::boxed(StreamBody::new(stream::iter(frames))))
    })
    .await;
    let (lb, _) = lb(&[address]);
    let client = client(&lb).await;
    let mut request = request("POST", body("x"));
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    let answer = send(&client, request).await;
    let collected = within("body", answer.into_body().collect()).await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes(), "http://service.mesh/path?query trailers");
}

#[tokio::test]
async fn both_directions_of_a_stream_flow_at_the_same_time() {
    let (address, _) =
        instance(|request: Request<Incoming>| async move { Response::new(request.into_body().boxed()) })
            .await;
    let (lb, _) = lb(&[address]);
    let client = client(&lb).await;
    let (sender, body) = channel();
    let answer = send(&client, request("POST", body)).await;
    let mut echoed = answer.into_body();
    for text in ["a", "b", "c"] {
        sender.send(Frame::data(Bytes::from(text))).await.unwrap();
        let frame = within("frame", echoed.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
    }
    drop(sender);
    let rest = within("end", echoed.collect()).await.unwrap();
    assert!(rest.to_bytes().is_empty());
}

#[tokio::test]
async fn cancellation_reaches_the_instance() {
    let (sender, endless) = channel();
    let endless = Arc::new(std::sync::Mutex::new(Some(endless)));
    let (address, _) = instance(move |_| {
        let endless = endless.lock().unwrap().take().unwrap();
        async move { Response::new(endless) }
    })
    .await;
    let (lb, group) = lb(&[address]);
    let client = client(&lb).await;
    let answer = send(&client, request("GET", body(""))).await;
    assert_eq!(group.counters().active(), 1);
    drop(answer);
    within("end of the answer at the instance", sender.closed()).await;
    eventually(|| (group.counters().active() > 0).then(|| "the request is still active".to_owned())).await;
}

#[tokio::test]
async fn a_listener_that_stops_tells_the_client_to_go_away_and_finishes_its_streams() {
    let (sender, slow) = channel();
    let slow = Arc::new(std::sync::Mutex::new(Some(slow)));
    let (address, _) = instance(move |_| {
        let slow = slow.lock().unwrap().take().unwrap_or_else(|| body("fast"));
        async move { Response::new(slow) }
    })
    .await;
    let (lb, _) = lb(&[address]);
    let client = client(&lb).await;
    let answer = send(&client, request("GET", body(""))).await;
    lb.listener().stop_accepting();
    let refused = async {
        // Until the client has read that it is to go away.
        while client
            .clone()
            .send_request(request("GET", body("")))
            .await
            .is_ok()
        {}
    };
    within("word that the listener stops", refused).await;
    sender.send(Frame::data(Bytes::from("slow"))).await.unwrap();
    drop(sender);
    let text = within("body", answer.into_body().collect())
        .await
        .unwrap()
        .to_bytes();
    assert_eq!(text, "slow");
    eventually(|| (lb.listener().active() > 0).then(|| "the connection is open".to_owned())).await;
}

#[tokio::test]
async fn without_an_instance_the_sidecar_answers_streams() {
    let (lb, _) = lb(&[]);
    let client = client(&lb).await;
    let answer = send(&client, request("POST", body("x"))).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["x-sidecar-error"], "no-instance");
}
