//! The address of the interface changes.

use std::io::Read;
use std::process::Stdio;

use crate::node::{BALANCER, Node, SERVICE};
use crate::world::{World, eventually};

/// One that offers the service at 10.77.0.1/24, and one that balances over it, at 10.77.0.2/24.
fn pair(world: &World) -> (Node, Node) {
    let (offers, balances) = (world.machine("offers"), world.machine("balances"));
    offers.ip(&["addr add 10.77.0.1/24 dev eth0"]);
    balances.ip(&["addr add 10.77.0.2/24 dev eth0"]);
    let (offers, balances) = (Node::offering(offers), Node::balancing(balances));
    balances.reaches("10.77.0.1");
    (offers, balances)
}

#[test]
fn a_new_address_is_bound_and_announced_and_without_one_the_sidecar_is_not_ready() {
    let Some(world) = World::new() else { return };
    let (offers, balances) = pair(&world);
    offers.machine.ip(&["addr del 10.77.0.1/24 dev eth0"]);
    eventually(
        "not ready, and why",
        || offers.readiness(),
        |(status, why)| *status == 503 && why.contains("network interface eth0 has no v4 address"),
    );
    // Long enough for the others to notice.
    eventually("the instance is gone", || balances.instances(), Vec::is_empty);
    offers.machine.ip(&["addr add 10.77.0.33/24 dev eth0"]);
    balances.reaches("10.77.0.33");
    assert_eq!(offers.address(), "10.77.0.33");
    offers.ready();
    let log = offers.log();
    for line in [
        "no address: network interface eth0 has no v4 address",
        "registration: withdrawn: network interface eth0 has no v4 address",
        "discovery: the address has changed from=10.77.0.1 to=10.77.0.33",
        "registration: the address has changed",
    ] {
        assert!(log.contains(line), "{line:?} is missing in:\n{log}");
    }
}

#[test]
fn an_address_that_replaces_another_at_once_is_followed_and_peers_are_kept() {
    let Some(world) = World::new() else { return };
    let (offers, balances) = pair(&world);
    // As a DHCP client does it: the new one first. The kernel would else drop it with the primary one.
    offers
        .machine
        .run("sysctl -qw net.ipv4.conf.eth0.promote_secondaries=1");
    offers.machine.ip(&[
        "addr add 10.77.0.44/24 dev eth0",
        "addr del 10.77.0.1/24 dev eth0",
    ]);
    balances.reaches("10.77.0.44");
    assert!(!offers.log().contains("lost"), "{}", offers.log());
    // The other side moves, too.
    balances
        .machine
        .ip(&["addr flush dev eth0", "addr add 10.77.0.55/24 dev eth0"]);
    eventually("the new address", || balances.address(), |it| it == "10.77.0.55");
    balances.reaches("10.77.0.44");
    let lost = "lost node=offers@10.77.0.44";
    assert!(!balances.log().contains(lost), "{}", balances.log());
}

#[test]
fn a_second_address_another_prefix_and_other_interfaces_change_nothing() {
    let Some(world) = World::new() else { return };
    let (offers, balances) = pair(&world);
    world.connect(&offers.machine, "other", "eth1");
    offers.machine.ip(&[
        "addr add 10.77.0.9/24 dev eth0",
        "addr add 10.77.7.1/24 dev eth0",
        "addr add 10.77.8.1/24 dev eth1",
        "addr add 10.77.0.1/16 dev eth0",
        "addr del 10.77.0.1/24 dev eth0",
        "link set eth1 down",
    ]);
    // A change that does count comes after all of these.
    offers.machine.ip(&["link set eth0 down"]);
    eventually("not ready", || offers.readiness(), |it| it.0 == 503);
    let log = offers.log();
    assert!(!log.contains("has changed"), "{log}");
    assert!(
        log.contains("no address: network interface eth0 is down"),
        "{log}"
    );
    offers.machine.ip(&["link set eth0 up"]);
    balances.reaches("10.77.0.1");
}

#[test]
fn a_link_that_goes_down_and_up_ends_no_connection_of_another_network() {
    let Some(world) = World::new() else { return };
    let (offers, balances) = pair(&world);
    // Through a listener of the sidecar to a server on loopback, which answers when the client ends.
    let script = "add server-group l timeout 500 period 200 up 1 down 3
add server i to server-group l address 127.0.0.1:8080 weight 10
add server-groups ls
add server-group l to server-groups ls weight 10
add tcp-lb local address 127.0.0.1:8082 server-groups ls
";
    let machine = world.machine("both");
    machine.ip(&["addr add 10.77.0.3/24 dev eth0"]);
    let both = Node::start(machine, "", script);
    both.ready();
    eventually(
        "the server is up",
        || both.get("http://127.0.0.1:8082/").0,
        |it| *it == 404,
    );
    let mut client = both
        .machine
        .command("bash")
        .args([
            "-c",
            "exec 3<>/dev/tcp/127.0.0.1/8082; echo open; read line; \
             printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' >&3; head -n1 <&3",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = client.stdout.take().unwrap();
    let mut said = [0; 5];
    out.read_exact(&mut said).unwrap();
    for _ in 0..3 {
        both.machine.ip(&["link set eth0 down"]);
        eventually("not ready", || both.readiness(), |it| it.0 == 503);
        both.machine.ip(&["link set eth0 up"]);
        both.ready();
    }
    drop(client.stdin.take());
    let mut answer = String::new();
    out.read_to_string(&mut answer).unwrap();
    client.wait().unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer:?}\n{}", both.log());
    assert_eq!(balances.balanced(), 404);
    drop(offers);
}

#[test]
fn changes_that_the_kernel_does_not_report_for_lack_of_room_are_found() {
    let Some(world) = World::new() else { return };
    let (offers, balances) = pair(&world);
    let mut batch = String::new();
    for _ in 0..20 {
        for verb in ["add", "del"] {
            for host in 0..250 {
                batch += &format!("addr {verb} 10.99.0.{host}/32 dev lo\n");
            }
        }
    }
    batch += "addr del 10.77.0.1/24 dev eth0\naddr add 10.77.0.66/24 dev eth0\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), batch).unwrap();
    offers.machine.ip(&[&format!("-batch {}", file.path().display())]);
    balances.reaches("10.77.0.66");
}

/// Shows that the tests above measure what they say: the instance is the sidecar's own controller.
#[test]
fn the_instance_answers_at_its_address() {
    let Some(world) = World::new() else { return };
    let (offers, balances) = pair(&world);
    assert_eq!(balances.get(&format!("http://10.77.0.1:{SERVICE}/")).0, 404);
    drop(offers);
    eventually(
        "no answer",
        || balances.get(&format!("http://{BALANCER}/")).0,
        |it| *it == 0,
    );
}
