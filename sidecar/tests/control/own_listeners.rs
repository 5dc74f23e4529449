//! No connection of the sidecar comes back to it: servers and listeners that would meet are refused, or dropped if the mesh
//! has them.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use sidecar::balance::service::{Instance, Instances, LastChoice, ServiceId};
use sidecar::control::{Controller, Offers, Reply};
use sidecar::own_listeners::OwnListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

async fn run(controller: &Controller, command: &str) -> Result<Reply, String> {
    let parsed = command.parse().unwrap_or_else(|e| panic!("{command}: {e}"));
    let done = controller.execute(parsed).await;
    done.map_err(|error| error.to_string())
}

async fn ok(controller: &Controller, commands: &[&str]) {
    for command in commands {
        let done = run(controller, command).await;
        assert!(done.is_ok(), "{command}: {done:?}");
    }
}

const GROUPS: [&str; 3] = [
    "add server-group g timeout 1000 period 1000 up 1 down 1",
    "add server-groups gs",
    "add server-group g to server-groups gs",
];

fn bound(controller: &Controller) -> SocketAddr {
    controller.listeners()[0].address
}

#[tokio::test]
async fn a_server_that_leads_to_a_listener_is_refused_however_it_is_written() {
    for (listener, hosts) in [
        (
            "tcp-lb l address 127.0.0.1:0",
            &["127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "localhost"][..],
        ),
        (
            "socks5-server l address 0.0.0.0:0",
            &[
                "127.0.0.1",
                "127.9.9.9",
                "0.0.0.0",
                "[::ffff:127.0.0.1]",
                "localhost",
            ],
        ),
        (
            "tcp-lb l address [::]:0",
            &["127.0.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]"],
        ),
    ] {
        let controller = Controller::new(Offers::new(), None);
        ok(&controller, &GROUPS).await;
        let added = run(&controller, &format!("add {listener} server-groups gs")).await;
        if listener.contains("::") && added.is_err() {
            // Without IPv6 there is no such listener.
            continue;
        }
        added.unwrap();
        let port = bound(&controller).port();
        for host in hosts {
            let command = format!("add server s to server-group g address {host}:{port}");
            let error = run(&controller, &command).await.expect_err(&command);
            let name = listener.split(" address").next().unwrap();
            assert!(
                error.contains(name) && error.contains("come back"),
                "{command}: {error}"
            );
        }
        assert!(controller.groups()[0].servers.is_empty());
        // Another port is another program's.
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let command = format!(
            "add server s to server-group g address {}",
            held.local_addr().unwrap()
        );
        ok(&controller, &[&command]).await;
    }
}

#[tokio::test]
async fn a_listener_that_a_server_leads_to_is_refused() {
    let controller = Controller::new(Offers::new(), None);
    ok(&controller, &GROUPS).await;
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let server = format!("add server s to server-group g address 127.0.0.1:{port}");
    ok(&controller, &[&server]).await;
    for address in ["127.0.0.1", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]"] {
        for kind in ["tcp-lb", "socks5-server"] {
            let command = format!("add {kind} l address {address}:{port} server-groups gs");
            let error = run(&controller, &command).await.expect_err(&command);
            assert!(error.contains("server s of server-group g"), "{command}: {error}");
        }
    }
    assert!(controller.listeners().is_empty());
}

fn id() -> ServiceId {
    ServiceId {
        service: "a".to_owned(),
        zone: "z".to_owned(),
    }
}

fn offered(addresses: &[SocketAddr], lost: &[SocketAddr]) -> Arc<Instances> {
    let instance = |address: &SocketAddr| Instance {
        address: *address,
        weight: 10,
        at_node: true,
    };
    let lost = lost
        .iter()
        .map(|address| (instance(address), LastChoice::NodeDown));
    Arc::new(Instances {
        offered: BTreeMap::from([(id(), addresses.iter().map(instance).collect())]),
        last_choice: BTreeMap::from([(id(), lost.collect())]),
        ..Instances::default()
    })
}

async fn has(controller: &Controller, expected: &[SocketAddr]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let servers = &controller.groups()[0].servers;
        let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
        if addresses == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{addresses:?}, expected {expected:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn instances_from_the_mesh_at_own_listeners_are_dropped_and_counted() {
    let instances = watch::Sender::new(offered(&[], &[]));
    let controller = Controller::new(Offers::new(), Some(instances.subscribe()));
    ok(&controller, &GROUPS).await;
    let lb = "add tcp-lb lb address 0.0.0.0:0 server-groups gs";
    let delegate = "add smart-group-delegate d service a zone z server-group g";
    ok(&controller, &[lb, delegate]).await;
    let at_lb = SocketAddr::from(([127, 0, 0, 1], bound(&controller).port()));
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let at_door = door.local_addr().unwrap();
    controller.own_listeners().add(OwnListener {
        name: "--http-controller".to_owned(),
        address: at_door,
        is_proxy: false,
    });
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = service.local_addr().unwrap();
    instances.send_replace(offered(&[at_lb, service], &[at_door]));
    has(&controller, &[service]).await;
    assert_eq!(controller.own_listeners().dropped(), 2);

    // Told again, they are no news.
    instances.send_replace(offered(&[service, at_lb], &[at_door]));
    has(&controller, &[service]).await;
    assert_eq!(controller.own_listeners().dropped(), 2);

    // The listener is removed, and comes again.
    ok(&controller, &["remove tcp-lb lb"]).await;
    has(&controller, &[service, at_lb]).await;
    let again = format!("add tcp-lb lb address {at_lb} server-groups gs");
    ok(&controller, &[&again]).await;
    has(&controller, &[service]).await;
    assert_eq!(controller.own_listeners().dropped(), 3);
}
