use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use super::*;

fn parse(text: &str) -> Result<ComposeFile, ComposeError> {
    ComposeFile::parse(Path::new("mesh.yaml"), text, &|name| {
        (name == "PORT").then(|| "9000".to_owned())
    })
}

fn fault(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

const SMALL: &str = r#"
x-common: &common
  image: ${IMAGE:-mesh}
  networks: [mesh]
  stop_grace_period: 1m30s
services:
  one:
    <<: *common
    container_name: the-one
    command: [--status, "0.0.0.0:9090"]
    ports: ["127.0.0.1:${PORT}:80", "127.0.0.1::9090", "81/tcp"]
    healthcheck: {test: [CMD, probe], interval: 10s, timeout: 500ms}
networks:
  mesh: {}
"#;

#[test]
fn a_service_has_its_merged_keys_and_interpolated_values() {
    let file = parse(SMALL).unwrap();
    let [service] = &file.services[..] else {
        panic!("one service: {file:?}")
    };
    assert_eq!(service.image, "mesh");
    assert_eq!(service.container_name, "the-one");
    assert_eq!(service.command, ["--status", "0.0.0.0:9090"]);
    assert_eq!(service.networks, ["mesh"]);
    assert_eq!(service.stop_grace_period, Duration::from_secs(90));
    let loopback = Ipv4Addr::LOCALHOST;
    assert_eq!(
        service.ports,
        [
            PublishedPort {
                host_ip: loopback,
                host_port: Some(9000),
                container_port: 80
            },
            PublishedPort {
                host_ip: loopback,
                host_port: None,
                container_port: 9090
            },
            PublishedPort {
                host_ip: Ipv4Addr::UNSPECIFIED,
                host_port: None,
                container_port: 81
            },
        ]
    );
    let check = service.healthcheck.as_ref().unwrap();
    assert_eq!((check.interval, check.retries), (Duration::from_secs(10), 3));
}

#[test]
fn an_unsupported_key_is_refused_with_its_line() {
    let message = fault("services:\n  one:\n    image: x\n    container_name: y\n    restart: always\n");
    assert!(message.starts_with("mesh.yaml:5: "), "{message}");
    assert!(message.contains("restart"), "{message}");

    let message = fault("services: {}\nvolumes: {}\n");
    assert!(message.starts_with("mesh.yaml:2: "), "{message}");
    assert!(message.contains("volumes"), "{message}");
}

#[test]
fn all_invalid_values_are_reported_at_once_with_their_lines() {
    let message = fault(
        "services:\n  one:\n    image: ${NOWHERE}\n    container_name: one\n    stop_grace_period: soon\n    \
         ports:\n      - 80-90:80\n",
    );
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines.len(), 3, "{message}");
    assert!(
        message.contains("mesh.yaml:3: service `one`: expected an `image`, and `${NOWHERE}` is empty"),
        "{message}"
    );
    assert!(message.contains("mesh.yaml:5: duration `soon`"), "{message}");
    assert!(message.contains("mesh.yaml:7: port `80-90:80`"), "{message}");
}

#[test]
fn an_image_is_required() {
    let message = fault("services:\n  one:\n    command: []\n");
    assert!(
        message.contains("service `one`: expected an `image`"),
        "{message}"
    );
    assert!(fault("networks: {}\n").contains("services"));
}

#[test]
fn unset_variables_are_empty_and_named() {
    let file =
        parse(&SMALL.replace("container_name: the-one", "container_name: a$B$PORT${C:-}${A}")).unwrap();
    assert_eq!(file.services[0].container_name, "a9000");
    assert_eq!(file.unset.iter().collect::<Vec<_>>(), ["A", "B"]);
}

#[test]
fn variables_may_stand_for_booleans_numbers_and_durations() {
    let text = SMALL.replace("timeout: 500ms}", "timeout: \"${T:-2s}\", retries: \"${R:-5}\"}");
    let text = text.replace(
        "    container_name",
        "    read_only: ${RO:-true}\n    container_name",
    );
    let service = &parse(&text).unwrap().services[0];
    let check = service.healthcheck.as_ref().unwrap();
    assert_eq!((check.timeout, check.retries), (Duration::from_secs(2), 5));
    assert!(service.read_only);
    for (from, to, message) in [
        (
            "${RO:-true}",
            "${RO:-1}",
            "mesh.yaml:9: `1`: expected true or false",
        ),
        ("${R:-5}", "+5", "`+5`: expected a number"),
        (
            "[CMD, probe]",
            "[probe]",
            "mesh.yaml:13: health check: expected `test` to start with CMD,",
        ),
        ("${PORT}:80", "+80:80", "port `127.0.0.1:+80:80`"),
    ] {
        let found = fault(&text.replace(from, to));
        assert!(found.contains(message), "{found}");
    }
}

