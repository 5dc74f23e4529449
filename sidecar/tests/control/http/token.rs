//! An HTTP controller with a token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sidecar::control::Reply;

use super::support::Api;

const PATH: &str = "/api/v1/module/server-groups";

async fn guarded() -> Api {
    Api::guarded(Some(Arc::new(|token| token == "open sesame"))).await
}

#[tokio::test]
async fn without_the_token_nothing_is_read_or_changed() {
    let api = guarded().await;
    let none = &[][..];
    for (method, path, headers) in [
        ("GET", PATH, none),
        ("POST", PATH, none),
        ("GET", "/nope", none),
        ("GET", "/api/v1/openapi.json", none),
        ("GET", PATH, &[("authorization", "Bearer wrong")]),
        ("GET", PATH, &[("authorization", "Bearer")]),
        ("GET", PATH, &[("authorization", "Basic open sesame")]),
    ] {
        let began = Instant::now();
        let answer = api.send(method, path, headers, r#"{"name":"x"}"#).await;
        assert_eq!(answer.status(), 401, "{method} {path} {headers:?}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        assert!(answer.body().contains("expected the header"), "{}", answer.body());
        // The delay itself is under test; it is a lower bound.
        assert!(
            began.elapsed() >= Duration::from_millis(500),
            "the answer is delayed"
        );
    }
    assert_eq!(server_groups(&api).await, Reply::Lines(Vec::new()));
}

#[tokio::test]
async fn the_token_is_accepted() {
    let api = guarded().await;
    for scheme in ["Bearer", "bearer"] {
        let token = format!("{scheme} open sesame");
        let answer = api.send("GET", PATH, &[("authorization", &token)], "").await;
        assert_eq!((answer.status().as_u16(), answer.body().as_str()), (200, "[]"));
    }
    let token = [("authorization", "Bearer open sesame")];
    let document = api
        .send("GET", "/api/v1/openapi.json", &token, "")
        .await
        .into_body();
    assert!(document.contains(r#""security":[{"token":[]}]"#), "{document}");
}

#[tokio::test]
async fn a_web_page_cannot_send_commands() {
    let api = Api::open().await;
    let headers = [("origin", "https://example.com")];
    let answer = api.send("POST", PATH, &headers, r#"{"name":"x"}"#).await;
    assert_eq!(answer.status(), 403, "{}", answer.body());
    assert_eq!(server_groups(&api).await, Reply::Lines(Vec::new()));
}

async fn server_groups(api: &Api) -> Reply {
    let list = "list server-groups".parse().expect("a command");
    api.controller.execute(list).await.expect("a list")
}
