//! Registration of services over HTTP, by which each service registers at its own sidecar.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sidecar::balance::service::{Instances, Offer};
use sidecar::control::{self, Controller, Offers};
use sidecar::http;
use sidecar::interface::{Addresses, Pinned};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const PATH: &str = "/api/v1/module/smart-node-delegate";

/// An HTTP controller in this process, in a mesh without other nodes.
struct Api {
    address: SocketAddr,
    offers: watch::Receiver<Vec<Offer>>,
    _instances: watch::Sender<Arc<Instances>>,
    _stop: tokio_util::sync::DropGuard,
}

impl Api {
    async fn open() -> Self {
        let offers = Offers::new();
        let announced = offers.subscribe();
        let (instances, learned) = watch::channel(Arc::new(Instances::default()));
        let controller = Arc::new(Controller::new(offers, Some(learned)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let handle = move |request| control::http::handle(Arc::clone(&controller), None, request);
        tokio::spawn(http::serve(listener, handle, stop.clone()));
        Self {
            address,
            offers: announced,
            _instances: instances,
            _stop: stop.drop_guard(),
        }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let stream = TcpStream::connect(self.address)
            .await
            .expect("the controller accepts");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("HTTP/1.1");
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "sidecar")
            .body(Full::new(Bytes::from(body.to_owned())))
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    async fn post(&self, body: Value) -> (u16, String) {
        self.ask("POST", PATH, &body.to_string()).await
    }

    async fn get(&self, name: &str) -> Value {
        let (status, body) = self.ask("GET", &format!("{PATH}/{name}"), "").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// Waits until exactly these ports are announced to the mesh.
    async fn announced(&mut self, ports: &[u16]) {
        let told = self.offers.wait_for(|offers| {
            let mut told: Vec<u16> = offers.iter().map(|o| o.instance.address.port()).collect();
            told.sort_unstable();
            told == ports
        });
        let outcome = tokio::time::timeout(Duration::from_secs(10), told)
            .await
            .map(|r| r.map(|_| ()));
        assert!(
            outcome.is_ok(),
            "expected {ports:?} to be announced, but {:?} are",
            self.offers.borrow()
        );
    }
}

fn registration(name: &str) -> Value {
    json!({"name": name, "service": "my-service-a", "zone": "example", "nic": "lo"})
}

fn port(view: &Value) -> u16 {
    view["exposedPort"]
        .as_u64()
        .and_then(|p| u16::try_from(p).ok())
        .expect("a port")
}

#[tokio::test]
async fn a_service_gets_a_port_and_is_announced_while_it_listens() {
    let mut api = Api::open().await;
    assert_eq!(api.post(registration("x")).await, (204, String::new()));

    let view = api.get("x").await;
    let port = port(&view);
    assert!((10_000..30_000).contains(&port), "{view}");
    assert_eq!(
        view.to_string(),
        format!(
            r#"{{"name":"x","service":"my-service-a","zone":"example","nic":"lo","ipType":"v4","exposedPort":{port},"weight":10,"status":"DOWN"}}"#
        )
    );
    api.announced(&[]).await;

    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .expect("the port is free");
    api.announced(&[port]).await;
    assert_eq!(api.get("x").await["status"], "UP");

    drop(listener);
    api.announced(&[]).await;
    assert_eq!(api.get("x").await["status"], "DOWN");

    let _listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .expect("the port is free again");
    api.announced(&[port]).await;
    assert_eq!(
        api.ask("DELETE", &format!("{PATH}/x"), "").await,
        (204, String::new())
    );
    assert!(
        api.offers.borrow().is_empty(),
        "it is withdrawn before the answer is sent"
    );
}

#[tokio::test]
async fn a_given_port_and_weight_are_kept() {
    let api = Api::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let mut body = registration("x");
    body["exposedPort"] = port.into();
    body["weight"] = 15.into();
    body["ipType"] = "v4".into();
    assert_eq!(api.post(body).await.0, 204);
    let view = api.get("x").await;
    assert_eq!(
        (&view["exposedPort"], &view["weight"]),
        (&json!(port), &json!(15))
    );
}

#[tokio::test]
async fn all_registrations_are_listed_in_order() {
    let api = Api::open().await;
    assert_eq!(api.ask("GET", PATH, "").await, (200, "[]".to_owned()));
    for name in ["z", "a"] {
        assert_eq!(api.post(registration(name)).await.0, 204);
    }
    let (_, body) = api.ask("GET", PATH, "").await;
    let all: Vec<Value> = serde_json::from_str(&body).expect("JSON");
    let names: Vec<_> = all.iter().map(|v| v["name"].clone()).collect();
    assert_eq!(names, ["z", "a"]);
    assert_ne!(port(&all[0]), port(&all[1]));
}

#[tokio::test]
async fn reading_a_missing_registration_is_answered_with_404() {
    let api = Api::open().await;
    let not_found = r#"{"code":404,"message":"Cannot find smart-node-delegate with name nope."}"#;
    assert_eq!(
        api.ask("GET", &format!("{PATH}/nope"), "").await,
        (404, not_found.to_owned())
    );
    let (status, body) = api.ask("DELETE", &format!("{PATH}/nope"), "").await;
    assert_eq!(
        (status, body.as_str()),
        (400, r#"{"code":400,"message":"the resource could not be found"}"#)
    );
    assert_eq!(
        api.ask("GET", "/nope", "").await,
        (404, "Cannot GET /nope\r\n".to_owned())
    );
}

#[tokio::test]
async fn a_name_is_registered_once_and_so_is_an_instance_that_is_up() {
    let mut api = Api::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let mut body = registration("x");
    body["exposedPort"] = port.into();
    assert_eq!(api.post(body.clone()).await.0, 204);
    api.announced(&[port]).await;
    let exists = (
        400,
        r#"{"code":400,"message":"the resource already exists"}"#.to_owned(),
    );
    assert_eq!(api.post(registration("x")).await, exists);
    body["name"] = "y".into();
    let (status, message) = api.post(body).await;
    assert_eq!(status, 400);
    assert!(
        message.contains("smart-node-delegate x offers the same"),
        "{message}"
    );
}

/// As the original: only a service that is up is known to exist twice.
#[tokio::test]
async fn an_instance_that_is_down_may_be_registered_again() {
    let mut api = Api::open().await;
    let held = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = held.local_addr().expect("an address");
    drop(held);
    for name in ["x", "y"] {
        let mut body = registration(name);
        body["exposedPort"] = address.port().into();
        body["weight"] = if name == "x" { 5 } else { 7 }.into();
        assert_eq!(api.post(body).await, (204, String::new()), "{name}");
    }
    let _listener = TcpListener::bind(address).await.expect("the port is still free");
    api.announced(&[address.port()]).await;
    assert_eq!(api.ask("DELETE", &format!("{PATH}/x"), "").await.0, 204);
    // Listed once, and kept for the other.
    api.announced(&[address.port()]).await;
    let other = |offers: &Vec<Offer>| offers.len() == 1 && offers[0].instance.weight == 7;
    let waited = tokio::time::timeout(Duration::from_secs(10), api.offers.wait_for(other)).await;
    assert!(
        waited.map(|_| ()).is_ok(),
        "the other registration's offer is missing"
    );
    assert_eq!(api.ask("DELETE", &format!("{PATH}/y"), "").await.0, 204);
    assert!(api.offers.borrow().is_empty(), "both are withdrawn");
}

#[tokio::test]
async fn port_zero_and_any_weight_of_the_original_are_accepted() {
    let api = Api::open().await;
    let mut body = registration("x");
    body["exposedPort"] = 0.into();
    body["weight"] = 100_000.into();
    assert_eq!(api.post(body).await, (204, String::new()));
    let view = api.get("x").await;
    assert!((10_000..30_000).contains(&port(&view)), "{view}");
    assert_eq!(view["weight"], 100_000);
}

#[tokio::test]
async fn an_error_names_the_field() {
    let api = Api::open().await;
    let change = |key: &str, value: Value| {
        let mut body = registration("x");
        body[key] = value;
        body
    };
    for (body, expected) in [
        (
            json!({"name": "x", "service": "s", "nic": "lo"}),
            "zone is required by this api",
        ),
        (
            json!({"service": "s", "zone": "z", "nic": "lo"}),
            "name is required by this api",
        ),
        (change("bogus", 1.into()), "input bogus is not recognized"),
        (
            change("exposedPort", 65536.into()),
            "exposedPort 65536 is not valid; expected a port from 0 to 65535",
        ),
        (change("exposedPort", "80".into()), "exposedPort must be a number"),
        (change("weight", json!(-1)), "weight -1 is not valid"),
        (
            change("ipType", "v5".into()),
            "ipType v5 is not valid; expected v4 or v6",
        ),
        (
            change("name", "a b".into()),
            "name a b is not valid; expected a name of 1 to 255 bytes",
        ),
        (
            change("nic", "nope0".into()),
            "nic nope0: there is no network interface nope0; there are: ",
        ),
        (json!([]), "this api only accepts json object"),
    ] {
        let (status, message) = api.post(body.clone()).await;
        assert_eq!(status, 400, "{body}: {message}");
        assert!(message.contains(expected), "{body}: {message}");
    }
    let (status, message) = api.ask("POST", PATH, "{oops").await;
    assert_eq!(status, 400);
    assert!(
        message.starts_with(
            r#"{"status":400,"reason":"Bad Request","message":"request body is not valid json: "#
        )
    );
    let (status, message) = api.ask("POST", PATH, &"x".repeat(100_000)).await;
    assert_eq!(
        (status, message.contains("larger than 65536 bytes")),
        (413, true),
        "{message}"
    );
    assert_eq!(api.ask("GET", PATH, "").await.1, "[]", "nothing was registered");
}

#[tokio::test]
async fn an_interface_with_a_configured_address_is_not_looked_up() {
    let (_instances, learned) = watch::channel(Arc::new(Instances::default()));
    let pinned = Pinned {
        nic: "eth7".to_owned(),
        address: [127, 1, 2, 3].into(),
    };
    let controller =
        Controller::new(Offers::new(), Some(learned)).with_addresses(Addresses::unwatched(Some(pinned)));
    let command = "add smart-node-delegate x service s zone z nic eth7"
        .parse()
        .expect("a command");
    controller
        .execute(command)
        .await
        .expect("eth7 has the given address");
    let registration = &controller.registrations()[0];
    assert_eq!(registration.address.ip().to_string(), "127.1.2.3");
}
