//! Requests outside the recording: errors that name the field, removal by force, counters.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::support::Api;

const FRONTEND: &str = "
    add server-groups sgs0
    add server-group sg0 timeout 500 period 60000 up 1 down 1
    add server-group sg0 to server-groups sgs0
    add security-group secg0 default allow
    add tcp-lb lb0 address 127.0.0.1:0 server-groups sgs0
    add socks5-server socks0 address 127.0.0.1:0 server-groups sgs0
";

pub(super) async fn frontend() -> Api {
    let api = Api::open().await;
    api.run(FRONTEND).await;
    api
}

#[tokio::test]
async fn an_error_names_the_field() {
    let api = frontend().await;
    let module = |path: &str| format!("/api/v1/module/{path}");
    let lb = |key: &str, value: serde_json::Value| {
        let mut body = json!({"name": "lb1", "address": "127.0.0.1:0", "backend": "sgs0"});
        body[key] = value;
        body
    };
    let rule = |min: u32, max: u32| {
        json!({"name": "r", "clientNetwork": "10.0.0.0/8", "protocol": "TCP", "serverPortMin": min,
               "serverPortMax": max, "rule": "deny"})
    };
    for (method, path, body, message) in [
        (
            "PUT",
            "tcp-lb/lb0",
            json!({}),
            "the update changes nothing; expected at least one of backend, securityGroup",
        ),
        (
            "PUT",
            "tcp-lb/lb0",
            json!({"backend": null}),
            "the update changes nothing",
        ),
        (
            "POST",
            "server-groups",
            json!({"name": "sgs1", "bogus": null}),
            "input bogus is not recognized",
        ),
        (
            "PUT",
            "tcp-lb/lb0",
            json!({"backend": "sgs0", "name": null}),
            "input name is not recognized",
        ),
        (
            "PUT",
            "tcp-lb/lb0",
            json!({"address": "127.0.0.1:0"}),
            "input address is not recognized",
        ),
        (
            "PUT",
            "tcp-lb/lb0",
            json!({"backend": 5}),
            "backend must be a string, found 5",
        ),
        (
            "PUT",
            "socks5-server/socks0",
            json!({"allowNonBackend": "yes"}),
            r#"allowNonBackend must be true or false, found \"yes\""#,
        ),
        (
            "PUT",
            "server-group/sg0",
            json!({"period": 1.5}),
            "period 1.5 is not valid; expected milliseconds from 1",
        ),
        (
            "PUT",
            "server-group/sg0",
            json!({"up": 0}),
            "up 0 is not valid; expected a number of checks from 1 to 1000",
        ),
        (
            "PUT",
            "server-groups/sgs0/server-group/sg0",
            json!({}),
            r#"weight is required by this api, you may refer to: {\"weight\":10}"#,
        ),
        (
            "PUT",
            "security-group/secg0",
            json!({"defaultRule": "maybe"}),
            "defaultRule maybe is not valid; expected allow or deny",
        ),
        (
            "PUT",
            "tcp-lb/nope",
            json!({"backend": "sgs0"}),
            "the resource could not be found",
        ),
        (
            "PUT",
            "tcp-lb/lb0",
            json!({"backend": "nope"}),
            "the resource could not be found",
        ),
        (
            "POST",
            "tcp-lb",
            lb("address", json!("nonsense")),
            "address nonsense is not valid; expected an address such as",
        ),
        (
            "POST",
            "tcp-lb",
            lb("protocol", json!("htpp")),
            "protocol htpp is not valid; did you mean http? expected tcp, http/1.x, h2 or http",
        ),
        (
            "POST",
            "tcp-lb",
            lb("listOfCertKey", json!(["x"])),
            r#"listOfCertKey [\"x\"] is not possible here: listeners have no TLS; leave it out"#,
        ),
        (
            "POST",
            "tcp-lb",
            lb("name", json!("a b")),
            "name a b is not valid; expected a name of 1 to 255 bytes",
        ),
        (
            "POST",
            "tcp-lb",
            lb("weight", json!(1)),
            "input weight is not recognized, you may refer to: {",
        ),
        (
            "POST",
            "tcp-lb",
            lb("address", json!("192.0.2.1:1")),
            "cannot listen on address 192.0.2.1:1",
        ),
        (
            "POST",
            "server-group/nope/server",
            json!({"name": "s", "address": "127.0.0.1:1"}),
            "the resource could not be found",
        ),
        (
            "POST",
            "security-group/secg0/security-group-rule",
            rule(9, 8),
            "serverPortMax 8 is not valid; expected at least serverPortMin, 9",
        ),
        (
            "POST",
            "smart-node-delegate",
            json!({"name": "x", "service": "s", "zone": "z", "nic": "nope0"}),
            "nic nope0: there is no network interface",
        ),
        (
            "DELETE",
            "tcp-lb/lb0?cascade=maybe",
            json!(null),
            r#"cascade \"maybe\" is not valid; expected true or false"#,
        ),
    ] {
        let (status, answer) = api.ask(method, &module(path), &body.to_string()).await;
        assert_eq!(status, 400, "{method} {path} {body}: {answer}");
        assert!(
            answer.contains(message),
            "{method} {path} {body}:\n{answer} does not contain\n{message}"
        );
    }
    let names = |listeners: Vec<sidecar::control::ListenerView>| listeners.len();
    assert_eq!(names(api.controller.listeners()), 2, "nothing was changed");
}

