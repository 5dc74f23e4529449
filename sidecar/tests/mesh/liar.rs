//! A member that lies about instances: at addresses that are not its own, about other nodes' instances, with weights that
//! nobody may have.

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::loopback::{Started, Subnet, eventually_in, offer};
use crate::common::original::Original;
use sidecar::balance::service::{Instance, Instances, MAX_WEIGHT, ServiceId};
use sidecar::mesh::directory::acceptance::Exclusion;

const LIAR: u32 = 9;

async fn liar(subnet: &Subnet) -> Original {
    Original::start(subnet, LIAR, Duration::from_millis(50)).await
}

fn of(instances: &Instances, service: &str) -> Vec<Instance> {
    let id = ServiceId {
        service: format!("my-service-{service}"),
        zone: "example".to_owned(),
    };
    instances.offered.get(&id).cloned().unwrap_or_default()
}

/// Waits until the liar's list has come with its weights. It ends with an instance of `z` at its own address.
async fn heard(subnet: &Subnet, node: &Started, liar: &Original) {
    let has_weight = |instances: &Instances, weight| of(instances, "z").iter().any(|z| z.weight == weight);
    liar.offer_at("z", &subnet.address(LIAR).to_string(), 1, r#"{"weight":7}"#);
    liar.search(node.mesh.node().datagram_address()).await;
    // Until it records the node its list is read without weights.
    eventually_in(&mut node.mesh.instances(), "the liar's services", |instances| {
        has_weight(instances, 10)
    })
    .await;
    liar.call_up(&node.mesh.node()).await;
    eventually_in(&mut node.mesh.instances(), "the liar's list", |instances| {
        has_weight(instances, 7)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_at_an_address_that_no_stranger_may_name_does_not_count() {
    let subnet = Subnet::new();
    let victim = subnet.start(1, vec![]).await;
    let own = victim.mesh.node();
    let liar = liar(&subnet).await;
    let mapped = |address: &str| format!("::ffff:{address}");
    let forbidden = [
        ("127.0.0.1".to_owned(), 18080),
        ("0.0.0.0".to_owned(), 18080),
        ("::1".to_owned(), 18080),
        ("::".to_owned(), 18080),
        (mapped("127.0.0.1"), 18080),
        (mapped("0.0.0.0"), 18080),
        ("169.254.169.254".to_owned(), 80),
        (mapped("169.254.169.254"), 80),
        ("255.255.255.255".to_owned(), 80),
        ("224.0.0.1".to_owned(), 80),
        ("203.0.113.7".to_owned(), 80),
        (own.address().to_string(), own.tcp_port()),
        (mapped(&own.address().to_string()), own.tcp_port()),
    ];
    for (address, port) in &forbidden {
        liar.offer_at("a", address, *port, r#"{"weight":65535}"#);
    }
    liar.offer("a", 7);
    heard(&subnet, &victim, &liar).await;
    let at_liar = Instance {
        address: SocketAddr::new(subnet.address(LIAR), 7),
        weight: 10,
        at_node: true,
    };
    let instances = victim.mesh.instances().borrow().clone();
    assert_eq!(of(&instances, "a"), [at_liar]);
    let view = victim.mesh.view().borrow().clone();
    assert_eq!(view.services[0].instances.len(), 1, "{view:?}");
    let counters = victim.mesh.counters();
    let excluded: u64 = Exclusion::ALL.map(|why| counters.excluded(why)).iter().sum();
    assert_eq!(usize::try_from(excluded).unwrap(), forbidden.len());
    for why in [
        Exclusion::Loopback,
        Exclusion::Unspecified,
        Exclusion::LinkLocal,
        Exclusion::Elsewhere,
    ] {
        assert!(counters.excluded(why) > 0, "{}", why.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_silences_another_node_s_instance() {
    let subnet = Subnet::new();
    let (at_honest, at_liar) = (subnet.address(2), subnet.address(LIAR));
    let victim = subnet.start(1, vec![]).await;
    let liar = liar(&subnet).await;
    // Before the node itself is known, so that the lie comes first.
    liar.offer_at("a", &at_honest.to_string(), 8000, r#"{"weight":0}"#);
    liar.offer_at("a", &at_liar.to_string(), 8001, r#"{"weight":1}"#);
    heard(&subnet, &victim, &liar).await;
    let _honest = subnet.start(2, vec![offer("a", at_honest, 8000, 10)]).await;
    let instance = |ip, port, weight| Instance {
        address: SocketAddr::new(ip, port),
        weight,
        at_node: true,
    };
    let expected = [instance(at_honest, 8000, 10), instance(at_liar, 8001, 1)];
    eventually_in(
        &mut victim.mesh.instances(),
        "both, as each says itself",
        |instances| of(instances, "a") == expected,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_weight_is_cut_to_what_a_command_allows() {
    let subnet = Subnet::new();
    let victim = subnet.start(1, vec![]).await;
    let liar = liar(&subnet).await;
    for (port, weight) in [
        (1, "4294967296"),
        (2, "1e300"),
        (3, "2147483648"),
        (4, "2147483647"),
        (5, "-1"),
    ] {
        let address = subnet.address(LIAR).to_string();
        liar.offer_at("a", &address, port, &format!(r#"{{"weight":{weight}}}"#));
    }
    heard(&subnet, &victim, &liar).await;
    let instances = victim.mesh.instances().borrow().clone();
    let weights: Vec<u32> = of(&instances, "a")
        .iter()
        .map(|instance| instance.weight)
        .collect();
    assert_eq!(weights, [MAX_WEIGHT, MAX_WEIGHT, MAX_WEIGHT, MAX_WEIGHT, 0]);
    assert_eq!(victim.mesh.counters().cut_weights(), 3);
}
