//! Instances that fail requests are ejected, and requests are counted.

use std::time::Duration;

use hyper::{Response, StatusCode};
use sidecar::balance::{OutlierEjection, Requests};

use super::support::{
    Body, ask, body, client, eventually, get, instance, lb, named, raw, read_head, request, send, text,
};

const EJECTION: OutlierEjection = OutlierEjection {
    failures: 2,
    time: Duration::from_secs(3600),
};

fn count(requests: &Requests, method: &str, status: &str) -> u64 {
    let mut all = requests.iter();
    all.find(|(m, s, _)| (*m, *s) == (method, status)).unwrap().2
}

fn failing() -> Response<Body> {
    let mut answer = Response::new(body("failed"));
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
}

#[tokio::test]
async fn an_instance_that_answers_with_errors_is_ejected() {
    let bad = instance(|_| async { failing() }).await;
    let (lb, group) = lb(&[bad, named("good").await]);
    group.set_outlier_ejection(Some(EJECTION));
    let mut client = client(&lb).await;
    let mut answers = Vec::new();
    for _ in 0..12 {
        answers.push(ask(&mut client, "/").await);
    }
    let failed = answers.iter().filter(|answer| *answer == "failed").count();
    assert_eq!(failed, 2, "{answers:?}");
    assert_eq!(answers[4..], ["good"; 8]);
    assert_eq!(group.ejections(), 1);
}

#[tokio::test]
async fn an_instance_that_resets_connections_is_ejected() {
    let bad = raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let (lb, group) = lb(&[bad, named("good").await]);
    group.set_outlier_ejection(Some(EJECTION));
    let mut client = client(&lb).await;
    let mut failed = 0;
    for _ in 0..12 {
        // Nobody resends a POST.
        let answer = send(&mut client, request("POST", "/", "x")).await;
        failed += u32::from(answer.status() == StatusCode::BAD_GATEWAY);
        text(answer).await;
    }
    assert_eq!((failed, group.ejections()), (2, 1));
}

#[tokio::test]
async fn requests_are_counted_by_method_and_status() {
    let bad = instance(|_| async { failing() }).await;
    let (lb, group) = lb(&[bad]);
    let mut client = client(&lb).await;
    for request in [get("/"), request("PUT", "/", "x"), request("POST", "/", "x")] {
        text(send(&mut client, request).await).await;
    }
    group.set_learned(Vec::new());
    text(send(&mut client, get("/")).await).await;
    // A request ends after its client has the answer.
    eventually(|| match lb.listener().requests().read() {
        all if all.active == 0 && all.times.count() == 4 => None,
        all => Some(format!("{} requests have not ended: {all:?}", all.active)),
    })
    .await;
    let (listener, group) = (lb.listener().requests().read(), group.requests().read());
    for (method, of_listener, of_group) in [("safe", 2, 1), ("idempotent", 1, 1), ("other", 1, 1)] {
        assert_eq!(count(&listener, method, "5xx"), of_listener, "{method}");
        assert_eq!(count(&group, method, "5xx"), of_group, "{method}");
    }
}
