//! Checks of a waypoint against programs that do not answer.

use std::net::SocketAddr;
use std::process::{Child, Stdio};

use super::name_server::NameServer;
use super::world::{Waypoint, command, free_port_of_two};

/// A program with a page `/healthz`: a sidecar. Killed when dropped.
struct Program(Child);

impl Program {
    fn start(address: SocketAddr) -> Self {
        let mut command = command(&["--status", &address.to_string()]);
        Self(command.stderr(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, signal: &str) {
        super::kill::kill(signal, &self.0.id().to_string());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a request through the waypoint is answered.
fn answers(port: u16) -> bool {
    let url = format!("http://127.0.0.1:{port}/healthz");
    let output = command(&["probe", &url]).output().unwrap();
    output.status.success()
}

/// The kernel goes on completing its handshakes.
#[test]
fn a_frozen_program_is_out_with_an_http_check_until_it_goes_on() {
    let server = NameServer::answering(&["127.0.0.2", "127.0.0.3"]);
    let (port, one, two) = free_port_of_two();
    drop((one, two));
    let address = |ip: [u8; 4]| SocketAddr::from((ip, port));
    let (frozen, _other) = (
        Program::start(address([127, 0, 0, 2])),
        Program::start(address([127, 0, 0, 3])),
    );
    let target = format!("api:{port}");
    let waypoint = Waypoint::start(&server, &["--check", "http:/healthz", &target]);
    waypoint.logged("server is UP", 2);
    waypoint.eventually("the port answers", || answers(port));
    frozen.signal("-STOP");
    waypoint.logged("server is DOWN", 1);
    for _ in 0..10 {
        assert!(
            answers(port),
            "a request met the frozen program: {}",
            waypoint.log()
        );
    }
    frozen.signal("-CONT");
    waypoint.logged("server is UP", 3);
}
