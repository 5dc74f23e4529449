//! The requests recorded from the original, and its answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sidecar::balance::service::{Instance, Instances, ServiceId};

use super::addresses::Mapped;
use super::support::Api;

const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The configuration of the recorded sidecar.
const START: &str = "
    add server-groups sgs0
    add server-group a.my.service.com:80 timeout 500 period 1000 up 2 down 3
    add server-group b.my.service.com:80 timeout 500 period 1000 up 2 down 3
    add server-group a.my.service.com:80 to server-groups sgs0
    add server-group b.my.service.com:80 to server-groups sgs0
    add socks5-server sidecar address 127.0.0.1:0 server-groups sgs0
    add smart-group-delegate delegate-a service my-service-a zone example server-group a.my.service.com:80
    add smart-group-delegate delegate-b service my-service-b zone example server-group b.my.service.com:80
";

/// The mesh's instances in the recording, with their weights.
const MESH: [(&str, &str, u32); 3] = [
    ("my-service-a", "172.18.0.2:21766", 10),
    ("my-service-a", "172.18.0.3:20381", 15),
    ("my-service-b", "172.18.0.4:19086", 10),
];

/// Parts of our messages for the invalid requests that the original answers with 500, in order.
const NAMED: [&str; 5] = [
    "method nope",
    "timeout -5",
    "address nonsense",
    "address ",
    "server-groups sgs1 is used by tcp-lb lb1",
];

async fn mapped(api: &Api) -> Mapped {
    let mut mapped = Mapped::default();
    let mut instances = Instances::default();
    for (service, recorded, weight) in MESH {
        let ip = recorded
            .split(':')
            .next()
            .expect("an IP address")
            .replace("172.", "127.");
        let address = mapped.serve(recorded, &ip).await;
        let id = ServiceId {
            service: service.to_owned(),
            zone: "example".to_owned(),
        };
        instances.offered.entry(id).or_default().push(Instance {
            address,
            weight,
            at_node: true,
        });
    }
    api.instances.send_replace(Arc::new(instances));
    mapped.serve("127.0.0.1:8080", "127.0.0.1").await;
    mapped.hold("127.0.0.1:19001");
    mapped.hold("127.0.0.1:19002");
    mapped.map("127.0.0.1:1080", api.controller.listeners()[0].address);
    // Replaced after the complete addresses that begin with this prefix.
    mapped.pairs.push(("172.18.".to_owned(), "127.18.".to_owned()));
    mapped
}

#[tokio::test]
async fn every_recorded_request_is_answered_as_by_the_original() {
    let recorded: Vec<Value> =
        serde_json::from_str(include_str!("../../vectors/control-http.json")).expect("JSON");
    let api = Api::open().await;
    api.run(START).await;
    let mapped = mapped(&api).await;
    let mut named = NAMED.iter();
    for vector in &recorded {
        let text = |key: &str| vector[key].as_str().map(str::to_owned);
        let method = text("method").expect("a method");
        let path = mapped.ours(&text("path").expect("a path"));
        let body = match &vector["body"] {
            Value::Null => String::new(),
            Value::String(raw) => raw.clone(),
            json => mapped.ours(&json.to_string()),
        };
        let request = format!("{method} {path} {body}");
        let expected = &vector["response"];
        let (status, answer) = if expected["note"].is_string() {
            let (status, answer) = api.ask(&method, &path, &body).await;
            let named = named.next().expect("a message for each note");
            assert!(
                answer.starts_with(r#"{"code":400,"message":""#),
                "{request}: {answer}"
            );
            assert!(answer.contains(named), "{request}: {named:?} is not in {answer}");
            assert_eq!(status, 400, "{request}");
            continue;
        } else if method == "GET" {
            let expected = expected_body(expected, &mapped);
            let deadline = Instant::now() + WAIT_TIMEOUT;
            loop {
                let (status, answer) = api.ask(&method, &path, &body).await;
                // Only health checks change answers over time.
                if alike(&answer, &expected) || !answer.contains("DOWN") || Instant::now() > deadline {
                    break (status, answer);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } else {
            api.ask(&method, &path, &body).await
        };
        let expected = expected_body(expected, &mapped);
        assert_eq!(
            Some(u64::from(status)),
            vector["status"].as_u64(),
            "{request}: {answer}"
        );
        assert!(
            alike(&answer, &expected),
            "{request}:\n{answer}\nis not\n{expected}"
        );
    }
    assert_eq!(named.next(), None, "every expected message was used");
    assert!(recorded.len() > 50, "the recording is complete");
}

fn expected_body(expected: &Value, mapped: &Mapped) -> String {
    mapped.ours(&match expected {
        Value::String(text) => text.clone(),
        json => json.to_string(),
    })
}

/// Whether both are the same text or the same JSON, except for the message of a JSON parser.
fn alike(answer: &str, expected: &str) -> bool {
    match (
        serde_json::from_str::<Value>(answer),
        serde_json::from_str::<Value>(expected),
    ) {
        (Ok(mut answer), Ok(mut expected)) => {
            for json in [&mut answer, &mut expected] {
                if let Some(Value::String(message)) = json.get_mut("message")
                    && let Some(at) = message.find("is not valid json: ")
                {
                    message.truncate(at);
                }
            }
            answer == expected
        }
        _ => answer == expected,
    }
}
