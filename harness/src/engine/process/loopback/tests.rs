use std::path::PathBuf;

use super::*;
use crate::compose::ComposeFile;

const NAME: &str = "0123456789ab";

fn port(host_port: Option<u16>, container_port: u16) -> PublishedPort {
    PublishedPort {
        host_ip: Ipv4Addr::LOCALHOST,
        host_port,
        container_port,
    }
}

fn node(ports: &[PublishedPort]) -> Node<'_> {
    Node {
        address: Ipv4Addr::new(127, 70, 8, 2),
        name: NAME,
        configs: Path::new("/state/etc"),
        ports,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn translated(ports: &[PublishedPort], command: &str) -> String {
    node(ports).arguments(&words(command)).join(" ")
}

#[test]
fn addresses_of_the_container_are_replaced_by_the_nodes_address() {
    let node = node(&[]);
    for (text, expected) in [
        ("127.0.0.1:1080", "127.70.8.2:1080"),
        ("0.0.0.0:9090", "127.70.8.2:9090"),
        ("a=127.0.0.1:80 0.0.0.0:81", "a=127.70.8.2:80 127.70.8.2:81"),
        ("http://127.0.0.1:18080/x", "http://127.70.8.2:18080/x"),
        ("127.0.0.1:1 127.0.0.1:2\n", "127.70.8.2:1 127.70.8.2:2\n"),
        // None of these is an address of the container itself.
        ("10.0.0.0:80", "10.0.0.0:80"),
        ("1.127.0.0.1:80", "1.127.0.0.1:80"),
        ("127.0.0.11:80", "127.0.0.11:80"),
        ("127.0.0.1:", "127.0.0.1:"),
        ("127.0.0.1:99999", "127.0.0.1:99999"),
        ("127.0.0.1:http", "127.0.0.1:http"),
        ("127.0.0.1", "127.0.0.1"),
        ("my.service.com:80 timeout 500", "my.service.com:80 timeout 500"),
        ("", ""),
        ("ü 0.0.0.0:1 ü", "ü 127.70.8.2:1 ü"),
    ] {
        assert_eq!(node.addresses(text), expected, "{text:?}");
    }
}

#[test]
fn a_fixed_host_port_is_bound_on_the_host_and_a_free_one_on_the_nodes_address() {
    let ports = [port(Some(18081), 8081), port(None, 9090)];
    let node = node(&ports);
    assert_eq!(node.addresses("0.0.0.0:8081"), "127.0.0.1:18081");
    assert_eq!(node.addresses("0.0.0.0:18081"), "127.70.8.2:18081");
    assert_eq!(node.bound(9090), "127.70.8.2:9090".parse().unwrap());
    assert_eq!(node.bound(8081), "127.0.0.1:18081".parse().unwrap());
}

#[test]
fn a_port_that_is_published_twice_is_bound_at_its_fixed_host_port() {
    let ports = [port(None, 80), port(Some(8080), 80)];
    assert_eq!(node(&ports).bound(80), "127.0.0.1:8080".parse().unwrap());
}

#[test]
fn paths_of_config_files_are_replaced_by_those_of_the_nodes_copies() {
    assert_eq!(
        translated(
            &[],
            "--load /etc/sidecar/a.conf /etc/sidecar/b.conf --status 0.0.0.0:9090"
        ),
        "--load /state/etc/a.conf /state/etc/b.conf --status 127.70.8.2:9090"
    );
    assert_eq!(
        translated(&[], "--load=/etc/sidecar/a.conf"),
        "--load=/state/etc/a.conf"
    );
    assert_eq!(
        translated(&[], "--load /elsewhere/a.conf"),
        "--load /elsewhere/a.conf"
    );
}

#[test]
fn the_frontends_defaults_become_flags() {
    assert_eq!(
        translated(&[port(Some(8080), 8080)], "--status 0.0.0.0:9090 -- frontend"),
        "--status 127.70.8.2:9090 -- frontend --listen 127.0.0.1:8080 --socks5 127.70.8.2:1080 \
         --lb a=127.70.8.2:8081 --lb b=127.70.8.2:8082"
    );
    assert_eq!(
        translated(&[], "-- frontend --lb x=127.0.0.1:7 --listen=0.0.0.0:80"),
        "-- frontend --lb x=127.70.8.2:7 --listen=127.70.8.2:80 --socks5 127.70.8.2:1080"
    );
}

#[test]
fn a_service_gets_flags_for_its_address_interface_host_and_sidecar() {
    assert_eq!(
        translated(&[], "-- service a --weight 30"),
        format!(
            "-- service a --weight 30 --listen 127.70.8.2 --nic lo --host {NAME} --sidecar http://127.70.8.2:18080"
        )
    );
    assert_eq!(
        translated(
            &[],
            "-- service a --nic eth0 --listen=0.0.0.0 --sidecar http://127.0.0.1:7 --host"
        ),
        format!("-- service a --nic lo --listen=127.70.8.2 --sidecar http://127.70.8.2:7 --host {NAME}")
    );
}

#[test]
fn any_other_program_keeps_its_arguments() {
    assert_eq!(translated(&[], "-- other --nic eth0"), "-- other --nic eth0");
    assert_eq!(translated(&[], "--"), "");
    assert_eq!(translated(&[], ""), "");
}

#[test]
fn discovery_gets_the_nodes_interface_address_and_name() {
    let text = "# How.\ndiscovery.nic = eth0\ndiscovery.address=127.0.0.1 # here\n  discovery.node_name = x\n\
                discovery.udp_port = 31000\n#discovery.nic = eth1";
    assert_eq!(
        node(&[]).config(text, true),
        format!(
            "# How.\ndiscovery.udp_port = 31000\n#discovery.nic = eth1\ndiscovery.nic = lo\n\
             discovery.address = 127.70.8.2\ndiscovery.node_name = {NAME}\n"
        )
    );
}

#[test]
fn in_other_config_files_only_addresses_change() {
    assert_eq!(
        node(&[]).config("add socks5-server sidecar address 127.0.0.1:1080\n", false),
        "add socks5-server sidecar address 127.70.8.2:1080\n"
    );
}

#[test]
fn the_command_line_names_the_discovery_file() {
    let file = |text: &str| discovery_file(&words(text)).map(str::to_owned);
    assert_eq!(
        file("--discovery-config /etc/sidecar/d.conf -- x").as_deref(),
        Some("d.conf")
    );
    assert_eq!(
        file("--discovery-config=/etc/sidecar/d.conf").as_deref(),
        Some("d.conf")
    );
    assert_eq!(file("-- x --discovery-config /etc/sidecar/d.conf"), None);
    assert_eq!(file("--discovery-config /elsewhere/d.conf"), None);
    assert_eq!(file("--discovery-config"), None);
    assert_eq!(file("--discovery-configs /etc/sidecar/d.conf"), None);
}

#[test]
fn the_example_uses_no_address_that_nodes_share() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../compose");
    let file = ComposeFile::read(&root.join("compose.yaml"), &|_| None).unwrap();
    assert_eq!(file.services.len(), 5);
    for service in &file.services {
        // Without fixed host ports, so that each node uses its own address only.
        let ports: Vec<_> = service
            .ports
            .iter()
            .map(|published| port(None, published.container_port))
            .collect();
        let node = node(&ports);
        let mut texts = vec![node.arguments(&service.command).join(" ")];
        for name in ["lb.conf", "frontend.conf", "discovery.conf"] {
            let text = std::fs::read_to_string(root.join("config").join(name)).unwrap();
            texts.push(node.config(&text, discovery_file(&service.command) == Some(name)));
        }
        for text in texts {
            for shared in ["127.0.0.1", "0.0.0.0", "eth0", "/etc/sidecar"] {
                assert!(!text.contains(shared), "{}: {shared} in {text}", service.name);
            }
        }
    }
}
