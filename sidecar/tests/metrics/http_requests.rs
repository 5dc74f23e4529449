//! The metrics of HTTP requests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use prometheus_parse::Value;

use super::{Sidecar, parse, value};

/// Answers each request as a call of gRPC that fails.
fn grpc_backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = Vec::new();
            let mut byte = [0];
            // A health check sends nothing.
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            let answer =
                b"HTTP/1.1 200 OK\r\ngrpc-status: 14\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            // It fails for a check.
            let _ = stream.write_all(answer);
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counters_of_http_match_the_requests() {
    let sidecar = Sidecar::start().await;
    for command in [
        "add server-groups sgs0",
        "add server-group sg0 timeout 1000 period 50 up 1 down 1 eject 5 for 30000",
        "add server-group sg0 to server-groups sgs0",
        &format!("add server s0 to server-group sg0 address {}", grpc_backend()),
        "add tcp-lb lb0 address 127.0.0.1:0 server-groups sgs0 protocol http hold 10000",
    ] {
        sidecar.run(command).await;
    }
    let lb = sidecar.listener("lb0");
    for method in ["GET", "POST"] {
        let asking = move || {
            let mut stream = TcpStream::connect_timeout(&lb, std::time::Duration::from_secs(5))?;
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        };
        let answer = tokio::task::spawn_blocking(asking).await.expect("no panic");
        let answer = answer.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let of_listener = [("kind", "tcp-lb"), ("listener", "lb0")];
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let scrape = loop {
        let scrape = parse(&sidecar.page().await);
        if value(&scrape, "sidecar_listener_http_requests_in_flight", &of_listener) < 1.0 {
            break scrape;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "requests are still in flight"
        );
        tokio::task::yield_now().await;
    };
    let subjects: [(&str, &[(&str, &str)]); 3] = [
        ("listener", &of_listener),
        ("group", &[("group", "sg0")]),
        ("server", &[("group", "sg0"), ("server", "s0")]),
    ];
    for (subject, labels) in subjects {
        let with = |more: &[(&'static str, &'static str)]| [labels, more].concat();
        for (metric, more, expected) in [
            (
                "http_requests_total",
                &[("method", "safe"), ("status", "2xx")][..],
                1.0,
            ),
            (
                "http_requests_total",
                &[("method", "other"), ("status", "2xx")],
                1.0,
            ),
            (
                "http_requests_total",
                &[("method", "other"), ("status", "5xx")],
                0.0,
            ),
            ("grpc_calls_total", &[("grpc_status", "14")], 2.0),
            ("grpc_calls_total", &[("grpc_status", "0")], 0.0),
            ("http_retries_total", &[], 0.0),
        ] {
            let metric = format!("sidecar_{subject}_{metric}");
            assert_eq!(
                value(&scrape, &metric, &with(more)),
                expected,
                "{metric} {more:?}"
            );
        }
    }
    assert_eq!(
        value(&scrape, "sidecar_group_ejections_total", &[("group", "sg0")]),
        0.0
    );
    for metric in [
        "sidecar_listener_http_request_duration_seconds",
        "sidecar_group_http_request_duration_seconds",
    ] {
        let times = scrape.samples.iter().find(|sample| sample.metric == metric);
        let Value::Histogram(buckets) = &times.expect("a histogram").value else {
            panic!("{times:?}")
        };
        assert_eq!(buckets.last().expect("buckets").count, 2.0, "{metric}");
    }
    // What no request can add to: classes of methods times statuses, for each of the three.
    let samples = scrape
        .samples
        .iter()
        .filter(|sample| sample.metric.ends_with("_http_requests_total"));
    assert_eq!(samples.count(), 3 * 3 * 6);
}
