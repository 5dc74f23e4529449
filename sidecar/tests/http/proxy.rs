//! The HTTP proxy: requests and tunnels to the groups that clients name.

use std::sync::Arc;

use sidecar::balance::{Method, Protocol, ServerGroup, ServerGroups};
use sidecar::proxy::Limits;
use sidecar::proxy::http_proxy::HttpProxy;
use sidecar::proxy::workers::Workers;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{Body, body};
use super::support::{config, instance, loopback, named, raw, read_head, set_servers, within};
use hyper::Response;

/// A proxy in front of groups of one instance each.
fn proxy(groups: &[(&str, std::net::SocketAddr, Protocol)]) -> HttpProxy {
    let backends = ServerGroups::new("backends");
    for (name, address, protocol) in groups {
        let group = ServerGroup::new(*name, config(), Method::Wrr);
        group.set_protocol(*protocol);
        set_servers(&group, &[(*address, 10)]);
        backends.attach(Arc::clone(&group), 10).unwrap();
    }
    let listener = sidecar::proxy::listener::bind(loopback()).unwrap();
    HttpProxy::start(listener, backends, None, Limits::default(), &Workers::default()).unwrap()
}

async fn connect(proxy: &HttpProxy) -> TcpStream {
    TcpStream::connect(proxy.listener().local_addr()).await.unwrap()
}

/// Sends a request without a body, and returns the answer's head and its body of a known length.
async fn ask(client: &mut TcpStream, target: &str) -> (String, String) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: elsewhere\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(client).await;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().unwrap())
    });
    let mut text = vec![0; length.unwrap_or(0)];
    within("body", client.read_exact(&mut text)).await.unwrap();
    (head, String::from_utf8(text).unwrap())
}

fn echo(request: &hyper::Request<hyper::body::Incoming>) -> Response<Body> {
    let host = request.headers()["host"].to_str().unwrap();
    Response::new(body(format!("{host} {}", request.uri())))
}

#[tokio::test]
async fn requests_of_one_connection_reach_the_groups_that_they_name() {
    let echoing = instance(|request| async move { echo(&request) }).await;
    let proxy = proxy(&[
        ("one.mesh:80", named("one").await, Protocol::Tcp),
        ("two.mesh:8080", echoing, Protocol::Http),
    ]);
    let mut client = connect(&proxy).await;
    assert_eq!(ask(&mut client, "http://ONE.mesh/").await.1, "one");
    assert_eq!(
        ask(&mut client, "http://two.mesh:8080/a?b").await.1,
        "two.mesh:8080 /a?b"
    );
    assert_eq!(ask(&mut client, "http://one.mesh:80").await.1, "one");
}

#[tokio::test]
async fn other_destinations_are_refused() {
    let proxy = proxy(&[("one.mesh:80", named("one").await, Protocol::Tcp)]);
    let mut client = connect(&proxy).await;
    for (target, status, cause) in [
        ("http://two.mesh/", 403, "not-allowed"),
        ("http://one.mesh:81/", 403, "not-allowed"),
        ("http://127.0.0.1/", 403, "not-allowed"),
        ("/path", 400, "bad-request"),
        ("https://one.mesh/", 400, "bad-request"),
    ] {
        let (head, text) = ask(&mut client, target).await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{target}: {head}"
        );
        assert!(text.contains(cause), "{target}: {text}");
    }
    assert_eq!(ask(&mut client, "http://one.mesh/").await.1, "one");
}

#[tokio::test]
async fn a_tunnel_to_a_tcp_group_carries_any_bytes() {
    let echo = raw(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await;
    let proxy = proxy(&[("redis.mesh:6379", echo, Protocol::Tcp)]);
    let mut client = connect(&proxy).await;
    let connect = b"CONNECT redis.mesh:6379 HTTP/1.1\r\nHost: redis.mesh:6379\r\n\r\n";
    client.write_all(connect).await.unwrap();
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    client.write_all(b"\0\x01PING").await.unwrap();
    let mut back = [0; 6];
    within("the bytes", client.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"\0\x01PING");
}

#[tokio::test]
async fn a_tunnel_to_an_http_group_carries_requests() {
    let proxy = proxy(&[("one.mesh:80", named("one").await, Protocol::Http1)]);
    let mut client = connect(&proxy).await;
    let connect = b"CONNECT one.mesh:80 HTTP/1.1\r\nHost: one.mesh:80\r\n\r\n";
    client.write_all(connect).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(ask(&mut client, "/").await.1, "one");
    assert_eq!(ask(&mut client, "/").await.1, "one");
}
