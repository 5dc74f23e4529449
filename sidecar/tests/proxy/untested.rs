//! Addresses that no check has passed yet, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use sidecar::balance::{CheckConfig, LearnedServer, Method, ServerGroup, ServerGroups};
use sidecar::health;
use sidecar::own_listeners::OwnListeners;
use sidecar::proxy::Limits;
use tokio_util::sync::CancellationToken;

use super::support::{ask, config, eventually, instance, lb, silent};

/// An attempt that is not short outlasts the deadlines of these tests.
fn slow() -> CheckConfig {
    CheckConfig {
        timeout: Duration::from_secs(3600),
        ..config()
    }
}

fn server(name: &str, address: std::net::SocketAddr, weight: u32) -> LearnedServer {
    LearnedServer {
        name: name.to_owned(),
        address,
        weight,
        last_choice: None,
        at_node: true,
    }
}

fn set_of(group: &Arc<ServerGroup>) -> Arc<ServerGroups> {
    let groups = ServerGroups::new("backends");
    groups.attach(Arc::clone(group), 10).unwrap();
    groups
}

#[tokio::test]
async fn five_dead_addresses_with_the_highest_weight_get_no_client_of_a_proven_instance() {
    let (_held, dead) = silent().await;
    let group = ServerGroup::new("g", slow(), Method::Wrr);
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    health::spawn(Arc::clone(&group), OwnListeners::default(), stop);
    let proven = server("s", instance("s").await, 1);
    group.follow_mesh([proven.clone()].into_iter(), |_| false);
    eventually(|| (group.servers()[0].checks.passed == 0).then(|| "no check passed".to_owned())).await;
    let lb = lb(set_of(&group), Limits::default());
    for round in 0..10 {
        let dead = (0..5).map(|i| server(&format!("dead-{round}-{i}"), dead, 65_535));
        group.follow_mesh([proven.clone()].into_iter().chain(dead), |_| false);
        for _ in 0..10 {
            assert_eq!(ask(&lb).await, "s");
        }
    }
    assert_eq!(
        group
            .connects()
            .failed
            .iter()
            .map(|(_, count)| count)
            .sum::<u64>(),
        0
    );
}

#[tokio::test]
async fn dead_addresses_do_not_keep_the_first_client_from_the_one_that_answers() {
    let group = ServerGroup::new("g", slow(), Method::Wrr);
    let (mut held, mut servers) = (Vec::new(), Vec::new());
    for index in 0..5 {
        let (sockets, dead) = silent().await;
        held.push(sockets);
        servers.push(server(&format!("dead-{index}"), dead, 65_535));
    }
    servers.push(server("s", instance("s").await, 1));
    group.follow_mesh(servers.into_iter(), |_| false);
    let lb = lb(set_of(&group), Limits::default());
    assert_eq!(ask(&lb).await, "s");
}
