//! The frontend's responses, with working and failing services and sidecars.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use example_services::frontend::{self, Config};
use example_services::upstream::{Backend, LoadBalancer, TIMEOUT};
use rustix::process::Signal;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::fake_socks5::{Behaviour, FakeSocks5};
use crate::http::{answer_always, ask, get, read_answer, read_request, reserved_port, until};
use crate::process::Process;

const ONE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n\"one\"\n";
const TWO: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n\"two\"\n";

/// Starts a frontend in this process.
async fn frontend(socks5: SocketAddr, lb: SocketAddr, timeout: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let backend = |name: &str| {
        let service = name.parse().expect("a name");
        Backend::new(LoadBalancer { service, address: lb }, Some(lb))
    };
    let config = Config {
        socks5,
        backends: vec![backend("a"), backend("b")],
        timeout,
    };
    tokio::spawn(frontend::run(listener, config, CancellationToken::new()));
    address
}

/// Starts a frontend and its sidecar's SOCKS5 server.
async fn through(behaviour: Behaviour, timeout: Duration) -> (SocketAddr, FakeSocks5) {
    let socks5 = FakeSocks5::start(behaviour).await;
    (frontend(socks5.address, socks5.address, timeout).await, socks5)
}

#[tokio::test]
async fn every_request_opens_a_socks5_connection_by_domain_name() {
    let instances = vec![answer_always(ONE).await, answer_always(TWO).await];
    let (frontend, socks5) = through(Behaviour::Connect(instances), TIMEOUT).await;
    for expected in ["\"one\"\n", "\"two\"\n", "\"one\"\n", "\"two\"\n"] {
        let answer = get(frontend, "/service-a").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, expected));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    assert_eq!(get(frontend, "/service-b?via=socks5").await.status, 200);
    let a = "a.my.service.com:80";
    assert_eq!(socks5.asked(), [a, a, a, a, "b.my.service.com:80"]);
}

#[tokio::test]
async fn via_lb_uses_the_load_balancer() {
    let (_closed, socks5) = reserved_port();
    let frontend = frontend(socks5, answer_always(TWO).await, TIMEOUT).await;
    assert_eq!(get(frontend, "/service-a?via=lb").await.body, "\"two\"\n");
    assert_eq!(get(frontend, "/service-a").await.status, 502);
}

/// Answers `count` requests on each connection to a new port, and then closes it. Counts the connections.
async fn answer_some(answer: &'static str, count: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            for _ in 0..count {
                if read_request(&mut stream).await.is_none() {
                    break;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    });
    (address, connections)
}

#[tokio::test]
async fn via_http_keeps_the_connection_until_the_sidecar_closes_it() {
    let (_closed, socks5) = reserved_port();
    let (lb, connections) = answer_some(TWO, 3).await;
    let frontend = frontend(socks5, lb, TIMEOUT).await;
    for request in 0..6 {
        let answer = get(frontend, "/service-a?via=http").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "\"two\"\n"));
        assert_eq!(connections.load(Ordering::Relaxed), request / 3 + 1);
    }
}

#[tokio::test]
async fn an_answer_of_the_sidecar_itself_is_a_failure_with_its_status_and_reason() {
    let none =
        "HTTP/1.1 503 Service Unavailable\r\nx-sidecar-error: no-instance\r\nContent-Length: 2\r\n\r\n{}";
    let (_closed, socks5) = reserved_port();
    let (lb, _connections) = answer_some(none, 1).await;
    let frontend = frontend(socks5, lb, TIMEOUT).await;
    let answer = get(frontend, "/service-b?via=http").await;
    let body = json!({
        "error": "service unavailable", "service": "b", "via": "http",
        "reason": "the sidecar answered: no-instance",
    });
    assert_eq!((answer.status, answer.json()), (503, body));
}

