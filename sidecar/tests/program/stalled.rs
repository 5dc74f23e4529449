//! A sidecar that stalls, stopped by a signal, while its service goes on.
#![allow(clippy::disallowed_methods, reason = "there is no runtime to block")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::{DEADLINE, Sidecar, eventually};

/// A service that sends its name and then echoes, on a thread for each connection; at any address, since its sidecar
/// announces its own.
fn service(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                writeln!(client, "{name}")?;
                std::io::copy(&mut client.try_clone()?, &mut client)
            });
        }
    });
    address
}

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

/// A sidecar of this mesh, at this host of a network that no other test has.
fn start(test: u8, host: u8, commands: &str) -> Sidecar {
    let process = std::process::id();
    let network = format!(
        "127.{}.{}",
        64 + process % 128,
        process / 128 % 64 * 4 + u32::from(test)
    );
    let discovery = file(&format!(
        "discovery.nic = lo\ndiscovery.address = {network}.{host}\ndiscovery.node_name = node{host}\n"
    ));
    let commands = file(commands);
    let path = |file: &NamedTempFile| file.path().display().to_string();
    let mut sidecar = Sidecar::start(&[
        "--discovery-config",
        &path(&discovery),
        "--load",
        &path(&commands),
    ]);
    sidecar.logged("ready");
    sidecar
}

fn offering(test: u8, host: u8, service: SocketAddr) -> Sidecar {
    let port = service.port();
    start(
        test,
        host,
        &format!("add smart-node-delegate d service s zone z nic lo port {port}\n"),
    )
}

/// A sidecar that balances, with a tcp-lb and a socks5-server.
struct Balancer {
    sidecar: Sidecar,
    lb: SocketAddr,
    socks5: SocketAddr,
}

impl Balancer {
    fn start(test: u8) -> Self {
        let (lb, socks5) = (free_address(), free_address());
        let commands = format!(
            "add server-groups sgs\nadd server-group g:80 timeout 500 period 1000 up 2 down 3\n\
             add server-group g:80 to server-groups sgs\n\
             add tcp-lb lb address {lb} server-groups sgs\n\
             add socks5-server s5 address {socks5} server-groups sgs\n\
             add smart-group-delegate d service s zone z server-group g:80\n"
        );
        Self {
            sidecar: start(test, 1, &commands),
            lb,
            socks5,
        }
    }

    /// The name that an instance sends through the load balancer, and the connection.
    fn through_lb(&self) -> std::io::Result<(String, BufReader<TcpStream>)> {
        let client = TcpStream::connect(self.lb)?;
        client.set_read_timeout(Some(DEADLINE))?;
        name(client)
    }

    fn through_socks5(&self) -> std::io::Result<(String, BufReader<TcpStream>)> {
        let mut client = TcpStream::connect(self.socks5)?;
        client.set_read_timeout(Some(DEADLINE))?;
        client.write_all(&[5, 1, 0, 5, 1, 0, 3, 1, b'g', 0, 80])?;
        let mut replies = [0; 12];
        client.read_exact(&mut replies)?;
        if replies[3] != 0 {
            return Err(std::io::Error::other(format!("reply {}", replies[3])));
        }
        name(client)
    }

    /// Makes a request on each path; both must be answered by this instance.
    fn answers(&self, expected: &str, when: &str) {
        for reached in [self.through_lb(), self.through_socks5()] {
            match reached {
                Ok((name, _)) => assert_eq!(name, expected, "{when}"),
                Err(error) => panic!("a request failed {when}: {error}"),
            }
        }
    }

    /// Waits until this many instances have answered.
    fn knows(&self, instances: usize) {
        let mut seen = std::collections::BTreeSet::new();
        eventually("every instance answers", || {
            seen.extend(self.through_lb().ok().map(|(name, _)| name));
            seen.len() == instances
        });
    }

    /// Makes requests until a text is in the log, and some more.
    fn answers_until_logged(&mut self, expected: &str, text: &str) {
        while !self.sidecar.seen.contains(text) {
            self.answers(expected, &format!("before {text:?} is in the log"));
            if let Ok(line) = self.sidecar.log.recv_timeout(Duration::from_millis(5)) {
                self.sidecar.seen.push_str(&line);
            }
        }
        for _ in 0..20 {
            self.answers(expected, &format!("after {text:?} is in the log"));
        }
    }
}

fn name(client: TcpStream) -> std::io::Result<(String, BufReader<TcpStream>)> {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    match client.read_line(&mut line)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok((line.trim_end().to_owned(), client)),
    }
}

fn echoes(client: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    client.get_mut().write_all(b"still\n")?;
    let mut line = String::new();
    client.read_line(&mut line)?;
    if line == "still\n" {
        Ok(())
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}

#[test]
fn no_request_fails_while_the_sidecar_of_the_only_instance_stalls() {
    let only = offering(0, 2, service("only"));
    let mut balancer = Balancer::start(0);
    balancer.knows(1);
    let (_, mut open) = balancer.through_lb().expect("an answer");
    only.signal("-STOP");
    balancer.answers_until_logged("only", "discovery: lost");
    only.signal("-CONT");
    for _ in 0..50 {
        balancer.answers("only", "after the sidecar goes on");
    }
    echoes(&mut open).expect("an open connection lives on");
}

#[test]
fn a_stalled_sidecars_instance_gets_no_connection_while_another_is_up_and_its_open_ones_end() {
    let (stalls, _other) = (
        offering(1, 2, service("stalls")),
        offering(1, 3, service("other")),
    );
    let mut balancer = Balancer::start(1);
    balancer.knows(2);
    let mut open = None;
    eventually("a connection to the instance", || {
        open = balancer.through_lb().ok().filter(|(name, _)| name == "stalls");
        open.is_some()
    });
    stalls.signal("-STOP");
    balancer.sidecar.logged("discovery: lost");
    let (_, mut open) = open.expect("a connection");
    eventually("its open connection ends", || echoes(&mut open).is_err());
    for _ in 0..20 {
        balancer.answers("other", "after the node is lost");
    }
    stalls.signal("-CONT");
    balancer.knows(2);
}
