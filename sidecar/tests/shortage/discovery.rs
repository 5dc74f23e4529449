//! A node whose own interface is down says nothing about its peers.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::namespace::{entered, run};
use crate::support::{Sidecar, eventually};

/// Another network namespace, which ends with this process.
struct Neighbour(Child);

impl Neighbour {
    fn open() -> Self {
        let child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut neighbour = Self(child);
        // Its line shows that the namespace is there.
        let mut ready = [0];
        std::io::Read::read_exact(neighbour.0.stdout.as_mut().unwrap(), &mut ready).unwrap();
        neighbour
    }

    fn enter(&self) -> String {
        format!("nsenter --net=/proc/{}/ns/net", self.0.id())
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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
    let neighbour = Neighbour::open();
    let there = neighbour.enter();
    run("ip link add near type veth peer name far");
    run(&format!("ip link set far netns {}", neighbour.0.id()));
    run("ip addr add 10.77.0.1/24 dev near && ip link set near up");
    run(&format!(
        "{there} sh -c 'ip link set lo up && ip addr add 10.77.0.2/24 dev far && ip link set far up'"
    ));
    let (near, far) = (settings("near"), settings("far"));
    let node = Sidecar::start("exec", "", &config(&near)).await;
    let peer = Sidecar::start(&format!("exec {there}"), "", &config(&far)).await;
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
