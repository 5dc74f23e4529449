//! A sidecar in a mesh on loopback, with a program that knows no mesh.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;

use crate::{DEADLINE, Sidecar, address, command, eventually};

/// The address of the program below.
const LISTEN: &str = "WITHDRAWAL_TEST_LISTEN";
/// Time for which a request to it is in flight.
const ANSWER_DELAY: Duration = Duration::from_millis(50);

/// The program of other tests, in a process of its own: an HTTP server that knows no mesh and ends at once on SIGTERM.
#[test]
#[ignore = "the program of other tests"]
fn server() {
    let Ok(address) = std::env::var(LISTEN) else {
        return;
    };
    for stream in TcpListener::bind(address).expect("its address").incoming() {
        std::thread::spawn(move || {
            let mut stream = stream?;
            let head = BufReader::new(&stream).lines().map_while(Result::ok);
            head.take_while(|line| !line.is_empty()).for_each(drop);
            std::thread::park_timeout(ANSWER_DELAY);
            stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        });
    }
}

/// A sidecar in the mesh of one test.
pub(crate) struct Node {
    pub(crate) sidecar: Sidecar,
    pub(crate) status: SocketAddr,
    _directory: TempDir,
}

impl Node {
    /// A node at a loopback address, with a script, flags, and the server as its program at `listen`.
    #[allow(clippy::disallowed_methods, reason = "there is no runtime to block")]
    pub(crate) fn start(ip: &str, script: &str, flags: &[&str], listen: Option<SocketAddr>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let discovery = format!(
            "discovery.nic = lo\ndiscovery.address = {ip}\ndiscovery.node_name = {ip}\ndiscovery.search.mask = 29\n"
        );
        let (discovery, script) = (write("discovery.conf", &discovery), write("script", script));
        let mut command = command(&["--discovery-config", &discovery, "--load", &script]);
        command.args(["--status", "127.0.0.1:0"]).args(flags);
        if let Some(listen) = listen {
            let server = std::env::current_exe().expect("this test's executable");
            command
                .args(["--".as_ref(), server.as_os_str()])
                .args(["node::server", "--exact", "--ignored"])
                .env(LISTEN, listen.to_string())
                .stdout(Stdio::null());
        }
        let mut sidecar = Sidecar::spawn(&mut command);
        let status = address(&sidecar.logged("--status"));
        sidecar.logged("ready");
        Self {
            sidecar,
            status,
            _directory: directory,
        }
    }

    /// A node whose program is offered as an instance of the service `s`.
    pub(crate) fn offering(ip: &str, flags: &[&str]) -> (Self, SocketAddr) {
        let listen = free(ip);
        let script = format!(
            "add smart-node-delegate d service s zone z nic lo port {}\n",
            listen.port()
        );
        let node = Self::start(ip, &script, flags, Some(listen));
        node.knows(&[listen]);
        (node, listen)
    }

    /// Waits until it knows these instances.
    pub(crate) fn knows(&self, instances: &[SocketAddr]) {
        eventually("the instances are known", || {
            let view = request(self.status, "GET", "/mesh", "").unwrap_or_default();
            let known = |it: &SocketAddr| {
                format!(
                    r#""nodeName":"{0}","address":"{0}","port":{1}"#,
                    it.ip(),
                    it.port()
                )
            };
            instances.iter().all(|it| view.contains(&known(it)))
        });
    }
}

pub(crate) fn free(ip: &str) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

#[allow(clippy::disallowed_methods, reason = "there is no runtime to block")]
pub(crate) fn request(to: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
