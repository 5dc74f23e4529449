//! When a waypoint's ports are open.

use std::path::Path;

use super::name_server::NameServer;
use super::world::{Endpoint, Waypoint, ask, bound, command, free_port};

/// Replaces the file at once, as the harness does.
pub(crate) fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}

#[test]
fn a_port_opens_with_its_first_endpoint_and_closes_when_the_file_leaves_it_out() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("api.json");
    let server = NameServer::answering(&["127.0.0.2"]);
    let (port, socket) = free_port();
    let waypoint = Waypoint::start(&server, &["--file", file.to_str().unwrap(), "api"]);
    waypoint.logged("nothing is listened on until it can be read", 1);
    waypoint.refuses(port);

    write(
        &file,
        &format!(r#"{{"host": "api", "ports": [{{"port": {port}, "hold": 1000}}]}}"#),
    );
    waypoint.logged("the waypoint is configured", 1);
    waypoint.refuses(port);
    let _one = Endpoint::listen(socket, "one");
    assert_eq!(waypoint.reaches(port), "one");

    write(&file, r#"{"host": "api", "ports": [{"port": 0}]}"#);
    waypoint.logged("ports[0].port 0 is not valid", 1);
    assert_eq!(waypoint.reaches(port), "one", "what it said before stays");

    write(&file, r#"{"host": "api", "ports": []}"#);
    waypoint.refuses(port);
    let log = waypoint.log();
    assert_eq!(log.matches("cannot read").count(), 1, "{log}");
}

/// Puts something else in the place of the file.
fn replace(file: &Path, make: impl FnOnce(&Path)) {
    let _ = std::fs::remove_file(file);
    let _ = std::fs::remove_dir(file);
    make(file);
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (file, elsewhere) = (directory.path().join("api.json"), directory.path().join("other"));
    let server = NameServer::answering(&["127.0.0.2"]);
    let (port, socket) = free_port();
    let valid = |more: &str| format!(r#"{{"host": "api", "ports": [{{"port": {port}{more}}}]}}"#);
    write(&file, &valid(""));
    let waypoint = Waypoint::start(&server, &["--file", file.to_str().unwrap(), "api"]);
    let _one = Endpoint::listen(socket, "one");
    assert_eq!(waypoint.reaches(port), "one");

    replace(&file, |file| std::fs::write(file, [0xff, 0, 0x80]).unwrap());
    waypoint.logged("UTF", 1);
    replace(&file, |file| std::fs::create_dir(file).unwrap());
    waypoint.logged("is not a regular file", 1);
    replace(&file, |file| {
        std::fs::File::create(file).unwrap().set_len(1 << 40).unwrap();
    });
    waypoint.logged("is larger than", 1);
    replace(&file, |file| {
        std::os::unix::fs::symlink("/dev/zero", file).unwrap();
    });
    waypoint.logged("is not a regular file", 2);
    replace(&file, |file| {
        std::os::unix::fs::symlink(&elsewhere, file).unwrap();
    });
    waypoint.logged("No such file", 1);
    replace(&file, |file| std::fs::write(file, "[".repeat(1 << 20)).unwrap());
    waypoint.logged("what it said before stays", 6);
    assert_eq!(waypoint.reaches(port), "one");

    // A link is followed: volumes of some orchestrators are made of them.
    write(&elsewhere, &valid(r#", "hold": 1"#));
    replace(&file, |file| {
        std::os::unix::fs::symlink(&elsewhere, file).unwrap();
    });
    waypoint.logged("the waypoint is configured", 2);
    assert_eq!(waypoint.reaches(port), "one");
}

#[test]
fn a_port_closes_when_the_hold_has_expired_and_opens_again() {
    let server = NameServer::answering(&["127.0.0.2"]);
    let (port, socket) = free_port();
    let target = format!("api:{port}");
    let waypoint = Waypoint::start(&server, &["--hold", "1500", &target]);
    let one = Endpoint::listen(socket, "one");
    assert_eq!(waypoint.reaches(port), "one");
    drop(one);
    waypoint.refuses(port);
    waypoint.logged("no endpoint accepts connections: the port is closed", 1);
    let _again = Endpoint::listen(bound([127, 0, 0, 2], port).unwrap(), "again");
    assert_eq!(waypoint.reaches(port), "again");
}

#[test]
fn a_connection_waits_while_the_only_endpoint_is_replaced() {
    let server = NameServer::answering(&["127.0.0.2"]);
    let (port, socket) = free_port();
    let target = format!("api:{port}");
    let waypoint = Waypoint::start(&server, &["--hold", "60000", &target]);
    let one = Endpoint::listen(socket, "one");
    assert_eq!(waypoint.reaches(port), "one");
    drop(one);
    server.answer(&[]);
    let asking = std::thread::spawn(move || ask(port));
    waypoint.logged("the host name no longer leads to an address", 1);
    let _two = Endpoint::listen(bound([127, 0, 0, 3], port).unwrap(), "two");
    server.answer(&["127.0.0.3"]);
    assert_eq!(asking.join().unwrap().as_deref(), Some("two"));
}

#[test]
fn it_is_read_by_get_and_stops_on_a_signal() {
    let server = NameServer::answering(&["127.0.0.2"]);
    let (port, socket) = free_port();
    let target = format!("api:{port}");
    let mut waypoint = Waypoint::start(&server, &["--check", "passive", &target]);
    let _one = Endpoint::listen(socket, "one");
    assert_eq!(waypoint.reaches(port), "one");
    let url = format!("http://{}/metrics", waypoint.status());
    let output = command(&["get", &url]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let metrics = String::from_utf8(output.stdout).unwrap();
    assert!(
        metrics.contains(&format!(r#"sidecar_server_up{{group="{target}""#)),
        "{metrics}"
    );
    waypoint.signal("-TERM");
    assert_eq!(waypoint.code(), Some(0));
    waypoint.refuses(port);
    assert!(!command(&["get", &url]).output().unwrap().status.success());
}

#[test]
fn a_restart_keeps_its_ports_open() {
    let server = NameServer::answering(&["127.0.0.2"]);
    let (port, socket) = free_port();
    let waypoint = Waypoint::start(&server, &[&format!("api:{port}")]);
    let _one = Endpoint::listen(socket, "one");
    assert_eq!(waypoint.reaches(port), "one");
    waypoint.signal("-USR2");
    waypoint.eventually("two processes were ready", || {
        assert_eq!(ask(port).as_deref(), Some("one"), "{}", waypoint.log());
        waypoint.log().matches(" ready").count() >= 2
    });
    assert_eq!(waypoint.reaches(port), "one");
}

#[test]
fn a_mistake_on_the_command_line_is_named() {
    for (arguments, complaint) in [
        (&["waypoint"][..], "SIDECAR_WAYPOINT"),
        (&["waypoint", "api:x"], "HOST:PORT[/PROTOCOL][,"),
        (&["waypoint", "api:1/https"], "with tcp, http/1.x, h2 or http"),
        (
            &["waypoint", "--resolve-networks", "10.0.0.0/8,fd00::/8", "api:y"],
            "target api:y is not valid",
        ),
        (&["waypoint", "../api"], "is not a service's name"),
        (
            &["waypoint", "--check", "udp", "api:1"],
            "expected tcp, passive or http:PATH",
        ),
    ] {
        let output = command(arguments)
            .env_remove("SIDECAR_WAYPOINT")
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && errors.contains(complaint),
            "{arguments:?}: {errors}"
        );
    }
}
