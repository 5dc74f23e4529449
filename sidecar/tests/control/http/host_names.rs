//! Host names as addresses of servers and listeners: they are resolved when the command runs.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::requests::frontend;

const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_server_and_a_listener_may_be_at_a_host_name() {
    let api = frontend().await;
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = server.local_addr().expect("an address").port();
    api.run(&format!(
        "add server s0 to server-group sg0 address localhost:{port}"
    ))
    .await;
    let path = "/api/v1/module/server-group/sg0/server/s0";
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let shown = loop {
        let shown = api.read(path).await;
        if shown["status"] == "UP" {
            break shown;
        }
        assert!(Instant::now() < deadline, "it is never UP: {shown}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(shown["address"], format!("localhost:{port}"));
    assert_eq!(shown["currentIp"], "127.0.0.1");

    api.run("add tcp-lb lb1 address localhost:0 server-groups sgs0")
        .await;
    let bound = api.read("/api/v1/channel/tcp-lb/lb1/bind-server").await;
    let bound = bound[0]["address"].as_str().expect("an address");
    assert!(
        bound.starts_with("127.0.0.1:") && !bound.ends_with(":0"),
        "{bound}"
    );
}

/// RFC 6761, 6.4: names under `invalid` never resolve.
#[tokio::test]
async fn a_host_name_that_is_not_resolved_is_refused() {
    let api = frontend().await;
    for (path, body) in [
        (
            "server-group/sg0/server",
            r#"{"name":"s1","address":"no.such.invalid:80"}"#,
        ),
        (
            "tcp-lb",
            r#"{"name":"lb1","address":"no.such.invalid:80","backend":"sgs0"}"#,
        ),
    ] {
        let (status, answer) = api.ask("POST", &format!("/api/v1/module/{path}"), body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer.contains("address no.such.invalid:80: no.such.invalid "),
            "{answer}"
        );
    }
    assert_eq!(api.controller.listeners().len(), 2, "nothing was changed");
}