#[tokio::test]
async fn status_content_type_and_body_are_the_services() {
    let teapot = "HTTP/1.1 418 I'm a teapot\r\nContent-Type: text/tea\r\nContent-Length: 4\r\n\r\nmilk";
    let (frontend, _socks5) = through(Behaviour::Connect(vec![answer_always(teapot).await]), TIMEOUT).await;
    let answer = get(frontend, "/service-a").await;
    assert_eq!(
        (answer.status, answer.header("content-type"), answer.body.as_str()),
        (418, Some("text/tea"), "milk")
    );
    let head = ask(frontend, "HEAD", "/service-a").await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.as_str()),
        (418, Some("4"), "")
    );
}

#[tokio::test]
async fn the_index_and_errors_list_the_pages() {
    let (frontend, socks5) = through(Behaviour::Close, TIMEOUT).await;
    let index = get(frontend, "/").await;
    assert_eq!(index.status, 200);
    for line in [
        "curl 'test.example:8080/service-a'",
        "curl 'test.example:8080/service-b?via=lb'",
        "curl 'test.example:8080/service-b?via=http'",
    ] {
        assert!(index.body.contains(line), "{}", index.body);
    }
    for path in ["/service-c", "/service-", "/service-a/", "/nope"] {
        let answer = get(frontend, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(
            answer.body.contains("/service-a /service-b"),
            "{path}: {}",
            answer.body
        );
    }
    let answer = get(frontend, "/service-a?via=pigeon").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json(),
        json!({"error": "unknown via `pigeon`; allowed are socks5 (without via), lb and http"})
    );
    let answer = ask(frontend, "DELETE", "/service-a").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(socks5.asked(), [""; 0]);
}

#[tokio::test]
async fn each_socks5_reply_has_its_status_and_reason() {
    for (code, status, words) in [
        (1, 502, "general failure (0x01)"),
        (2, 502, "connection not allowed by its rules (0x02)"),
        (3, 503, "network unreachable (0x03)"),
        (4, 503, "host unreachable (0x04)"),
        (5, 502, "connection refused (0x05)"),
        (6, 504, "time to live expired (0x06)"),
        (7, 502, "command not supported (0x07)"),
        (8, 502, "address type not supported (0x08)"),
        (99, 502, "an unassigned code"),
    ] {
        let (frontend, _socks5) = through(Behaviour::Refuse(code), TIMEOUT).await;
        let answer = get(frontend, "/service-b").await;
        let error = match status {
            502 => "bad gateway",
            503 => "service unavailable",
            _ => "gateway timeout",
        };
        let reason = format!("the socks5 server answered: {words}");
        let body = json!({"error": error, "service": "b", "via": "socks5", "reason": reason});
        assert_eq!((answer.status, answer.json()), (status, body), "code {code}");
        assert_eq!(
            answer.header("retry-after"),
            (status == 503).then_some("1"),
            "code {code}"
        );
    }
}

#[tokio::test]
async fn a_broken_socks5_handshake_is_a_bad_gateway() {
    for (behaviour, reason) in [
        (Behaviour::Close, "the connection to the socks5 server broke"),
        (
            Behaviour::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "not a socks5 server: its answer does not begin with 0x05",
        ),
        (
            Behaviour::Say(b"\x05"),
            "the connection to the socks5 server broke",
        ),
        (Behaviour::Authenticate(2), "asks for authentication"),
        (Behaviour::Authenticate(0xff), "asks for authentication"),
    ] {
        let (frontend, _socks5) = through(behaviour, TIMEOUT).await;
        let answer = get(frontend, "/service-a").await;
        let found = answer.json()["reason"].to_string();
        assert!(
            answer.status == 502 && found.contains(reason),
            "{} {found}",
            answer.status
        );
    }
}

#[tokio::test]
async fn an_incomplete_or_malformed_answer_is_a_bad_gateway() {
    for (said, reason) in [
        ("", "connection closed before message completed"),
        ("nonsense\r\n\r\n", "no complete HTTP response"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
            "the response's body is incomplete",
        ),
    ] {
        let (frontend, _socks5) = through(Behaviour::Connect(vec![answer_always(said).await]), TIMEOUT).await;
        let answer = get(frontend, "/service-a").await;
        let found = answer.json()["reason"].to_string();
        assert!(
            answer.status == 502 && found.contains(reason),
            "{said:?}: {} {found}",
            answer.status
        );
    }
}

