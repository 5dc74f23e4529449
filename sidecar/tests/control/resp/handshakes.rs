//! What client libraries send when they connect with their default settings: redis-py itself, and the handshakes of
//! ioredis and go-redis as their sources define them.

use std::process::Command;

use super::answers::Value;
use super::client::{Client, Server};
use super::process::Sidecar;
use crate::skip::skip;

/// Sends a request as libraries do, as an array.
async fn request(client: &mut Client, words: &[&str]) -> Value {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    client.send(request).await;
    client
        .next()
        .await
        .unwrap_or_else(|| panic!("no answer to {words:?}"))
}

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

/// `initConn` of go-redis 9 (redis.go), which fails if HELLO does with another error than that of an unknown command.
/// Errors to CLIENT MAINT_NOTIFICATIONS and SETINFO are ignored.
async fn go_redis(client: &mut Client, hello: &[&str]) {
    let Value::Map(about) = request(client, hello).await else {
        panic!("HELLO is answered with a map");
    };
    for (key, value) in [
        ("proto", Value::Integer(3)),
        ("modules", Value::Array(Vec::new())),
    ] {
        let at = about.iter().position(|item| *item == Value::Bulk(key.into()));
        assert_eq!(about[at.expect(key) + 1], value, "{key}");
    }
    let notifications = [
        "CLIENT",
        "MAINT_NOTIFICATIONS",
        "ON",
        "moving-endpoint-type",
        "internal-ip",
    ];
    assert!(matches!(request(client, &notifications).await, Value::Error(_)));
    assert_eq!(
        request(client, &["CLIENT", "SETINFO", "LIB-NAME", "go-redis(,go1.24)"]).await,
        ok()
    );
    assert_eq!(
        request(client, &["CLIENT", "SETINFO", "LIB-VER", "9.14.0"]).await,
        ok()
    );
    assert_eq!(request(client, &["PING"]).await, Value::Simple("PONG".to_owned()));
}

/// `connectHandler` and `_readyCheck` of ioredis 5 (lib/redis/event_handler.ts, lib/Redis.ts): INFO must be answered with
/// a text whose `loading` is absent or 0.
async fn ioredis(client: &mut Client) {
    assert_eq!(
        request(client, &["client", "SETINFO", "LIB-VER", "5.8.0"]).await,
        ok()
    );
    assert_eq!(
        request(client, &["client", "SETINFO", "LIB-NAME", "ioredis"]).await,
        ok()
    );
    let Value::Bulk(info) = request(client, &["info"]).await else {
        panic!("INFO is answered with a text");
    };
    let info = String::from_utf8(info).expect("UTF-8");
    assert!(info.split("\r\n").any(|line| line == "loading:0"), "{info}");
    assert_eq!(request(client, &["client", "setname", "me"]).await, ok());
    assert_eq!(request(client, &["select", "0"]).await, ok());
}

#[tokio::test]
async fn libraries_connect_without_a_password() {
    let server = Server::without_password().await;
    go_redis(&mut server.client().await, &["hello", "3"]).await;
    ioredis(&mut server.client().await).await;
}

#[tokio::test]
async fn libraries_connect_with_a_password() {
    let server = Server::with_password().await;
    let hello = ["hello", "3", "auth", "default", "secret"];
    go_redis(&mut server.client().await, &hello).await;
    let mut client = server.client().await;
    assert_eq!(request(&mut client, &["auth", "secret"]).await, ok());
    ioredis(&mut client).await;
}

/// A library that is given a password that the server does not have goes on or fails by these texts.
#[tokio::test]
async fn an_unexpected_password_is_answered_with_redis_texts() {
    let server = Server::without_password().await;
    let answer = request(&mut server.client().await, &["auth", "secret"]).await;
    let Value::Error(text) = answer else {
        panic!("{answer:?}");
    };
    // ioredis warns then, and connects.
    assert!(text.contains("no password is set"), "{text}");
}

const SCRIPT: &str = r#"
import redis, sys
port, password = int(sys.argv[1]), sys.argv[2] or None
for protocol in ({}, {"protocol": 2}, {"protocol": 3}):
    r = redis.Redis(port=port, password=password, **protocol)
    assert r.ping()
    assert r.info()["loading"] == 0, r.info()
    assert r.client_id() > 0
    assert r.client_setname("me") and r.client_getname() in (b"me", "me"), r.client_getname()
    assert r.execute_command("add", "server-groups", "x") in (b"OK", "OK")
    assert r.execute_command("list", "server-groups") == [b"x"]
    try:
        r.execute_command("add", "server-groups", "x")
        raise SystemExit("an error was expected")
    except redis.ResponseError as error:
        assert "the resource already exists" in str(error), error
    pipeline = r.pipeline(transaction=False)
    for n in range(2000):
        pipeline.echo("x" * 4000)
    assert len(pipeline.execute()) == 2000
    r.execute_command("remove", "server-groups", "x")
    r.close()
print("redis-py", redis.__version__)
"#;

#[test]
fn redis_py_connects_with_its_default_settings() {
    let python = std::env::var("MESH_REDIS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import redis"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        skip(
            "redis-py",
            "pip install redis, or set MESH_REDIS_PYTHON to a Python that has it",
        );
        return;
    }
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "secret\n").expect("written");
    let file = secret.path().display().to_string();
    for (arguments, password) in [(&[][..], ""), (&["--resp-password-file", &file], "secret")] {
        let sidecar = Sidecar::start(arguments, &[]);
        let port = sidecar.server.port().to_string();
        let output = Command::new("timeout")
            .args(["60", &python, "-c", SCRIPT, &port, password])
            .output()
            .expect("timeout (GNU coreutils) is installed");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && printed.starts_with("redis-py "),
            "{output:?}"
        );
    }
}
