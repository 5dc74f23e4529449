//! Traffic goes on while nobody reads the log; what was dropped is counted.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener};

use crate::program::{Sidecar, connect, eventually, metric, page, sidecar};

const DROPPED: &str = "sidecar_log_lines_dropped_total";

/// Answers each client with a byte.
fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(b"x");
        }
    });
    address
}

/// The listener's address in an answer of the HTTP controller.
fn listener(http: SocketAddr, name: &str) -> SocketAddr {
    let answer = page(http, &format!("/api/v1/module/tcp-lb/{name}")).expect("the listener");
    let address = answer
        .split("\"address\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    address.and_then(|text| text.parse().ok()).expect("its address")
}

#[test]
fn traffic_flows_and_dropped_lines_are_counted_while_nobody_reads_the_log() {
    // Long names make long lines, which fill the buffer sooner.
    let long = "x".repeat(200);
    let mut config = String::new();
    let _ = write!(
        config,
        "add server-groups {long}\n\
         add server-group g timeout 1000 period 100 up 1 down 3\n\
         add server-group g to server-groups {long}\n\
         add server {long} to server-group g address {}\n\
         add tcp-lb lb address 127.0.0.1:0 server-groups {long}\n",
        backend()
    );
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().write_all(config.as_bytes()).expect("written");
    let arguments = [
        "--status",
        "127.0.0.1:0",
        "--http-controller",
        "127.0.0.1:0",
        "--load",
    ];
    let mut command = sidecar(&arguments);
    command
        .arg(file.path())
        .env("RUST_LOG", "info,sidecar::proxy=debug");
    let mut sidecar = Sidecar::start(command);
    let http = sidecar.logged("--http-controller").expect("its address");
    let status = sidecar.logged("--status").expect("its address");
    sidecar.logged("server is UP");

    sidecar.stall();
    let listener = listener(http, "lb");
    let mut connections = 0;
    eventually("a dropped line", || {
        for _ in 0..100 {
            let mut client = connect(listener).expect("it accepts");
            let count = client
                .read(&mut [0])
                .expect("an answer while nobody reads the log");
            assert_eq!(count, 1);
            connections += 1;
        }
        match metric(status, DROPPED)? {
            0 => Err(format!("none after {connections} connections")),
            _ => Ok(()),
        }
    });

    let lines = sidecar.lines();
    let (mut logged, mut dropped, mut reports) = (0, 0, Vec::new());
    eventually("the line of each connection, or its being counted", || {
        while let Ok(line) = lines.try_recv() {
            if line.contains("DEBUG") {
                assert!(line.contains("reason=finished"), "{line}");
                logged += 1;
            } else if let Some((before, _)) = line.split_once(" lines were dropped") {
                let count = before
                    .split_whitespace()
                    .last()
                    .and_then(|word| word.parse::<u64>().ok());
                dropped += count.expect("a number before it");
                reports.push(line);
            }
        }
        let sum = logged + dropped;
        if sum == connections {
            Ok(())
        } else {
            Err(format!("{logged} logged, {dropped} dropped of {connections}"))
        }
    });
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("WARN"), "{reports:?}");
    assert_eq!(metric(status, DROPPED), Ok(dropped));
    sidecar.terminate();
    assert_eq!(sidecar.ended().code(), Some(0));
    eventually("the last line", || match lines.try_recv() {
        Ok(line) if line.contains(": stopped") => Ok(()),
        other => Err(other),
    });
}