#[tokio::test]
async fn an_endless_answer_is_a_bad_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endless = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await.expect("a request");
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 4096]).await;
            }
        }
    });
    let (frontend, _socks5) = through(Behaviour::Connect(vec![endless]), TIMEOUT).await;
    let answer = get(frontend, "/service-a").await;
    assert_eq!(answer.status, 502);
    assert_eq!(
        answer.json()["reason"],
        "the response's body is longer than 65536 bytes"
    );
}

#[tokio::test]
async fn silence_is_a_gateway_timeout() {
    let timeout = Duration::from_millis(200);
    for (behaviour, awaited) in [
        (Behaviour::SilentAtOnce, "the sidecar's socks5 reply"),
        (Behaviour::SilentAfterGreeting, "the sidecar's socks5 reply"),
        (Behaviour::SilentAfterReply, "the service's answer"),
    ] {
        let (frontend, _socks5) = through(behaviour, timeout).await;
        let answer = get(frontend, "/service-a").await;
        let reason = format!("gave up after 0.2 s, waiting for {awaited}");
        let body = json!({"error": "gateway timeout", "service": "a", "via": "socks5", "reason": reason});
        assert_eq!((answer.status, answer.json()), (504, body));
    }
}

#[tokio::test]
async fn the_program_gives_up_on_a_silent_sidecar() {
    let socks5 = FakeSocks5::start(Behaviour::SilentAtOnce).await;
    let (program, address) = start(socks5.address).await;
    let (first, second) = tokio::join!(get(address, "/service-a"), get(address, "/service-b"));
    assert_eq!((first.status, second.status), (504, 504));
    assert!(first.body.contains("gave up after 4.5 s"), "{}", first.body);
    drop(program);
}

#[tokio::test]
async fn a_stop_finishes_requests_in_flight() {
    let connect = Arc::new(Notify::new());
    let socks5 = FakeSocks5::start(Behaviour::ConnectWhenNotified(
        Arc::clone(&connect),
        answer_always(ONE).await,
    ))
    .await;
    let (program, address) = start(socks5.address).await;
    let mut in_flight = TcpStream::connect(address).await.expect("a connection");
    in_flight
        .write_all(b"GET /service-a HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("to send the request");
    until("the frontend asks its sidecar", async || {
        socks5.asked().len() == 1
    })
    .await;

    program.signal(Signal::TERM);
    until("the port is closed", async || {
        TcpStream::connect(address).await.is_err()
    })
    .await;
    connect.notify_one();
    assert_eq!(read_answer(&mut in_flight).await.body, "\"one\"\n");
    let (status, log) = program.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(
        log.lines().count(),
        2,
        "one line at the start and one at the stop:\n{log}"
    );
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_the_flag() {
    let other = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = other.local_addr().expect("its address").to_string();
    let (status, log) = Process::frontend(&["--listen", &address]).end().await;
    assert_eq!(status.code(), Some(1), "{log}");
    let expected =
        format!("cannot listen on {address} (set another address with --listen): Address already in use");
    assert!(log.contains(&expected), "{log}");
}

/// Starts the program on a free port.
async fn start(socks5: SocketAddr) -> (Process, SocketAddr) {
    let program = Process::frontend(&["--listen", "127.0.0.1:0", "--socks5", &socks5.to_string()]);
    let line = program.logged("listening on ").await;
    let address = line.split(';').next().and_then(|address| address.parse().ok());
    (
        program,
        address.unwrap_or_else(|| panic!("no address in {line:?}")),
    )
}

#[tokio::test]
async fn idle_connections_hold_their_permits_for_the_head_timeout_only() {
    let (_closed, socks5) = reserved_port();
    let (_program, address) = start(socks5).await;
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(TcpStream::connect(address).await.expect("a connection"));
    }
    assert_eq!(get(address, "/").await.status, 200);
}
