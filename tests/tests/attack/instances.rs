//! A member offers instances that are not its own: at loopback and other addresses that mean the sidecar itself, at
//! another member's, or with a weight that nobody may have.

use std::time::Duration;

use serde_json::Value;

use crate::liar::{Liar, Script};
use crate::mesh::Mesh;
use crate::namespace::{Network, isolated};
use crate::traffic::Traffic;
use crate::trap::Trap;
use crate::wire::instance;

/// The port of the traps.
const TRAP: u16 = 6379;
/// The largest weight that a command can give.
const HEAVIEST: u64 = 2_147_483_647;
/// Requests in which a lie must have had an effect, if it has one.
const REQUESTS: u64 = 500;

/// A liar with these instances, and one of a service of its own, which all members have heard of.
async fn liar(mesh: &Mesh, mut lies: Vec<Value>) -> Liar {
    let own = mesh.attacker.address.to_string();
    lies.push(instance("liar", &own, 4000, 10));
    let script = Script {
        instances: lies,
        nodes: Vec::new(),
    };
    let liar = Liar::join(&mesh.attacker, mesh.addresses(), script);
    mesh.all_know("liar").await;
    liar
}

#[test]
fn an_instance_at_an_address_of_the_sidecar_itself_gets_no_connection() {
    isolated(
        "instances::an_instance_at_an_address_of_the_sidecar_itself_gets_no_connection",
        own_addresses,
    );
}

async fn own_addresses(network: Network) {
    let mesh = Mesh::start(network).await;
    let traps = mesh.members().map(|member| mesh.trap_at(member, TRAP));
    let cloud = Trap::at(&mesh.bystander, &[(crate::namespace::METADATA, TRAP).into()]);
    let addresses = [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "169.254.169.254",
    ];
    let each = |port| addresses.map(|it| instance("a", it, port, 65_535));
    // The trap, the controller, and listeners that only some of the members have.
    let lies = [TRAP, 18080, 9090, 1080, 8081].map(each).concat();
    let mut lies = [lies, addresses.map(|it| instance("b", it, TRAP, 10)).to_vec()].concat();
    lies.extend(
        mesh.addresses()
            .iter()
            .map(|it| instance("a", &it.to_string(), TRAP, 65_535)),
    );
    let traffic = Traffic::start(&mesh);
    let _liar = liar(&mesh, lies).await;
    let outcome = traffic.observe(REQUESTS, Duration::from_secs(3)).await;
    let reached: Vec<_> = traps.iter().map(|it| (it.connections(), it.requests())).collect();
    println!("connections and requests at each member's own port: {reached:?}");
    outcome.assert_failed_at_most(0.0, "instances at addresses of the sidecar itself");
    assert_eq!(reached, [(0, 0); 5], "connections and requests");
    assert_eq!(
        cloud.connections(),
        0,
        "connections to {}",
        crate::namespace::METADATA
    );
}

#[test]
fn the_weight_of_anothers_instance_is_not_a_members_to_say() {
    isolated(
        "instances::the_weight_of_anothers_instance_is_not_a_members_to_say",
        weights,
    );
}

async fn weights(network: Network) {
    let mesh = Mesh::start(network).await;
    let mut lies = Vec::new();
    for service in ["a", "b"] {
        for known in mesh.lb.instances(service).await {
            let (address, port) = known.rsplit_once(':').unwrap();
            lies.push(instance(service, address, port.parse().unwrap(), 0));
        }
    }
    let own = mesh.attacker.address.to_string();
    lies.push(instance("heavy", &own, 4001, 1 << 40));
    let traffic = Traffic::start(&mesh);
    let _liar = liar(&mesh, lies).await;
    let outcome = traffic.observe(REQUESTS, Duration::from_secs(2)).await;
    outcome.assert_failed_at_most(0.0, "others' instances at weight 0");
    for member in mesh.members() {
        let view = member.view().await;
        let services = view["services"].as_array().unwrap().iter();
        let instances = services.flat_map(|it| it["instances"].as_array().unwrap());
        let weights: Vec<u64> = instances.map(|it| it["weight"].as_u64().unwrap()).collect();
        assert!(
            weights.iter().all(|it| *it <= HEAVIEST),
            "{}: {weights:?}",
            member.host.name
        );
    }
}