#[test]
fn what_may_have_another_meaning_for_compose_is_refused_with_its_line() {
    let command = "command: [--status, \"0.0.0.0:9090\"]";
    for (from, to, message) in [
        (
            command,
            "environment: {A: 010}",
            ":10: The string value [010] must be quoted",
        ),
        (command, "environment: {A: 1.0}", "must be quoted"),
        (command, "environment: {A: true}", "must be quoted"),
        (command, "environment: {A: ~}", ":10: cannot deserialize null"),
        (command, "environment: [A=b]", ":10: expected mapping start"),
        (command, "environment: {A: b, A: c}", "duplicate mapping key: A"),
        (command, "command: a b", "`command: a b`"),
        (command, "command: [0x10]", "must be quoted"),
        ("ports: [", "ports: [{target: 80}, ", ":11: invalid type: map"),
        ("ports: [", "ports: [022, ", ":11: invalid type: floating point"),
        ("[CMD, probe]", "probe", "`healthcheck: {test: probe,"),
        (
            "  networks: [mesh]",
            "  networks: {mesh: {}}",
            "expected sequence start",
        ),
        ("mesh: {}", "mesh: {driver: x}", ":14: unknown field `driver`"),
        ("mesh: {}", "mesh: {}\n---\na: b", "multiple YAML documents"),
        ("networks:\n", "name: x\nnetworks:\n", ":13: unknown field `name`"),
    ] {
        assert!(SMALL.contains(from), "{from}");
        let found = fault(&SMALL.replace(from, to));
        assert!(
            found.starts_with("mesh.yaml:") && found.contains(message),
            "{to}: {found}"
        );
    }
}

#[test]
fn durations_are_parsed_or_refused() {
    for (text, expected) in [
        ("10s", 10_000),
        ("500ms", 500),
        ("1m30s", 90_000),
        ("2h", 7_200_000),
    ] {
        assert_eq!(
            value::duration(text),
            Ok(Duration::from_millis(expected)),
            "{text}"
        );
    }
    for text in [
        "",
        "10",
        "s",
        "10x",
        "-1s",
        "99999999999s",
        "4294967295h4294967295h ",
    ] {
        assert!(value::duration(text).is_err(), "{text}");
    }
}

/// Parses a file with two ports, by default 80 and 81, with these variables.
fn ports(variables: &[(&str, &str)]) -> Result<(), String> {
    let text = "services:\n  one:\n    image: x\n    container_name: one\n    \
                ports: [\"127.0.0.1:${ONE:-80}:80\", \"127.0.0.1:${TWO:-81}:81\"]\n";
    let lookup = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let read = ComposeFile::parse(Path::new("mesh.yaml"), text, &lookup);
    read.map(drop)
        .map_err(|error| format!("{error}; {}", error.advice()))
}

#[test]
fn the_error_for_an_invalid_port_in_a_variable_names_the_variable() {
    for value in ["abc", "99999", "-1", "80:80"] {
        let message = ports(&[("ONE", value)]).unwrap_err();
        let expected =
            format!("ONE is `{value}`: expected a port number from 1 to 65535, or 0 for any free port");
        assert!(message.starts_with(&expected), "{message}");
        assert!(
            !message.contains("mesh.yaml") && !message.contains("Compose file"),
            "{message}"
        );
    }
    let both = ports(&[("ONE", "x"), ("TWO", "y")]).unwrap_err();
    assert!(
        both.contains("ONE is `x`") && both.contains("\nTWO is `y`"),
        "{both}"
    );
    for value in ["0", "", "65535"] {
        assert_eq!(ports(&[("ONE", value)]), Ok(()), "{value}");
    }
}

#[test]
fn variables_that_make_two_ports_equal_are_named() {
    let message = ports(&[("ONE", "9000"), ("TWO", "9000")]).unwrap_err();
    assert!(
        message.starts_with("ONE and TWO are both `9000`: expected"),
        "{message}"
    );
    let message = ports(&[("ONE", "81")]).unwrap_err();
    assert!(
        message.starts_with("ONE and TWO (by default) are both `81`"),
        "{message}"
    );
    assert_eq!(ports(&[("ONE", "0"), ("TWO", "0")]), Ok(()));
}
