//! A door that asks for a token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sidecar::control::Reply;

use crate::support::Door;

const PATH: &str = "/api/v1/module/server-groups";

async fn guarded() -> Door {
    Door::guarded(Some(Arc::new(|token| token == "open sesame"))).await
}

#[tokio::test]
async fn without_the_token_nothing_is_told_or_changed() {
    let door = guarded().await;
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
        let answer = door.send(method, path, headers, r#"{"name":"x"}"#).await;
        assert_eq!(answer.status(), 401, "{method} {path} {headers:?}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        assert!(answer.body().contains("expected the header"), "{}", answer.body());
        // The delay is what is tested, from below.
        assert!(began.elapsed() >= Duration::from_millis(500), "guessing is slow");
    }
    assert_eq!(server_groups(&door).await, Reply::Lines(Vec::new()));
}

#[tokio::test]
async fn the_token_opens() {
    let door = guarded().await;
    for scheme in ["Bearer", "bearer"] {
        let token = format!("{scheme} open sesame");
        let answer = door.send("GET", PATH, &[("authorization", &token)], "").await;
        assert_eq!((answer.status().as_u16(), answer.body().as_str()), (200, "[]"));
    }
    let token = [("authorization", "Bearer open sesame")];
    let document = door
        .send("GET", "/api/v1/openapi.json", &token, "")
        .await
        .into_body();
    assert!(document.contains(r#""security":[{"token":[]}]"#), "{document}");
}

#[tokio::test]
async fn a_web_page_cannot_command_through_its_readers_browser() {
    let door = Door::open().await;
    let headers = [("origin", "https://example.com")];
    let answer = door.send("POST", PATH, &headers, r#"{"name":"x"}"#).await;
    assert_eq!(answer.status(), 403, "{}", answer.body());
    assert_eq!(server_groups(&door).await, Reply::Lines(Vec::new()));
}

async fn server_groups(door: &Door) -> Reply {
    let list = "list server-groups".parse().expect("a command");
    door.controller.execute(list).await.expect("a list")
}
