//! Requests of the original's clients, answered as by the original.

use serde_json::json;

use super::requests::frontend;

/// As the original does: it ignores empty parts of a path, and queries that it does not know.
#[tokio::test]
async fn a_slash_at_the_end_and_an_unknown_query_change_nothing() {
    let api = frontend().await;
    let module = "/api/v1/module";
    let expected = api.ask("GET", &format!("{module}/server-groups"), "").await;
    assert_eq!(expected, (200, r#"[{"name":"sgs0"}]"#.to_owned()));
    for path in [
        "server-groups/",
        "server-groups?x=1",
        "server-groups/?x=1&force=true&&y",
        "/server-groups//",
    ] {
        assert_eq!(
            api.ask("GET", &format!("{module}/{path}"), "").await,
            expected,
            "{path}"
        );
    }
    for (method, path, body) in [
        ("POST", "server-groups/?x=1", r#"{"name":"sgs1"}"#),
        ("PUT", "server-group/sg0/?x", r#"{"up":2}"#),
        ("DELETE", "server-groups/sgs1/?x=1", ""),
    ] {
        let answer = api.ask(method, &format!("{module}/{path}"), body).await;
        assert_eq!(answer, (204, String::new()), "{method} {path}");
    }
}

/// The original's clients send what they read from it: its threads, its buffers, no certificates.
#[tokio::test]
async fn fields_about_the_originals_threads_and_buffers_are_accepted() {
    let api = frontend().await;
    let threads = json!({"acceptorLoopGroup": "(acceptor-elg)", "workerLoopGroup": "elg0", "inBufferSize": 16384,
                         "outBufferSize": 1});
    for (method, path, own) in [
        (
            "POST",
            "tcp-lb",
            json!({"name": "lb1", "address": "127.0.0.1:0", "backend": "sgs0", "protocol": "tcp",
                                  "listOfCertKey": null}),
        ),
        (
            "POST",
            "tcp-lb",
            json!({"name": "lb2", "address": "127.0.0.1:0", "backend": "sgs0", "listOfCertKey": []}),
        ),
        (
            "POST",
            "socks5-server",
            json!({"name": "s1", "address": "127.0.0.1:0", "backend": "sgs0"}),
        ),
    ] {
        let mut body = threads.clone();
        body.as_object_mut()
            .expect("an object")
            .extend(own.as_object().expect("an object").clone());
        let answer = api
            .ask(method, &format!("/api/v1/module/{path}"), &body.to_string())
            .await;
        assert_eq!(answer, (204, String::new()), "{body}");
    }
    for (path, body) in [
        ("tcp-lb/lb1", json!({"inBufferSize": 1})),
        ("socks5-server/s1", json!({"outBufferSize": 1})),
        ("server-group/sg0", json!({"eventLoopGroup": "(control-elg)"})),
    ] {
        let answer = api
            .ask("PUT", &format!("/api/v1/module/{path}"), &body.to_string())
            .await;
        assert_eq!(answer, (204, String::new()), "{path}");
    }
    let (status, _) = api
        .ask("PUT", "/api/v1/module/tcp-lb/nope", r#"{"inBufferSize": 1}"#)
        .await;
    assert_eq!(status, 400, "there is no such load balancer");
    let shown = api.read("/api/v1/module/tcp-lb/lb1").await;
    assert_eq!(
        (&shown["outBufferSize"], &shown["workerLoopGroup"]),
        (&json!(16384), &json!("(worker-elg)"))
    );
}
