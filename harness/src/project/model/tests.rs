use serde_json::json;

use super::super::ports::Protocol;
use super::*;

fn read(text: &str) -> Config {
    Config::read(&serde_saphyr::from_str(text).unwrap()).unwrap()
}

/// What 1.29 prints of the same project in short forms, and version 2 in long ones.
#[test]
fn both_generations_are_read_alike() {
    let mut short = read(
        "
services:
  web:
    depends_on: [api]
    expose: ['1000-1002', 9/udp]
    external_links: ['x:y']
    extra_hosts: ['h:1.2.3.4']
    image: nginx
    links: ['api:backend']
    networks: [front]
    ports: ['127.0.0.1:5000:6000/tcp', '[::1]:81:82', 80, {published: 9000-9002, target: 70}]
    volumes: ['data:/d:rw', './c:/c:ro', /anon]
",
    );
    let long = read(
        "
name: shop
services:
  web:
    depends_on: {api: {condition: service_started, required: true}}
    expose: ['1000-1002', 9/udp]
    external_links: ['x:y']
    extra_hosts: ['h=1.2.3.4']
    command: null
    image: nginx
    links: ['api:backend']
    networks: {front: null}
    ports:
    - {mode: ingress, host_ip: 127.0.0.1, target: 6000, published: '5000', protocol: tcp}
    - {mode: ingress, target: 82, published: '81', protocol: tcp}
    - {mode: ingress, target: 80, protocol: tcp}
    - {mode: ingress, target: 70, published: 9000-9002, protocol: tcp}
    volumes:
    - {type: volume, source: data, target: /d, volume: {}}
    - {type: bind, source: ./c, target: /c, read_only: true}
    - {type: volume, target: /anon}
",
    );
    let printed = &mut short.services.get_mut("web").unwrap().printed_ports;
    assert_eq!(printed.len(), 4);
    printed.clone_from(&long.services["web"].printed_ports);
    assert_eq!(short.services, long.services);
    assert_eq!((short.name, long.name.as_deref()), (None, Some("shop")));
    let web = &long.services["web"];
    let tcp = web
        .ports
        .iter()
        .filter(|port| port.protocol == Protocol::Tcp)
        .map(|port| port.number);
    assert_eq!(tcp.collect::<Vec<_>>(), [70, 80, 82, 1000, 1001, 1002, 6000]);
    let fixed: Vec<String> = web
        .published
        .iter()
        .filter(|port| port.fixed())
        .map(ToString::to_string)
        .collect();
    assert_eq!(fixed, ["5000:6000", "81:82"]);
    let shared: Vec<&str> = web
        .mounts
        .iter()
        .filter(|mount| mount.shared())
        .map(|mount| mount.source.as_str())
        .collect();
    assert_eq!(shared, ["data"]);
    assert_eq!(web.own_names, ["h", "y"].map(str::to_owned).into());
    assert_eq!(web.links["backend"], "api");
}

#[test]
fn only_services_of_active_profiles_count() {
    let mut config = read("services: {a: {}, b: {profiles: [debug, x]}, c: {profiles: [other]}}");
    let mut all = config.clone();
    config.keep_active(&["debug".to_owned(), String::new()].into());
    assert_eq!(config.services.keys().collect::<Vec<_>>(), ["a", "b"]);
    all.keep_active(&["*".to_owned()].into());
    assert_eq!(all.services.len(), 3);
}

#[test]
fn a_namespace_belongs_to_the_service_at_the_end_of_the_chain() {
    let config = read(
        "services: {vpn: {}, a: {network_mode: 'service:vpn'}, b: {network_mode: 'service:a'},
                    c: {network_mode: host}, d: {network_mode: 'service:e'}, e: {network_mode: 'service:d'},
                    f: {network_mode: 'service:gone'}}",
    );
    let owners = ["vpn", "a", "b", "c", "d", "f"].map(|name| config.namespace_owner(name));
    assert_eq!(owners, [Some("vpn"), Some("vpn"), Some("vpn"), None, None, None]);
}

#[test]
fn running_services_that_depend_on_ended_ones_are_found() {
    let config =
        read("services: {web: {depends_on: [job, db]}, api: {depends_on: [db, gone]}, job: {}, db: {}}");
    let running = ["web", "api", "db"].into();
    assert_eq!(config.depending_on_ended(&running), ["web"]);
    assert!(config.depending_on_ended(&["db"].into()).is_empty());
}

#[test]
fn a_value_of_another_shape_is_an_error_with_its_key() {
    for (printed, expected) in [
        (json!({"services": {"a": {"ports": ["x"]}}}), "services.a.ports: "),
        (
            json!({"services": {"a": {"expose": ["70000"]}}}),
            "services.a.expose: `70000`",
        ),
        (
            json!({"services": {"a": {"labels": 1}}}),
            "services.a.labels: expected a map",
        ),
        (json!({"services": []}), "services: expected a map"),
        (
            json!({"networks": {"n": {"ipam": {"config": 3}}}}),
            "networks.n.config: expected a list",
        ),
    ] {
        let error = Config::read(&printed).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(Config::read(&json!(null)), Ok(Config::default()));
}
