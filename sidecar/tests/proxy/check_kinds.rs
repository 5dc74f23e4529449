//! Health checks by HTTP, and passive ones.

use std::sync::Arc;

use sidecar::balance::{CheckKind, ServerGroup, ServerGroups, Tried};
use sidecar::fault::Fault;
use sidecar::health;
use sidecar::own_listeners::OwnListeners;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::support::{config, eventually};

/// A server that answers each request with a line, or not at all while the line is empty.
async fn http_server() -> (std::net::SocketAddr, watch::Sender<&'static str>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, line) = watch::channel("HTTP/1.1 200 OK");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut line = line.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut request = String::new();
                // What is left unread would end the connection with a reset, before its answer arrives.
                while !request.ends_with("\r\n\r\n") {
                    if stream.read_line(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                if !request.starts_with("GET /healthz HTTP/1.1\r\n") {
                    return;
                }
                line.wait_for(|line| !line.is_empty()).await.unwrap();
                let answer = format!("{}\r\nContent-Length: 0\r\n\r\n", *line.borrow());
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (address, sender)
}

fn checked(kind: CheckKind, address: std::net::SocketAddr) -> (Arc<ServerGroup>, DropGuard) {
    let group = ServerGroup::new("g", config(), sidecar::balance::Method::Wrr);
    group.set_check_kind(kind);
    group.add("one", address, 10).unwrap();
    let stop = CancellationToken::new();
    health::spawn(Arc::clone(&group), OwnListeners::default(), stop.clone());
    (group, stop.drop_guard())
}

async fn becomes(group: &ServerGroup, up: bool, why: &str) {
    eventually(|| (group.servers()[0].up != up).then(|| format!("{why}: up is not {up}"))).await;
}

#[tokio::test]
async fn an_http_check_passes_with_success_and_redirects_only() {
    let (address, line) = http_server().await;
    let (group, _checks) = checked("http /healthz".parse().unwrap(), address);
    becomes(&group, true, "200").await;
    for (answer, up) in [
        ("HTTP/1.1 503 Service Unavailable", false),
        ("HTTP/1.1 204 No Content", true),
        ("HTTP/1.1 404 Not Found", false),
        ("HTTP/1.1 302 Found", true),
        ("SSH-2.0-OpenSSH_9.9", false),
        ("HTTP/1.0 200 OK", true),
    ] {
        line.send_replace(answer);
        becomes(&group, up, answer).await;
    }
}

/// A frozen process still completes handshakes, and so does one that is only busy.
#[tokio::test]
async fn connections_end_without_an_answer_if_another_server_is_usable() {
    let (address, line) = http_server().await;
    let (group, _checks) = checked("http /healthz".parse().unwrap(), address);
    becomes(&group, true, "200").await;
    let groups = ServerGroups::new("s");
    groups.attach(Arc::clone(&group), 10).unwrap();
    let tried = Tried::new(std::time::Instant::now());
    let client = "127.0.0.1".parse().unwrap();
    let lease = groups.pick(client, &tried).unwrap();
    line.send_replace("HTTP/1.1 500 Internal Server Error");
    becomes(&group, false, "500").await;
    let ended = tokio::time::timeout(std::time::Duration::ZERO, lease.down()).await;
    assert!(ended.is_err(), "an answer ended the connection");
    line.send_replace("HTTP/1.1 200 OK");
    becomes(&group, true, "200").await;
    line.send_replace("");
    becomes(&group, false, "no answer").await;
    let ended = tokio::time::timeout(std::time::Duration::ZERO, lease.down()).await;
    assert!(
        ended.is_err(),
        "the only server may be busy, and its connection ended"
    );
    line.send_replace("HTTP/1.1 200 OK");
    becomes(&group, true, "200 again").await;
    let lease = groups.pick(client, &tried).unwrap();
    let (other, _answers) = http_server().await;
    group.add("two", other, 10).unwrap();
    let is_up = || {
        group
            .servers()
            .iter()
            .any(|server| server.name == "two" && server.up)
    };
    eventually(|| (!is_up()).then(|| "the other server is not up".to_owned())).await;
    line.send_replace("");
    super::support::within("end of the connection", lease.down()).await;
}

#[tokio::test]
async fn a_passive_check_is_made_once_and_after_a_failed_connection() {
    let (address, _line) = http_server().await;
    let (group, _checks) = checked(CheckKind::Passive, address);
    becomes(&group, true, "the first check").await;
    let groups = ServerGroups::new("s");
    groups.attach(Arc::clone(&group), 10).unwrap();
    let checks = || group.servers()[0].checks.passed;
    for expected in 2..5 {
        let tried = Tried::new(std::time::Instant::now());
        let lease = groups.pick("127.0.0.1".parse().unwrap(), &tried).unwrap();
        lease.failed(Fault::Peer).eject();
        eventually(|| (checks() < expected).then(|| format!("{} checks", checks()))).await;
    }
    // Another group is checked actively meanwhile: a hundred periods pass.
    let (other, _others) = checked(CheckKind::Tcp, address);
    let others = || other.servers().first().map_or(0, |server| server.checks.passed);
    eventually(|| (others() < 100).then(|| format!("{} checks", others()))).await;
    assert_eq!(checks(), 4, "it was checked without a reason");
}