#[tokio::test]
async fn reading_a_missing_resource_is_answered_with_404() {
    let api = frontend().await;
    for (path, resource, name) in [
        ("module/server-group/x", "server-group", "x"),
        ("module/server-group/x/server", "server-group", "x"),
        ("module/server-group/sg0/server/s", "server", "s"),
        ("module/server-groups/x/server-group/sg0", "server-groups", "x"),
        (
            "module/security-group/secg0/security-group-rule/r/detail",
            "security-group-rule",
            "r",
        ),
        (
            "module/smart-group-delegate/a%20b/detail",
            "smart-group-delegate",
            "a b",
        ),
        ("channel/socks5-server/lb0/session", "socks5-server", "lb0"),
        ("statistics/tcp-lb/x/bytes-in", "tcp-lb", "x"),
        (
            "statistics/tcp-lb/lb0/bind-server/127.0.0.1:1/bytes-in",
            "bind-server",
            "127.0.0.1:1",
        ),
        (
            "statistics/tcp-lb/lb0/bind-server/nonsense/bytes-in",
            "bind-server",
            "nonsense",
        ),
        ("statistics/server-group/sg0/server/s/bytes-out", "server", "s"),
    ] {
        let (status, answer) = api.ask("GET", &format!("/api/v1/{path}"), "").await;
        let message = format!(r#"{{"code":404,"message":"Cannot find {resource} with name {name}."}}"#);
        assert_eq!((status, answer), (404, message), "{path}");
    }
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/nope/?x=1"),
        ("GET", "/api/v1/module/event-loop-group"),
        ("GET", "/api/v1/module/tcp-lb/lb0/detail/more"),
        ("GET", "/api/v1/module/%ff"),
        ("PUT", "/api/v1/module/server-groups/sgs0"),
        ("PATCH", "/api/v1/module/tcp-lb/lb0"),
    ] {
        let answer = api.ask(method, path, "").await;
        assert_eq!(answer, (404, format!("Cannot {method} {path}\r\n")));
    }
}

#[tokio::test]
async fn the_users_of_a_resource_are_removed_only_if_that_is_asked_for() {
    let api = frontend().await;
    let path = "/api/v1/module/server-groups/sgs0";
    let (status, answer) = api.ask("DELETE", path, "").await;
    assert_eq!(status, 400);
    assert!(
        answer.contains("server-groups sgs0 is used by tcp-lb lb0"),
        "{answer}"
    );
    for query in ["cascade=false", "force=true"] {
        assert_eq!(
            api.ask("DELETE", &format!("{path}?{query}"), "").await.0,
            400,
            "{query}"
        );
    }
    assert_eq!(api.controller.listeners().len(), 2, "its users are left alone");
    assert_eq!(
        api.ask("DELETE", &format!("{path}?cascade=true"), "").await,
        (204, String::new())
    );
    assert!(
        api.controller.listeners().is_empty(),
        "its users are removed, too"
    );
}

#[tokio::test]
async fn counters_and_addresses_match_the_traffic() {
    let api = frontend().await;
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = server.local_addr().expect("an address");
    api.run(&format!("add server s0 to server-group sg0 address {address}"))
        .await;
    while api.read("/api/v1/module/server-group/sg0/server/s0").await["status"] != "UP" {
        tokio::task::yield_now().await;
    }
    let bound = api.read("/api/v1/channel/tcp-lb/lb0/bind-server").await;
    let bound = bound[0]["address"].as_str().expect("an address").to_owned();
    let mut client = TcpStream::connect(&bound).await.expect("the listener accepts");
    client.write_all(b"hello").await.expect("sent");
    client.shutdown().await.expect("shut down");
    let echo = async {
        loop {
            let (mut stream, _) = server.accept().await.expect("a connection");
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.expect("read");
            // Health checks also connect, and send nothing.
            if !read.is_empty() {
                stream.write_all(b"good day").await.expect("sent");
                return;
            }
        }
    };
    let mut answer = Vec::new();
    let (_, read) = tokio::join!(echo, client.read_to_end(&mut answer));
    read.expect("read");
    assert_eq!(answer, b"good day");
    for of in [
        "tcp-lb/lb0".to_owned(),
        format!("tcp-lb/lb0/bind-server/{bound}"),
        "server-group/sg0/server/s0".to_owned(),
    ] {
        for (figure, value) in [("bytes-in", 5), ("bytes-out", 8), ("accepted-conn-count", 1)] {
            let path = format!("/api/v1/statistics/{of}/{figure}");
            assert_eq!(api.read(&path).await, json!({"value": value}), "{path}");
        }
    }
}
