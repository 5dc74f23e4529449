//! What a restart keeps.

use std::net::TcpListener;

use super::load::{Service, request};
use super::{ask, file, get, listener, name, restart, serves, start};
use crate::{Sidecar, address, eventually, run};

fn post(controller: std::net::SocketAddr, path: &str, body: &str) {
    let length = body.len();
    let answer = ask(
        controller,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
}

#[test]
fn commands_are_kept_and_files_are_not_executed_again() {
    let service = Service::start("127.0.0.1:0");
    let directory = tempfile::tempdir().expect("a directory");
    let saved = directory.path().join("saved").display().to_string();
    let (mut sidecar, controller, _) = start(&service, &["--autosave", &saved]);
    let before = listener(controller);
    serves(before);
    post(controller, "/api/v1/module/server-groups", r#"{"name": "first"}"#);
    // The file of `--load` is gone by now, with the value that held it.
    restart(&mut sidecar);
    assert_eq!(listener(controller), before, "the port that it had");
    post(
        controller,
        "/api/v1/module/server-groups",
        r#"{"name": "second"}"#,
    );
    let list = get(controller, "/api/v1/module/server-groups");
    for name in ["\"s\"", "\"first\"", "\"second\""] {
        assert!(list.contains(name), "{name}: {list}");
    }
    eventually("the successor saves", || {
        let text = std::fs::read_to_string(&saved).unwrap_or_default();
        text.contains("add server-groups first\n") && text.contains("add server-groups second\n")
    });
    sidecar.signal("-TERM");
    assert_eq!(sidecar.code(), Some(0));
    let (code, log) = run(&["check", &saved]);
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_server_is_up_before_the_successors_first_check() {
    let service = Service::start("127.0.0.1:0");
    let config = file(&format!(
        "add server-groups s\n\
         add server-group g timeout 1000 period 100 up 1 down 3\n\
         add server-group g to server-groups s\n\
         add server b to server-group g address {}\n\
         add tcp-lb lb address 127.0.0.1:0 server-groups s\n",
        service.address
    ));
    let name = name(&config);
    let mut sidecar = Sidecar::start(&["--load", &name, "--http-controller", "127.0.0.1:0"]);
    let controller = address(&sidecar.logged("--http-controller"));
    sidecar.logged("ready");
    let listener = listener(controller);
    serves(listener);
    restart(&mut sidecar);
    request(listener, b'f').expect("the first request after the restart");
}

#[test]
fn a_removed_listener_is_not_handed_over() {
    let service = Service::start("127.0.0.1:0");
    let (mut sidecar, controller, _) = start(&service, &[]);
    let listener = listener(controller);
    serves(listener);
    let path = "/api/v1/module/tcp-lb/lb";
    let answer = ask(
        controller,
        &format!("DELETE {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    );
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    restart(&mut sidecar);
    TcpListener::bind(listener).expect("the address is free");
    assert!(!sidecar.seen.contains("WARN"), "{}", sidecar.seen);
}
