//! Mistakes that stop nothing: the log says what is wrong, and what to do.

use crate::node::{Node, free};
use crate::{Sidecar, run};

/// The parts of a line that must be there.
fn expect(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "no {part:?} in: {line}");
    }
}

#[test]
fn a_registration_of_another_port_is_reported_with_the_programs_port() {
    let (registered, listened) = (free("127.61.43.1"), free("127.61.43.1"));
    let script = format!(
        "add smart-node-delegate d service s zone z nic lo port {}\n",
        registered.port()
    );
    let mut node = Node::start("127.61.43.1", &script, &[], Some(listened));
    let warning = node.sidecar.logged("WARN");
    expect(
        &warning,
        &[
            "nothing accepts connections there",
            &format!("address={registered}"),
            &format!("the program listens on {listened} (loopback only); register the port"),
        ],
    );
}

#[test]
fn a_delegate_of_a_zone_without_the_service_is_reported_with_its_zones() {
    let (offering, instance) = Node::offering("127.61.44.1", &[]);
    let script = "add server-group g timeout 500 period 200 up 1 down 3\n\
                  add smart-group-delegate d service s zone zz server-group g\n";
    let mut balancing = Node::start("127.61.44.2", script, &[], None);
    let up = format!("service=\"s\" zone=\"z\" address={instance}");
    expect(&balancing.sidecar.logged("instance up"), &["INFO", &up]);
    let warning = balancing.sidecar.logged("WARN");
    expect(
        &warning,
        &["no s in zone zz; the mesh has it in z", "group=\"g\""],
    );
    offering.sidecar.signal("-TERM");
    expect(&balancing.sidecar.logged("instance gone"), &["INFO", &up]);
}

#[test]
fn a_second_sidecar_at_an_address_is_told_to_take_another() {
    let mut first = Node::start("127.61.45.1", "", &[], None);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = "discovery.nic = lo\ndiscovery.address = 127.61.45.1\n";
    std::fs::write(file.path(), text).expect("written");
    let (code, output) = run(&["--discovery-config", &file.path().display().to_string()]);
    assert_eq!(code, Some(1), "{output}");
    expect(
        &output,
        &[
            "discovery.udp_port: cannot bind 127.61.45.1:31000, which another program uses",
            "need an address each (discovery.address) or ports of their own",
        ],
    );
    let sidecar: &mut Sidecar = &mut first.sidecar;
    sidecar.signal("-TERM");
    assert_eq!(sidecar.code(), Some(0));
}
