use std::time::UNIX_EPOCH;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::wait;

fn route() -> Route {
    let topology = crate::cluster::checkout::Checkout::find()
        .unwrap()
        .topology("example")
        .unwrap();
    topology
        .routes()
        .into_iter()
        .find(|route| route.service == "a")
        .unwrap()
}

/// Answers every request; if `flaky`, closes the second connection without an answer.
async fn serve(listener: TcpListener, flaky: bool, host: &'static str) {
    for request_number in 0.. {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        if flaky && request_number == 1 {
            continue;
        }
        let body = format!("{{\"service\":\"a\",\"host\":\"{host}\",\"port\":1}}\n");
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        // The client may already have been dropped.
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    }
}

const PACE: Pace = Pace {
    clients: 1,
    period: Duration::from_millis(1),
};

async fn listening(flaky: bool, host: &'static str) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(serve(listener, flaky, host));
    (address, server)
}

async fn until_read(traffic: &Traffic, enough: impl Fn(&TrafficRecord) -> bool) {
    let attempt = async || {
        traffic.read(|record| {
            if enough(record) {
                Ok(())
            } else {
                Err(vec![record.summary()])
            }
        })
    };
    let limit = Duration::from_secs(10);
    wait::until(limit, Duration::from_millis(5), attempt, |_| {})
        .await
        .unwrap();
}

#[tokio::test]
async fn every_request_is_recorded_with_its_outcome() {
    let (address, _server) = listening(true, "h").await;
    let traffic = Traffic::start(&[(route(), address)], &[Clients::New], PACE);
    until_read(&traffic, |record| record.sent() >= 4).await;
    let record = traffic.finish().await;
    assert_eq!(record.failed(), 1, "{}", record.summary());
    let failure = record.failures().next().unwrap();
    let answers: Vec<Duration> = record.answers().map(|(outcome, _)| outcome.at).collect();
    assert!(answers.is_sorted());
    let before = answers.iter().filter(|at| **at < failure.at).count();
    assert_eq!(before, 1, "the second request is the one that fails");
    assert!(record.sent_at(failure) > UNIX_EPOCH);
}

#[tokio::test]
async fn a_suspended_route_resumes_at_its_new_address() {
    let (first, _first) = listening(false, "one").await;
    let (second, _second) = listening(false, "two").await;
    let traffic = Traffic::start(&[(route(), first)], &[Clients::New], PACE);
    until_read(&traffic, |record| {
        record.hosts(Duration::ZERO).contains_key("one")
    })
    .await;

    traffic.suspend(&route().member);
    let suspended = traffic.now();
    traffic.reroute(&[(route(), second)]);
    until_read(&traffic, |record| record.first_answer("two", suspended).is_some()).await;
    let moved = traffic.now();
    until_read(&traffic, |record| record.hosts(moved).contains_key("two")).await;
    let record = traffic.finish().await;
    let silent = |since| record.unanswered(since, |on| *on == route());
    assert!(silent(moved).is_empty());
    assert_eq!(silent(moved + Duration::from_secs(10)), [route().name()]);
    assert_eq!(record.failed(), 0, "{}", record.summary());
    assert!(!record.hosts(moved).contains_key("one"));
}

#[tokio::test]
async fn traffic_ends_while_all_routes_are_suspended() {
    let (address, _server) = listening(false, "h").await;
    let traffic = Traffic::start(&[(route(), address)], &[Clients::New], PACE);
    until_read(&traffic, |record| record.sent() > 0).await;
    traffic.reroute(&[]);
    let ended = tokio::time::timeout(Duration::from_secs(10), traffic.finish()).await;
    assert_eq!(ended.unwrap().failed(), 0);
}
