//! Bounds on what a peer may send: decoding ends at the first violation, and what is kept is bounded.

use sidecar::mesh::wire::{
    Answer, Dropped, ExchangeKind, MAX_HASH, MAX_NODES, MAX_SERVICES, Meta, Request, services_hash,
};

/// The error for a body with an early violation. The body is not read to its end, which is not JSON.
fn refused_early(kind: ExchangeKind, start: &str) -> String {
    let body = format!("{start} this is no JSON");
    let refused = Request::parse(kind, body.as_bytes(), &mut Dropped::default()).expect_err("refused");
    let answered = Answer::parse(kind, body.as_bytes(), &mut Dropped::default()).err();
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

/// An instance as JSON, with one of its values replaced.
fn instance(key: &str, value: &str) -> String {
    let mut keys = serde_json::json!({
        "service": "s", "zone": "z", "address": "10.0.0.1", "port": 1, "meta": {}
    });
    keys[key] = serde_json::from_str(value).unwrap();
    keys.to_string()
}

const NODE: &str = r#"{"nodeName":"n","address":"10.0.0.1","udpPort":1,"tcpPort":1}"#;

#[test]
fn an_unusable_instance_is_left_out_and_the_others_are_kept() {
    let long = format!("\"{}\"", "x".repeat(300));
    let meta = format!("{{\"x\":{long}}}").replace(&long, &format!("\"{}\"", "x".repeat(5000)));
    for (key, value, why) in [
        (
            "service",
            r#""a,b""#,
            r#"khalaNode: service: expected no commas, found "a,b""#,
        ),
        (
            "service",
            &long,
            "khalaNode: service: expected at most 255 bytes, found 300: \"xxx",
        ),
        (
            "zone",
            r#""a,b""#,
            r#"khalaNode: zone: expected no commas, found "a,b", of "s""#,
        ),
        (
            "zone",
            r#""\u0007""#,
            r#"khalaNode: zone: expected no control or invisible characters, found "\u{7}""#,
        ),
        (
            "service",
            r#""a\u202eb""#,
            r#"khalaNode: service: expected no control or invisible characters, found "a\u{202e}b""#,
        ),
        (
            "service",
            "\"a\u{200b}\"",
            r#"khalaNode: service: expected no control or invisible characters, found "a\u{200b}""#,
        ),
        (
            "address",
            r#""a.example""#,
            r#"khalaNode: address: expected an IP address, found "a.example""#,
        ),
        ("port", "0", "khalaNode: port: expected a port number 1..65535"),
        (
            "port",
            "65536",
            "khalaNode: port: expected a port number 1..65535",
        ),
        ("meta", &meta, "khalaNode: meta: expected at most 4096 bytes"),
    ] {
        let odd = instance(key, value);
        let good = instance("port", "2");
        let list = format!(r#"{{"node":{NODE},"khalaNodes":[{odd},{good},{odd}]}}"#);
        for (kind, body) in [
            (ExchangeKind::Local, list.clone()),
            (ExchangeKind::Sync, format!("[{list}]")),
        ] {
            let mut dropped = Dropped::default();
            let request = Request::parse(kind, body.as_bytes(), &mut dropped).unwrap();
            let lists = match request {
                Request::Local(list) => vec![list],
                Request::Sync(lists) => lists,
                other => panic!("{other:?}"),
            };
            let ports: Vec<u16> = lists[0].khala_nodes.iter().map(|node| node.port).collect();
            assert_eq!(ports, [2], "{key}: {value}");
            assert_eq!(dropped.count(), 2, "{key}: {value}");
            let first = dropped.first().unwrap();
            assert!(first.starts_with(why), "{first}");
            assert!(first.len() <= 300, "{} bytes", first.len());
        }
        let change = format!(r#"{{"node":{NODE},"khalaNode":{odd}}}"#);
        let refused = Request::parse(ExchangeKind::Add, change.as_bytes(), &mut Dropped::default());
        let refused = refused.expect_err("the only instance of the message").to_string();
        assert!(refused.starts_with(why), "{refused}");
    }
}

#[test]
fn an_unusable_node_is_left_out_and_the_others_are_kept() {
    for (key, odd) in [
        (
            "nodeName",
            r#"{"nodeName":"a,b","address":"10.0.0.2","udpPort":1,"tcpPort":1,"healthy":true}"#,
        ),
        (
            "address",
            r#"{"nodeName":"m","address":"here","udpPort":1,"tcpPort":1,"healthy":true}"#,
        ),
        (
            "udpPort",
            r#"{"nodeName":"m","address":"10.0.0.2","udpPort":0,"tcpPort":1,"healthy":true}"#,
        ),
    ] {
        let good = r#"{"nodeName":"n","address":"10.0.0.1","udpPort":1,"tcpPort":1,"healthy":true}"#;
        let mut dropped = Dropped::default();
        let body = format!("[{odd},{good}]");
        let nodes = Answer::parse(ExchangeKind::Nodes, body.as_bytes(), &mut dropped).unwrap();
        let Answer::Nodes(nodes) = nodes else {
            panic!("{nodes:?}")
        };
        assert_eq!(nodes.len(), 1);
        assert_eq!(nodes[0].node.name(), "n");
        assert_eq!(dropped.count(), 1);
        assert!(
            dropped.first().unwrap().starts_with(&format!("node: {key}: ")),
            "{dropped:?}"
        );

        // A list is only as usable as the node that it belongs to.
        let lists = format!(r#"[{{"node":{odd},"khalaNodes":[]}},{{"node":{NODE},"khalaNodes":[]}}]"#);
        let mut dropped = Dropped::default();
        let lists = Request::parse(ExchangeKind::Sync, lists.as_bytes(), &mut dropped).unwrap();
        let Request::Sync(lists) = lists else {
            panic!("{lists:?}")
        };
        assert_eq!((lists.len(), dropped.count()), (1, 1));
    }
}

#[test]
fn elements_beyond_the_limit_are_left_out() {
    let node = r#"{"nodeName":"n","address":"::","udpPort":1,"tcpPort":1,"healthy":true}"#;
    let nodes = vec![node; MAX_NODES + 2].join(",");
    let mut dropped = Dropped::default();
    let nodes = Request::parse(ExchangeKind::Nodes, format!("[{nodes}]").as_bytes(), &mut dropped);
    let Ok(Request::Nodes(nodes)) = nodes else {
        panic!("{nodes:?}")
    };
    assert_eq!((nodes.len(), dropped.count()), (MAX_NODES, 2));
    assert_eq!(
        dropped.first(),
        Some("body: expected at most 4096 elements, found more")
    );

    let instances: Vec<String> = (1..=MAX_SERVICES + 1)
        .map(|port| instance("port", &port.to_string()))
        .collect();
    let list = format!(r#"{{"node":{NODE},"khalaNodes":[{}]}}"#, instances.join(","));
    let mut dropped = Dropped::default();
    let list = Answer::parse(ExchangeKind::Local, list.as_bytes(), &mut dropped);
    let Ok(Answer::Local(list)) = list else {
        panic!("{list:?}")
    };
    assert_eq!((list.khala_nodes.len(), dropped.count()), (MAX_SERVICES, 1));
}

#[test]
fn the_meta_of_a_service_node_is_forwarded_unchanged() {
    let n = r#"{"nodeName":"n","address":"10.0.0.1","udpPort":1,"tcpPort":1}"#;
    let meta = r#"{"b":[1,{"weight":3}], "weight":1e1,"a":null}"#;
    let k = format!(r#"{{"service":"s","zone":"z","address":"10.0.0.1","port":1,"meta":{meta}}}"#);
    let body = format!(r#"{{"node":{n},"khalaNode":{k}}}"#);
    let change = Request::parse(ExchangeKind::Add, body.as_bytes(), &mut Dropped::default()).unwrap();
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
