//! A node whose own interface is down says nothing about its peers.

use std::time::Duration;

use crate::namespace::{Neighbour, entered, run};
use crate::support::{Sidecar, eventually};

fn settings(nic: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        format!("discovery.nic = {nic}\ndiscovery.node_name = {nic}\n"),
    )
    .unwrap();
    file
}

fn config(settings: &tempfile::NamedTempFile) -> String {
    format!("--discovery-config '{}'", settings.path().display())
}

#[tokio::test]
async fn peers_stay_while_the_own_interface_is_down() {
    if !entered("discovery::peers_stay_while_the_own_interface_is_down") {
        return;
    }
    let neighbour = Neighbour::connect();
    let (near, far) = (settings("near"), settings("far"));
    let node = Sidecar::start("exec", "", &config(&near)).await;
    let peer = Sidecar::start(&neighbour.launch(), "", &config(&far)).await;
    both_up(&node).await;

    run("ip link set near down");
    // The peer, whose own interface is up, hears nothing any more; this node cannot send.
    peer.logged("discovery: lost").await;
    for _ in 0..100 {
        let up = node.metric(UP).await;
        assert_eq!(up, 2, "{}", node.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run("ip link set near up");
    eventually(async || {
        let log = peer.log();
        let met = log.matches("discovery: up").count();
        (met < 2).then(|| format!("the peer has met this node {met} times, not twice; its log:\n{log}"))
    })
    .await;
    assert!(!node.log().contains("lost"), "{}", node.log());

    // Really gone, it is lost as soon as before.
    drop(peer);
    node.logged("discovery: lost").await;
}

const UP: &str = "sidecar_mesh_nodes{state=\"up\"}";

async fn both_up(node: &Sidecar) {
    eventually(async || {
        let up = node.metric(UP).await;
        (up < 2).then(|| format!("{up} nodes are up; the log:\n{}", node.log()))
    })
    .await;
}
