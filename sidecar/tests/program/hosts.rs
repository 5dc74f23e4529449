//! The host names by which the HTTP controller and the status listener may be called.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::{DEADLINE, Sidecar, address, command};

/// The status and the body of the answer to a GET with these header lines.
#[allow(clippy::disallowed_methods, reason = "there is no runtime to block")]
fn get(address: SocketAddr, target: &str, version: &str, headers: &[&str]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("GET {target} HTTP/{version}\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

/// Both listeners of a sidecar, each with a path that it answers.
fn doors(sidecar: &mut Sidecar) -> [(SocketAddr, &'static str); 2] {
    let controller = address(&sidecar.logged("--http-controller"));
    let status = address(&sidecar.logged("--status"));
    sidecar.logged("ready");
    [(controller, "/api/v1/module/server-group"), (status, "/metrics")]
}

const ARGUMENTS: [&str; 4] = ["--http-controller", "127.0.0.1:0", "--status", "127.0.0.1:0"];

#[test]
fn a_name_of_somebody_elses_is_misdirected() {
    let allowed = ["--allow-host", "Mesh.example.com", "other.example.com"];
    let mut sidecar = Sidecar::start(&[&ARGUMENTS[..], &allowed].concat());
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for (door, path) in doors(&mut sidecar) {
        for host in [
            "127.0.0.1",
            &door.to_string(),
            "[::1]:80",
            "LocalHost.",
            "frontend:80",
            &own,
            "mesh.example.com:80",
        ] {
            let (status, body) = get(door, path, "1.1", &[&format!("Host: {host}")]);
            assert_eq!(status, 200, "{path} by {host}: {body}");
        }
        for host in ["evil.example.com", "127.0.0.1.evil.com:80", "localhost.evil.com"] {
            let (status, body) = get(door, path, "1.1", &[&format!("Host: {host}")]);
            assert_eq!(status, 421, "{path} by {host}: {body}");
            assert!(body.contains("--allow-host"), "{body}");
            assert_eq!(body.lines().count(), 1, "{body}");
        }
        let target = format!("http://evil.example.com{path}");
        let (status, body) = get(door, &target, "1.1", &["Host: 127.0.0.1"]);
        assert_eq!(status, 421, "{target}: {body}");
    }
}

#[test]
fn a_request_has_one_host() {
    let mut sidecar = Sidecar::start(&ARGUMENTS);
    for (door, path) in doors(&mut sidecar) {
        let repeated = ["Host: localhost", "host: localhost"];
        for headers in [
            &[][..],
            &repeated,
            &["Host:"],
            &["Host: a b"],
            &["Host: localhost:x"],
        ] {
            let (status, body) = get(door, path, "1.1", headers);
            assert_eq!(status, 400, "{path} with {headers:?}: {body}");
        }
        // HTTP/1.0 has no such header (RFC 9112, section 3.2).
        let (status, body) = get(door, path, "1.0", &[]);
        assert_eq!(status, 200, "{path}: {body}");
    }
}

#[test]
fn an_allowed_host_is_a_name_without_a_port() {
    for name in ["mesh.example.com:80", "a..b", "http://a.b", ""] {
        let output = command(&["--allow-host", name]).output().expect("it runs");
        let errors = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{name:?}: {errors}");
        assert!(errors.contains("expected a host name without a port"), "{errors}");
    }
}

#[test]
fn networks_of_status_clients_are_checked_at_the_start() {
    let refused = |arguments: &[&str]| {
        let output = command(arguments).output().expect("it runs");
        let errors = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{errors}");
        errors
    };
    let errors = refused(&["--status", "127.0.0.1:0", "--status-clients", "192.0.2.0/33"]);
    assert!(errors.contains("expected an IP address or a network"), "{errors}");
    let errors = refused(&["--status-clients", "192.0.2.0/24"]);
    assert!(errors.contains("--status"), "{errors}");
}
