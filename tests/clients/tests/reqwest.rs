//! reqwest, which keeps its connections.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use client_tests::{group, http_proxy, named, set_instances, tcp_lb};
use futures_util::future::join_all;
use reqwest::{Client, Proxy, StatusCode};
use sidecar::balance::Protocol;

async fn get(client: &Client, url: &str) -> String {
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.unwrap()
}

#[tokio::test]
async fn requests_of_one_connection_of_http_1_1_take_turns() {
    let (lb, _) = tcp_lb(&[named("one").await, named("two").await]);
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/", lb.listener().local_addr());
    let mut names = Vec::new();
    for _ in 0..10 {
        names.push(get(&client, &url).await);
    }
    assert_eq!(names, ["one", "two"].repeat(5));
    let echoed = client.post(&url).body("-body").send().await.unwrap();
    assert_eq!(echoed.text().await.unwrap(), "one-body");
    assert_eq!(lb.listener().totals().connections, 1);
}

#[tokio::test]
async fn requests_of_one_connection_of_http_2_take_turns_one_by_one_and_at_once() {
    let (lb, _) = tcp_lb(&[named("one").await, named("two").await]);
    let client = Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let url = format!("http://{}/", lb.listener().local_addr());
    let mut names = Vec::new();
    for _ in 0..10 {
        names.push(get(&client, &url).await);
    }
    assert_eq!(names, ["one", "two"].repeat(5));
    let names = join_all((0..50).map(|_| get(&client, &url))).await;
    let ones = names.iter().filter(|name| *name == "one").count();
    assert_eq!(ones, 25, "{names:?}");
    assert_eq!(lb.listener().totals().connections, 1);
}

#[tokio::test]
async fn an_instance_that_leaves_and_one_that_comes_fail_no_request() {
    let (one, two, three) = (named("one").await, named("two").await, named("three").await);
    for http2 in [false, true] {
        let (lb, group) = tcp_lb(&[one, two]);
        let builder = Client::builder().no_proxy();
        let client = if http2 {
            builder.http2_prior_knowledge()
        } else {
            builder
        }
        .build()
        .unwrap();
        let url = format!("http://{}/", lb.listener().local_addr());
        assert_ne!(get(&client, &url).await, get(&client, &url).await);
        set_instances(&group, &[two, three]);
        let mut names: Vec<_> = [get(&client, &url).await, get(&client, &url).await].into();
        names.sort_unstable();
        assert_eq!(names, ["three", "two"]);
        set_instances(&group, &[]);
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()["x-sidecar-error"], "no-instance");
        assert_eq!(lb.listener().totals().connections, 1);
    }
}

#[tokio::test]
async fn requests_through_a_proxy_reach_the_groups_that_they_name() {
    let shop = group(
        "shop.mesh:80",
        Protocol::Http,
        &[named("one").await, named("two").await],
    );
    let api = group("api.mesh:8080", Protocol::Tcp, &[named("three").await]);
    let proxy = http_proxy(&[shop, api]);
    let address = format!("http://{}", proxy.listener().local_addr());
    let client = Client::builder()
        .proxy(Proxy::http(address).unwrap())
        .build()
        .unwrap();
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(get(&client, "http://shop.mesh/path").await);
        names.push(get(&client, "http://api.mesh:8080/").await);
    }
    assert_eq!(names, ["one", "three", "two", "three", "one", "three"]);
    let answer = client.get("http://elsewhere.mesh/").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(answer.headers()["x-sidecar-error"], "not-allowed");
}
