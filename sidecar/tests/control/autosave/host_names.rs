//! A server at a host name whose address changes, in a mount namespace with a table of hosts of its own.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use super::namespace::Namespace;
use super::sidecar::{Sidecar, saved};

const WAIT_TIMEOUT: Duration = Duration::from_secs(30);
const BEFORE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const AFTER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// Waits for a state of the only server, and returns its line.
fn state(sidecar: &Sidecar, expected: &str) -> String {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    loop {
        let mut stream = sidecar.connect();
        let command = b"list-detail server in server-group g\r\nQUIT\r\n";
        stream.get_mut().write_all(command).expect("sent");
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).expect("an answer");
        if answer.contains(&format!("currently {expected}\r\n")) {
            return answer;
        }
        assert!(Instant::now() < deadline, "it is not {expected}: {answer}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_server_that_is_down_comes_up_at_its_hosts_new_address() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let folder = directory.path().to_str().expect("UTF-8");
    let hosts = directory.path().join("hosts");
    let lead_to =
        |address: IpAddr| std::fs::write(&hosts, format!("{address} moving.test\n")).expect("written");
    lead_to(BEFORE);
    namespace.run(folder, "mount --bind hosts /etc/hosts");
    let file = directory.path().join("saved.conf");
    let sidecar = Sidecar::start_by(namespace.sidecar(&["--autosave", file.to_str().expect("UTF-8")]));

    let first = TcpListener::bind((BEFORE, 0)).expect("a free port");
    let port = first.local_addr().expect("an address").port();
    sidecar.run("add server-group g timeout 500 period 20 up 1 down 1");
    sidecar.run(&format!(
        "add server s to server-group g address moving.test:{port}"
    ));
    assert!(names(&saved(Path::new(&file)), port), "the host name is saved");
    let line = state(&sidecar, "UP");
    assert!(
        line.contains(&format!("host moving.test connect-to {BEFORE}:{port} ")),
        "{line}"
    );

    drop(first);
    state(&sidecar, "DOWN");
    lead_to(AFTER);
    // Another service takes the old address: it must not be taken for the server.
    let _other = TcpListener::bind((BEFORE, port)).expect("the address is free again");
    let _moved = TcpListener::bind((AFTER, port)).expect("a free address");
    let line = state(&sidecar, "UP");
    assert!(line.contains(&format!("connect-to {AFTER}:{port} ")), "{line}");
}

fn names(saved: &[String], port: u16) -> bool {
    saved.contains(&format!(
        "add server s to server-group g address moving.test:{port}"
    ))
}
