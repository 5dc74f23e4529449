//! Datagrams and bodies: round trips, strictness, and no panic for any input.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sidecar::balance::service::MAX_WEIGHT;
use sidecar::mesh::wire::{
    Answer, Cookie, Datagram, DatagramKind, Dropped, ExchangeKind, MAX_META, Meta, Node, NodeChange,
    NodeServices, NodeState, Request, ServiceList, ServiceNode, membership_hash, services_hash,
};

fn text() -> impl Strategy<Value = String> {
    // All visible characters, including quotes and non-ASCII ones.
    "[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S} &&[^\\p{Default_Ignorable_Code_Point}\u{2800}]]{0,40}"
}

fn name() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace(',', ";"))
}

fn node() -> impl Strategy<Value = Node> {
    (name(), any::<IpAddr>(), 1..=u16::MAX, 1..=u16::MAX)
        .prop_map(|(name, address, udp, tcp)| Node::new(&name, address, udp, tcp).unwrap())
}

fn meta_of(keys: Map<String, Value>) -> Meta {
    Meta::parse(&Value::Object(keys).to_string()).unwrap()
}

fn meta() -> impl Strategy<Value = Meta> {
    let value = prop_oneof![
        any::<i64>().prop_map(|n| json!(n)),
        text().prop_map(|s| json!(s)),
        Just(json!({"x": [1]}))
    ];
    let pair = (prop_oneof![Just("weight".to_owned()), text()], value);
    vec(pair, 0..4).prop_map(|pairs| meta_of(pairs.into_iter().collect()))
}

fn service() -> impl Strategy<Value = ServiceNode> {
    (name(), name(), any::<IpAddr>(), 1..=u16::MAX, meta()).prop_map(
        |(service, zone, address, port, meta)| ServiceNode {
            service,
            zone,
            address: address.to_string(),
            port,
            meta,
        },
    )
}

fn services() -> impl Strategy<Value = NodeServices> {
    (node(), vec(service(), 0..6)).prop_map(|(node, list)| NodeServices {
        node,
        khala_nodes: list.into_iter().collect(),
    })
}

fn states() -> impl Strategy<Value = Vec<NodeState>> {
    vec(
        (node(), any::<bool>()).prop_map(|(node, healthy)| NodeState { node, healthy }),
        0..6,
    )
}

fn request() -> impl Strategy<Value = Request> {
    let change = || (node(), service()).prop_map(|(node, khala_node)| NodeChange { node, khala_node });
    prop_oneof![
        states().prop_map(Request::Nodes),
        services().prop_map(Request::Local),
        change().prop_map(Request::Add),
        change().prop_map(Request::Remove),
        text().prop_map(|hash| Request::Hash(hash.into())),
        vec(services(), 0..4).prop_map(Request::Sync),
    ]
}

fn answer() -> impl Strategy<Value = (ExchangeKind, Answer)> {
    prop_oneof![
        states().prop_map(|nodes| (ExchangeKind::Nodes, Answer::Nodes(nodes))),
        services().prop_map(|list| (ExchangeKind::Local, Answer::Local(list))),
        text().prop_map(|hash| (ExchangeKind::Hash, Answer::Hash(hash.into()))),
        vec(node(), 0..6).prop_map(|nodes| (ExchangeKind::Sync, Answer::Diff(nodes))),
        Just((ExchangeKind::Add, Answer::Done)),
    ]
}

fn datagram() -> impl Strategy<Value = Datagram> {
    let cookie = (any::<u32>(), any::<u32>()).prop_map(|(own, returned)| Cookie { own, returned });
    let cookie = proptest::option::of(cookie);
    (0..3_usize, name(), 1..=u16::MAX, 1..=u16::MAX, text(), cookie).prop_map(
        |(kind, name, udp_port, tcp_port, hash, cookie)| Datagram {
            kind: DatagramKind::ALL[kind],
            node_name: name.into(),
            udp_port,
            tcp_port,
            hash: hash.into(),
            cookie,
        },
    )
}

