//! Instances, groups and clients for the tests.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sidecar::balance::{CheckConfig, CheckOutcome, Method, ServerGroup, ServerGroups};
use sidecar::proxy::Limits;
use sidecar::proxy::tcp_lb::TcpLb;
use sidecar::proxy::workers::Workers;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// Deadline for anything that succeeds immediately.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub(crate) fn config() -> CheckConfig {
    CheckConfig {
        timeout: Duration::from_millis(200),
        period: Duration::from_millis(20),
        up: 2,
        down: 2,
    }
}

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

/// An instance that sends its name, echoes what it gets, and ends when the client does.
pub(crate) async fn instance(name: &'static str) -> SocketAddr {
    instance_on(TcpListener::bind(loopback()).await.unwrap(), name)
}

pub(crate) fn instance_on(listener: TcpListener, name: &'static str) -> SocketAddr {
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(format!("{name}\n").as_bytes()).await?;
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await?;
                writer.shutdown().await
            });
        }
    });
    address
}

/// An address that refuses connections while the socket is held.
pub(crate) fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&loopback().into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// An address that does not answer connections while the sockets are held, because its backlog is full.
pub(crate) async fn silent() -> (Vec<Socket>, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&loopback().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut held = vec![listener];
    loop {
        let waiting = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        waiting.set_nonblocking(true).unwrap();
        let _ = waiting.connect(&address.into());
        held.push(waiting);
        if timeout(Duration::from_millis(100), TcpStream::connect(address))
            .await
            .is_err()
        {
            return (held, address);
        }
        assert!(held.len() < 20, "the backlog of {address} does not fill");
    }
}

/// Has a check of each server pass.
pub(crate) fn prove(group: &ServerGroup) {
    for server in group.checked() {
        group.report(&server, CheckOutcome::Passed);
    }
}

/// A group of learned servers, all up, and a set of only this group.
pub(crate) fn backends(name: &str, servers: &[(SocketAddr, u32)]) -> (Arc<ServerGroups>, Arc<ServerGroup>) {
    let group = ServerGroup::new(name, config(), Method::Wrr);
    let named =
        |(index, (address, weight)): (usize, &(SocketAddr, u32))| (format!("s{index}"), *address, *weight);
    group.set_learned(servers.iter().enumerate().map(named).collect());
    prove(&group);
    let groups = ServerGroups::new("backends");
    groups.attach(Arc::clone(&group), 10).unwrap();
    (groups, group)
}

pub(crate) fn bind() -> std::net::TcpListener {
    sidecar::proxy::listener::bind(loopback()).unwrap()
}

pub(crate) fn lb(groups: Arc<ServerGroups>, limits: Limits) -> TcpLb {
    TcpLb::start(bind(), groups, None, limits, &Workers::default()).unwrap()
}

/// Connects through the load balancer and reads the instance's name; the connection stays open.
pub(crate) async fn open(lb: &TcpLb) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    let name = read_line(&mut stream).await;
    (stream, name)
}

/// The name of the instance that a short connection through the load balancer reaches.
pub(crate) async fn ask(lb: &TcpLb) -> String {
    let (mut stream, name) = open(lb).await;
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    within("end of the connection", stream.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(rest.is_empty(), "{rest:?}");
    name
}

pub(crate) async fn read_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    loop {
        match within("line", stream.read_u8()).await {
            Ok(b'\n') => return String::from_utf8(line).unwrap(),
            Ok(byte) => line.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&line)),
        }
    }
}

/// Asserts that the peer sees a reset next.
pub(crate) async fn expect_reset(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let outcome = within("reset", stream.read_to_end(&mut rest)).await;
    let error = outcome.expect_err("the stream ended in order, expected a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// Resets a connection.
pub(crate) fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}
