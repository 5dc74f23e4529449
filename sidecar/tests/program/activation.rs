//! Sockets that the sidecar is started with, and a check of its configuration beforehand.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use crate::{DEADLINE, Sidecar, eventually, run};

/// A sidecar that is started with a listening socket, as descriptor 3.
fn activated(socket: &TcpListener, arguments: &[&str]) -> Sidecar {
    let socket: OwnedFd = socket.try_clone().expect("a descriptor").into();
    let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\" 3<&0 </dev/null";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_sidecar")]);
    Sidecar::spawn(shell.args(arguments).stdin(Stdio::from(socket)))
}

#[test]
#[allow(clippy::disallowed_methods, reason = "there is no runtime to block")]
fn a_listener_uses_the_socket_that_the_sidecar_was_started_with() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("an address").to_string();
    // Each run serves the same socket, which stays open between them.
    for _ in 0..2 {
        let mut sidecar = activated(&socket, &["--status", &address]);
        sidecar.logged("ready");
        let (code, output) = run(&["probe", &format!("http://{address}/readyz")]);
        assert_eq!(code, Some(0), "{output}");
        sidecar.signal("-TERM");
        assert_eq!(sidecar.code(), Some(0));
        assert!(!sidecar.seen.contains("no listener uses"), "{}", sidecar.seen);
        TcpStream::connect(&address).expect("the holder's backlog");
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "there is no runtime to block")]
fn a_load_balancer_uses_the_socket_that_the_sidecar_was_started_with() {
    let backend = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("an address");
    let server = backend.local_addr().expect("an address");
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = format!(
        "add server-groups s\n\
         add server-group g timeout 1000 period 10 up 1 down 3\n\
         add server-group g to server-groups s\n\
         add server b to server-group g address {server}\n\
         add tcp-lb lb address {address} server-groups s\n"
    );
    std::fs::write(file.path(), text).expect("written");
    std::thread::spawn(move || {
        for mut client in backend.incoming().flatten() {
            let _ = client.write_all(b"x");
        }
    });
    let mut sidecar = activated(&socket, &["--load", &file.path().display().to_string()]);
    sidecar.logged("ready");
    eventually("a connection through the socket", || {
        let mut client = TcpStream::connect(address).expect("a connection");
        client.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        client.read_exact(&mut [0]).is_ok()
    });
}

#[test]
fn a_socket_that_no_listener_uses_is_reported() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut sidecar = activated(&socket, &[]);
    let line = sidecar.logged("no listener uses the socket");
    let address = socket.local_addr().expect("an address").to_string();
    assert!(line.contains(&address), "{line}");
}

#[test]
fn sockets_are_the_programs_if_there_is_one() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let program = "[ \"$LISTEN_PID\" = $$ ] && [ $LISTEN_FDS = 1 ] && readlink /proc/self/fd/3 >&2";
    let mut sidecar = activated(&socket, &["--", "sh", "-c", program]);
    sidecar.logged("socket:");
    assert_eq!(sidecar.code(), Some(0), "{}", sidecar.seen);
}

#[test]
fn a_check_tells_whether_files_would_load() {
    let file = |text: &str| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    };
    // A port that is taken does not matter: nothing is bound.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listener = format!(
        "add tcp-lb lb address {} server-groups s\n",
        taken.local_addr().expect("one")
    );
    let (groups, listener) = (file("add server-groups s\n"), file(&listener));
    let name = |file: &tempfile::NamedTempFile| file.path().display().to_string();

    let (code, log) = run(&["check", &name(&groups), &name(&listener)]);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("would load commands=2"), "{log}");

    let (code, log) = run(&["check", &name(&listener), &name(&groups)]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("would not load") && log.contains(":1: "), "{log}");

    let wrong = file("discovery.udp_port = many\n");
    let (code, log) = run(&["check", "--discovery-config", &name(&wrong)]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("many"), "{log}");

    let (code, log) = run(&["check"]);
    assert_eq!(code, Some(2), "{log}");
}
