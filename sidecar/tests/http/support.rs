//! Instances, listeners and clients for the tests.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sidecar::balance::{CheckConfig, CheckOutcome, Method, Protocol, ServerGroup, ServerGroups};
use sidecar::proxy::Limits;
use sidecar::proxy::tcp_lb::TcpLb;
use sidecar::proxy::workers::Workers;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// Deadline for anything that succeeds immediately.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) type Body = BoxBody<Bytes, hyper::Error>;

/// Awaits a future; panics with `what` after the deadline.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("no {what} within {DEADLINE:?}"))
}

/// Polls until nothing is missing; panics with what is missing after the deadline.
pub(crate) async fn eventually(mut missing: impl FnMut() -> Option<String>) {
    let deadline = Instant::now() + DEADLINE;
    while let Some(what) = missing() {
        assert!(Instant::now() < deadline, "after {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A body that is sent at once.
pub(crate) fn body(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

/// An instance whose answers `answer` gives.
pub(crate) async fn instance<F, A>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answering = answer(request);
                async move { Ok::<_, Infallible>(answering.await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    address
}

/// An instance that answers with its name.
pub(crate) async fn named(name: &'static str) -> SocketAddr {
    instance(move |_| async move { Response::new(body(name)) }).await
}

/// An instance that lets a test read and write the bytes of each of its connections.
pub(crate) async fn raw<F, A>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

pub(crate) fn config() -> CheckConfig {
    CheckConfig {
        timeout: Duration::from_millis(500),
        period: Duration::from_millis(20),
        up: 2,
        down: 2,
    }
}

/// Has a check of each server pass.
pub(crate) fn prove(group: &ServerGroup) {
    for server in group.checked() {
        group.report(&server, CheckOutcome::Passed);
    }
}

/// Sets the servers of a group, all of which are up.
pub(crate) fn set_servers(group: &ServerGroup, servers: &[(SocketAddr, u32)]) {
    let named = |(address, weight): &(SocketAddr, u32)| (format!("s{address}"), *address, *weight);
    group.set_learned(servers.iter().map(named).collect());
    prove(group);
}

/// A group of servers that are up, and a set of only this group.
pub(crate) fn backends(name: &str, servers: &[(SocketAddr, u32)]) -> (Arc<ServerGroups>, Arc<ServerGroup>) {
    let group = ServerGroup::new(name, config(), Method::Wrr);
    set_servers(&group, servers);
    let groups = ServerGroups::new("backends");
    groups.attach(Arc::clone(&group), 10).unwrap();
    (groups, group)
}

/// A load balancer of HTTP in front of instances of equal weight.
pub(crate) fn lb(instances: &[SocketAddr]) -> (TcpLb, Arc<ServerGroup>) {
    lb_with(instances, Limits::default())
}

pub(crate) fn lb_with(instances: &[SocketAddr], limits: Limits) -> (TcpLb, Arc<ServerGroup>) {
    let weighted: Vec<_> = instances.iter().map(|address| (*address, 10)).collect();
    let (groups, group) = backends("g", &weighted);
    let listener = sidecar::proxy::listener::bind(loopback()).unwrap();
    let lb = TcpLb::start(listener, groups, None, limits, &Workers::default()).unwrap();
    lb.set_protocol(Protocol::Http);
    (lb, group)
}

/// A client's connection.
pub(crate) async fn connect(lb: &TcpLb) -> TcpStream {
    TcpStream::connect(lb.listener().local_addr()).await.unwrap()
}

/// An HTTP/1.1 client's connection.
pub(crate) async fn client(lb: &TcpLb) -> SendRequest<Body> {
    let io = TokioIo::new(connect(lb).await);
    let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    sender
}

pub(crate) fn get(path: &str) -> Request<Body> {
    request("GET", path, "")
}

pub(crate) fn request(method: &str, path: &str, text: &'static str) -> Request<Body> {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "service.mesh");
    builder.body(body(text)).unwrap()
}

/// Sends a request, and returns the head of the answer.
pub(crate) async fn send(client: &mut SendRequest<Body>, request: Request<Body>) -> Response<Incoming> {
    within("connection", client.ready()).await.unwrap();
    within("answer", client.send_request(request)).await.unwrap()
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    let body = within("body", response.into_body().collect()).await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// The text of the answer to a request.
pub(crate) async fn ask(client: &mut SendRequest<Body>, path: &str) -> String {
    text(send(client, get(path)).await).await
}

/// Writes bytes, and reads until the other side closes.
pub(crate) async fn exchange(lb: &TcpLb, bytes: &[u8]) -> String {
    let mut stream = connect(lb).await;
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer ends it as well.
    let _ = within("end of the connection", stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

/// Reads the head of a message.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match within("head", stream.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    String::from_utf8(head).unwrap()
}
