//! Bounds on what a peer may send: decoding ends at the first violation, and what is kept is bounded.

use sidecar::mesh::wire::{Answer, ExchangeKind, MAX_HASH, MAX_NODES, Meta, Request, services_hash};

/// The error for a body with an early violation. The body is not read to its end, which is not JSON.
fn refused_early(kind: ExchangeKind, start: &str) -> String {
    let body = format!("{start} this is no JSON");
    let refused = Request::parse(kind, body.as_bytes()).expect_err("refused");
    let answered = Answer::parse(kind, body.as_bytes()).err();
    assert!(answered.is_none_or(|answered| kind == ExchangeKind::Sync || answered == refused));
    refused.to_string()
}

#[test]
fn an_invalid_element_ends_decoding() {
    for (kind, start, why) in [
        (
            ExchangeKind::Nodes,
            "[0,",
            "node: expected an object, found a number",
        ),
        (
            ExchangeKind::Nodes,
            "[[",
            "node: expected an object, found an array",
        ),
        (
            ExchangeKind::Nodes,
            r#"[{"":0},"#,
            "node: nodeName: expected a string, found nothing",
        ),
        (
            ExchangeKind::Sync,
            "[{},",
            "body: node: expected an object, found nothing",
        ),
        (
            ExchangeKind::Local,
            "[",
            "body: expected an object, found an array",
        ),
        (
            ExchangeKind::Local,
            r#"{"khalaNodes":["",""#,
            "khalaNode: expected an object, found a string",
        ),
        (
            ExchangeKind::Hash,
            r#"{"hash":["#,
            "body: hash: expected a string, found an array",
        ),
    ] {
        assert_eq!(refused_early(kind, start), why);
    }
}

#[test]
fn one_element_too_many_ends_decoding() {
    let node = r#"{"nodeName":"n","address":"::","udpPort":1,"tcpPort":1,"healthy":true}"#;
    let nodes = vec![node; MAX_NODES].join(",");
    assert!(Request::parse(ExchangeKind::Nodes, format!("[{nodes}]").as_bytes()).is_ok());
    let start = format!("[{nodes},0,");
    assert_eq!(
        refused_early(ExchangeKind::Nodes, &start),
        "body: expected at most 4096 elements, found more"
    );
}

#[test]
fn the_meta_of_a_service_node_is_forwarded_unchanged() {
    let n = r#"{"nodeName":"n","address":"10.0.0.1","udpPort":1,"tcpPort":1}"#;
    let meta = r#"{"b":[1,{"weight":3}], "weight":1e1,"a":null}"#;
    let k = format!(r#"{{"service":"s","zone":"z","address":"10.0.0.1","port":1,"meta":{meta}}}"#);
    let body = format!(r#"{{"node":{n},"khalaNode":{k}}}"#);
    let change = Request::parse(ExchangeKind::Add, body.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(change.body()).unwrap(), body);
    let Request::Add(change) = change else {
        panic!("{change:?}")
    };
    assert_eq!(change.khala_node.weight(), 10);
    assert!(Meta::parse("[]").is_err());
    assert!(Meta::parse("{\"a\":}").is_err());
}

#[test]
fn the_hash_of_many_services_is_short_and_still_differs() {
    let much = "x,".repeat(MAX_HASH / 2);
    let hash = services_hash([much.as_str()]);
    assert!(hash.len() < 100, "{} bytes", hash.len());
    assert_eq!(hash, services_hash([much.as_str()]));
    assert_ne!(hash, services_hash([much.as_str(), "y,"]));
}
