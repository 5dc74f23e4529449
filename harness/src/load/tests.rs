use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn route() -> Route {
    let topology = crate::checkout::Checkout::find()
        .unwrap()
        .topology("example")
        .unwrap();
    topology
        .routes()
        .into_iter()
        .find(|route| route.service == "a")
        .unwrap()
}

fn outcome(at: u64, result: Result<&str, &str>) -> Outcome {
    let answer = |host: &str| Answer {
        service: "a".to_owned(),
        host: host.to_owned(),
        port: 1,
        weight: None,
    };
    Outcome {
        at: Duration::from_millis(at),
        took: Duration::from_millis(5),
        route: 0,
        result: result.map(answer).map_err(str::to_owned),
    }
}

#[test]
fn a_record_tells_who_answered_and_what_failed() {
    let outcomes = vec![
        outcome(0, Ok("one")),
        outcome(10, Err("refused")),
        outcome(20, Ok("two")),
        outcome(30, Ok("two")),
        outcome(40, Ok("one")),
    ];
    let record = Record {
        routes: vec![route()],
        outcomes,
    };
    assert_eq!(record.failed(), 1);
    assert_eq!(
        record.hosts(Duration::from_millis(20)),
        BTreeMap::from([("one", 1), ("two", 2)])
    );
    assert_eq!(
        record.first_answer("one", Duration::from_millis(1)),
        Some(Duration::from_millis(45))
    );
    assert_eq!(record.first_answer("three", Duration::ZERO), None);
    assert_eq!(
        record.summary(),
        "5 requests, 1 failed\nat 0.010 s, after 0.005 s, frontend:8080/service-a: refused"
    );
}

/// Answers the first request well, closes on the second, and answers well from then on.
async fn flaky(listener: TcpListener) {
    for turn in 0.. {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        if turn == 1 {
            continue;
        }
        let body = "{\"service\":\"a\",\"host\":\"h\",\"port\":1}\n";
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn every_request_is_recorded_with_its_outcome() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(flaky(listener));
    let load = Load::start(&[(route(), address)], 1, Duration::from_millis(1));
    let enough = async || {
        let count = load.so_far().outcomes.len();
        if count >= 4 {
            Ok(())
        } else {
            Err(vec![format!("{count}/4 requests")])
        }
    };
    crate::wait::until(Duration::from_secs(10), Duration::from_millis(5), enough, |_| {})
        .await
        .unwrap();
    let record = load.finish().await;
    server.abort();
    let failed: Vec<bool> = record
        .outcomes
        .iter()
        .map(|outcome| outcome.result.is_err())
        .collect();
    assert_eq!(failed[..4], [false, true, false, false], "{}", record.summary());
    assert!(record.outcomes.is_sorted_by_key(|outcome| outcome.at));
}
