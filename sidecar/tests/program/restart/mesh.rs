//! A restart of a member of a mesh: its peers do not notice.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::load::{Load, Service};
use super::{file, get, listener, name, restart, serves, watch, watched};
use crate::{Sidecar, address, eventually};

/// An address of a network that no other process of these tests uses.
pub(super) fn host(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits((127 << 24) | (1 << 23) | ((std::process::id() % 4096) << 8) | number)
}

pub(super) struct Member {
    pub(super) sidecar: Sidecar,
    pub(super) controller: SocketAddr,
    pub(super) status: SocketAddr,
}

/// A member of the mesh at this host, with these commands, and with more lines for its discovery.
pub(super) fn member(number: u32, commands: &str, more: &str) -> Member {
    let discovery = file(&format!(
        "discovery.nic = lo\ndiscovery.address = {}\ndiscovery.node_name = node-{number}\n\
         discovery.search.mask = 28\n{more}",
        host(number)
    ));
    let commands = file(commands);
    let (discovery_name, commands_name) = (name(&discovery), name(&commands));
    let mut sidecar = Sidecar::start(&[
        "--discovery-config",
        &discovery_name,
        "--load",
        &commands_name,
        "--http-controller",
        "127.0.0.1:0",
        "--status",
        "127.0.0.1:0",
        "--drain",
        "20",
    ]);
    let controller = address(&sidecar.logged("--http-controller"));
    let status = address(&sidecar.logged("--status"));
    sidecar.logged("ready");
    // It is read again at each restart.
    drop(discovery.keep());
    Member {
        sidecar,
        controller,
        status,
    }
}

/// Why a view of the mesh is not complete: three nodes that are up, and the service's instance.
pub(super) fn lacks(view: &str, instance: SocketAddr) -> Option<String> {
    let up = view.matches("\"health\":\"UP\"").count();
    let has_instance = view.contains(&format!("\"port\":{}", instance.port()));
    (up != 3 || view.contains("\"health\":\"DOWN\"") || !has_instance).then(|| view.to_owned())
}

/// Commands for a load balancer of the service that the mesh offers.
pub(super) const BALANCED: &str = "add server-groups s\n\
                                   add server-group g timeout 1000 period 100 up 1 down 3\n\
                                   add server-group g to server-groups s\n\
                                   add tcp-lb lb address 127.0.0.1:0 server-groups s\n\
                                   add smart-group-delegate d service svc zone z server-group g\n";

/// The command that offers an instance at this port.
pub(super) fn offered(port: u16) -> String {
    format!("add smart-node-delegate offer service svc zone z nic lo port {port}\n")
}

#[test]
fn peers_see_neither_a_node_nor_its_instance_go() {
    let service = Service::start(&format!("{}:0", host(1)));
    let port = service.address.port();
    let mut restarted = member(1, &offered(port), "");
    let peers = [member(2, BALANCED, ""), member(3, BALANCED, "")];
    for Member { status, .. } in peers.iter().chain([&restarted]) {
        eventually("the mesh is complete", || {
            lacks(&get(*status, "/mesh"), service.address).is_none()
        });
    }
    let listener = listener(peers[0].controller);
    serves(listener);
    let stop = Arc::new(AtomicBool::new(false));
    let watchers = peers.each_ref().map(|peer| {
        let (status, instance) = (peer.status, service.address);
        watch(&stop, move || {
            lacks(&get(status, "/mesh"), instance).map_or(Ok(()), Err)
        })
    });
    let load = Load::start(listener);
    for _ in 0..5 {
        load.goes_on();
        restart(&mut restarted.sidecar);
        let view = get(restarted.status, "/mesh");
        assert_eq!(lacks(&view, service.address), None, "the successor's view");
    }
    load.goes_on();
    let (requests, failures) = load.end();
    assert!(failures.is_empty(), "of {requests}: {failures:#?}");
    stop.store(true, Ordering::Relaxed);
    watchers.into_iter().for_each(watched);
}