proptest! {
    #[test]
    fn datagrams_round_trip(datagram in datagram()) {
        prop_assert_eq!(Datagram::parse(&datagram.encode()), Ok(datagram));
    }

    #[test]
    fn a_datagram_with_missing_or_extra_bytes_is_rejected(datagram in datagram(), more in vec(any::<u8>(), 1..4)) {
        let mut bytes = datagram.encode();
        prop_assert!(Datagram::parse(&bytes[..bytes.len() - 1]).is_err());
        bytes.extend(more);
        prop_assert!(Datagram::parse(&bytes).is_err());
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Datagram::parse(&bytes);
        for kind in ExchangeKind::ALL {
            let _ = Request::parse(kind, &bytes, &mut Dropped::default());
            let _ = Answer::parse(kind, &bytes, &mut Dropped::default());
        }
    }

    #[test]
    fn no_damage_makes_a_parser_panic(request in request(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut body = request.body();
        if let Some(slot) = at.index(body.len().max(1)).checked_sub(0).and_then(|i| body.get_mut(i)) {
            *slot = byte;
        }
        for kind in ExchangeKind::ALL {
            let _ = Request::parse(kind, &body, &mut Dropped::default());
            let _ = Answer::parse(kind, &body, &mut Dropped::default());
        }
    }

    #[test]
    fn requests_round_trip(request in request()) {
        prop_assert_eq!(Request::parse(request.kind(), &request.body(), &mut Dropped::default()), Ok(request));
    }

    #[test]
    fn answers_round_trip((kind, answer) in answer()) {
        prop_assert_eq!(Answer::parse(kind, &answer.body().unwrap_or_default(), &mut Dropped::default()), Ok(answer));
    }

    #[test]
    fn lists_are_sorted_without_duplicates(nodes in vec(service(), 0..20)) {
        let list: ServiceList = nodes.iter().chain(&nodes).cloned().collect();
        let keys: Vec<_> = list.iter().map(ServiceNode::key).collect();
        prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        for node in &nodes {
            prop_assert!(keys.contains(&node.key()));
            prop_assert!(!list.without(node).iter().any(|other| other.key() == node.key()));
            let with = list.with(node.clone());
            prop_assert!(with.iter().any(|other| other == node));
        }
    }

    #[test]
    fn weights_are_read_from_meta(weight in any::<i64>()) {
        let node = weighing(json!(weight));
        prop_assert_eq!(i64::from(node.weight()), weight.clamp(0, i64::from(MAX_WEIGHT)));
    }
}

fn weighing(weight: Value) -> ServiceNode {
    let meta = match weight {
        Value::Null => Map::new(),
        weight => [("weight".to_owned(), weight)].into_iter().collect(),
    };
    let text = |s: &str| s.to_owned();
    ServiceNode {
        service: text("s"),
        zone: text("z"),
        address: text("10.0.0.1"),
        port: 1,
        meta: meta_of(meta),
    }
}

#[test]
fn a_missing_weight_is_ten_and_an_absurd_one_is_bounded() {
    assert_eq!(weighing(Value::Null).weight(), 10);
    assert_eq!(weighing(json!("much")).weight(), 10);
    assert_eq!(weighing(json!(1e300)).weight(), MAX_WEIGHT);
    assert_eq!(weighing(json!(-0.5)).weight(), 0);
    assert_eq!(weighing(json!(u64::MAX)).weight(), MAX_WEIGHT);
}

#[test]
fn the_hash_of_a_single_node_is_the_protocol_s_example() {
    let node = Node::new("937ba18b49c8", "172.18.0.2".parse().unwrap(), 31000, 31000).unwrap();
    assert_eq!(
        membership_hash([&node]),
        "+/9y9/6VOlIDu9hJUoAtoP941APR6nAnzX4QxHFVNKYjVM84qhHsAesXpJo7RFJBXiZTq2Oncku/uWgDjtGm8Q=="
    );
    assert_eq!(services_hash(["a,", "b,"]), "YSxiLA==");
}

#[test]
fn nodes_are_ordered_by_address_as_text_then_ports_then_name() {
    let node = |name, address: &str, udp, tcp| Node::new(name, address.parse().unwrap(), udp, tcp).unwrap();
    let sorted = [
        node("z", "172.18.0.10", 9, 9),
        node("z", "172.18.0.2", 1, 2),
        node("a", "172.18.0.2", 2, 1),
        node("b", "172.18.0.2", 2, 1),
        node("a", "172.18.0.2", 2, 2),
    ];
    assert!(sorted.is_sorted(), "{sorted:?}");
}

fn wrapped(content: &str) -> Vec<u8> {
    format!("${}\r\n{content}\r\n", content.len()).into_bytes()
}

#[test]
fn datagrams_that_break_the_protocol_are_refused() {
    let good = r#"{"version":1,"type":"search","nodeName":"n","udpPort":1,"tcpPort":65535,"hash":"h"}"#;
    assert!(Datagram::parse(&wrapped(good)).is_ok());
    for (found, instead) in [
        ("\"version\":1", "\"version\":2"),
        ("\"version\":1", "\"version\":\"1\""),
        ("search", "find"),
        ("\"udpPort\":1", "\"udpPort\":0"),
        ("65535", "65536"),
        ("65535", "\"1\""),
        ("65535", "1.5"),
        ("\"nodeName\":\"n\",", ""),
        ("\"n\"", "null"),
        ("\"n\"", "\"a\\u0000b\""),
        ("\"n\"", "\"a,b\""),
        ("\"hash\":\"h\"", "\"hash\":1"),
    ] {
        let bad = good.replacen(found, instead, 1);
        assert_ne!(bad, good);
        let refused = Datagram::parse(&wrapped(&bad));
        assert!(refused.is_err(), "{bad}");
    }
    assert!(
        Datagram::parse(&wrapped(r#"[1,"search","n",1,1,"h"]"#)).is_err(),
        "an array is not an object"
    );
    assert!(
        Datagram::parse(&wrapped(
            &good.replace("\"n\"", &format!("\"{}\"", "n".repeat(256)))
        ))
        .is_err()
    );
    assert!(Datagram::parse(format!("$+{}\r\n{good}\r\n", good.len()).as_bytes()).is_err());
}

#[test]
fn bodies_that_break_the_protocol_are_refused_with_the_key_named() {
    let n = r#"{"nodeName":"n","address":"10.0.0.1","udpPort":1,"tcpPort":1}"#;
    let k = r#"{"service":"s","zone":"z","address":"10.0.0.1","port":1,"meta":{}}"#;
    let change = format!(r#"{{"node":{n},"khalaNode":{k}}}"#);
    assert!(Request::parse(ExchangeKind::Add, change.as_bytes(), &mut Dropped::default()).is_ok());
    for (kind, body, named) in [
        (ExchangeKind::Nodes, "{}".to_owned(), "array"),
        (ExchangeKind::Nodes, format!("[{n}]"), "healthy"),
        (
            ExchangeKind::Nodes,
            r#"[["n","10.0.0.1",1,1,true]]"#.to_owned(),
            "object",
        ),
        (ExchangeKind::Local, format!(r#"{{"node":{n}}}"#), "khalaNodes"),
        (
            ExchangeKind::Add,
            change.replacen("10.0.0.1", "here", 1),
            "address",
        ),
        (
            ExchangeKind::Add,
            change.replace("\"port\":1", "\"port\":0"),
            "port",
        ),
        (
            ExchangeKind::Add,
            change.replace("\"meta\":{}", "\"meta\":[]"),
            "meta",
        ),
        (
            ExchangeKind::Add,
            change.replace(
                "\"meta\":{}",
                &format!("\"meta\":{{\"x\":\"{}\"}}", "x".repeat(MAX_META)),
            ),
            "meta",
        ),
        (ExchangeKind::Hash, r#"{"hash":null}"#.to_owned(), "hash"),
        (ExchangeKind::Sync, change.clone(), "array"),
        (ExchangeKind::Local, "[".repeat(100_000), "object"),
        (
            ExchangeKind::Local,
            format!(r#"{{"x":{}"#, "[".repeat(100_000)),
            "JSON",
        ),
        (
            ExchangeKind::Hash,
            r#"{"hash":1}"#.to_owned(),
            "body: hash: expected a string, found a number",
        ),
        (
            ExchangeKind::Add,
            change.replace("\"tcpPort\":1", "\"tcpPort\":65536"),
            "node: tcpPort: expected a port number 1..65535, found a number that does not fit",
        ),
        (
            ExchangeKind::Add,
            change.replace("\"n\"", "\"n,10.0.0.2\""),
            "node: nodeName: expected no commas",
        ),
        (
            ExchangeKind::Add,
            change.replace("\"s\"", "\"s,z\""),
            "khalaNode: service: expected no commas",
        ),
        (
            ExchangeKind::Add,
            change.replace("\"z\"", "\"z\\u0007\""),
            "khalaNode: zone: expected no control",
        ),
    ] {
        let refused = Request::parse(kind, body.as_bytes(), &mut Dropped::default())
            .expect_err("refused")
            .to_string();
        assert!(refused.contains(named), "{refused}");
    }
}
