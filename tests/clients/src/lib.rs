//! Instances and listeners for the tests of the sidecar with the HTTP clients that programs use.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sidecar::balance::{CheckConfig, CheckOutcome, Method, Protocol, ServerGroup, ServerGroups};
use sidecar::proxy::Limits;
use sidecar::proxy::http_proxy::HttpProxy;
use sidecar::proxy::listener::bind;
use sidecar::proxy::tcp_lb::TcpLb;
use sidecar::proxy::workers::Workers;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// Deadline for anything that succeeds immediately.
const DEADLINE: Duration = Duration::from_secs(10);

/// Awaits a future; panics with `what` after the deadline.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("no {what} within {DEADLINE:?}"))
}

/// Polls until nothing is missing; panics with what is missing after the deadline.
pub async fn eventually(mut missing: impl FnMut() -> Option<String>) {
    let deadline = Instant::now() + DEADLINE;
    while let Some(what) = missing() {
        assert!(Instant::now() < deadline, "after {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// An instance that has `serve` serve each of its connections.
pub async fn tcp_instance<F, A>(serve: F) -> SocketAddr
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

/// An instance of HTTP/1.1 and HTTP/2, whose answers `answer` gives.
pub async fn http_instance<F, A, B>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    tcp_instance(move |stream| {
        let answer = answer.clone();
        async move {
            let service = service_fn(move |request| {
                let answering = answer(request);
                async move { Ok::<_, Infallible>(answering.await) }
            });
            let server = auto::Builder::new(TokioExecutor::new());
            // The client sees how it ends.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

/// An instance that answers with its name, and with the body that it is sent.
pub async fn named(name: &'static str) -> SocketAddr {
    http_instance(move |request: Request<Incoming>| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(Full::new(Bytes::from([name.as_bytes(), &body].concat())))
    })
    .await
}

/// A group of instances of equal weight, all of which are up.
pub fn group(name: &str, protocol: Protocol, instances: &[SocketAddr]) -> Arc<ServerGroup> {
    let config = CheckConfig {
        timeout: Duration::from_millis(500),
        period: Duration::from_millis(20),
        up: 2,
        down: 2,
    };
    let group = ServerGroup::new(name, config, Method::Wrr);
    group.set_protocol(protocol);
    set_instances(&group, instances);
    group
}

/// Replaces the instances of a group.
pub fn set_instances(group: &ServerGroup, instances: &[SocketAddr]) {
    let server = |address: &SocketAddr| (format!("s{address}"), *address, 10);
    group.set_learned(instances.iter().map(server).collect());
    for server in group.checked() {
        group.report(&server, CheckOutcome::Passed);
    }
}

fn set_of(groups: &[Arc<ServerGroup>]) -> Arc<ServerGroups> {
    let set = ServerGroups::new("backends");
    for group in groups {
        set.attach(Arc::clone(group), 10).unwrap();
    }
    set
}

/// A load balancer of HTTP in front of instances.
pub fn tcp_lb(instances: &[SocketAddr]) -> (TcpLb, Arc<ServerGroup>) {
    let group = group("g", Protocol::Http, instances);
    let set = set_of(&[Arc::clone(&group)]);
    let listener = bind(loopback()).unwrap();
    let lb = TcpLb::start(listener, set, None, Limits::default(), &Workers::default()).unwrap();
    lb.set_protocol(Protocol::Http);
    (lb, group)
}

/// A proxy for clients that name one of these groups.
pub fn http_proxy(groups: &[Arc<ServerGroup>]) -> HttpProxy {
    let listener = bind(loopback()).unwrap();
    HttpProxy::start(
        listener,
        set_of(groups),
        None,
        Limits::default(),
        &Workers::default(),
    )
    .unwrap()
}
