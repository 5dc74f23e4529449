//! A waypoint on 127.0.0.1, and endpoints at other addresses of loopback.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::kill::kill;
use super::name_server::NameServer;

pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// A running waypoint; killed when dropped.
pub(crate) struct Waypoint {
    process: Child,
    log: Arc<Mutex<String>>,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("env");
    command
        .args(["--default-signal", env!("CARGO_BIN_EXE_sidecar")])
        .args(arguments)
        .env_remove("RUST_LOG");
    command
}

impl Waypoint {
    pub(crate) fn start(server: &NameServer, arguments: &[&str]) -> Self {
        let resolver = server.address.to_string();
        let mut command = command(&[
            "waypoint",
            "--resolve-networks",
            "127.0.0.0/8",
            "--resolver",
            &resolver,
        ]);
        command
            .args(["--listen", "127.0.0.1", "--status", "127.0.0.1:0"])
            .args(arguments);
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let errors = BufReader::new(process.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let mut seen = seen.lock().unwrap();
                seen.push_str(&line);
                seen.push('\n');
            }
        });
        Self { process, log }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log contains a text, this often.
    pub(crate) fn logged(&self, text: &str, times: usize) {
        self.eventually(&format!("{text:?} in the log"), || {
            self.log().matches(text).count() >= times
        });
    }

    /// Waits until a condition holds.
    pub(crate) fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds() {
            assert!(
                Instant::now() < deadline,
                "not in time: {what}; the log:\n{}",
                self.log()
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// The address of its status listener.
    pub(crate) fn status(&self) -> SocketAddr {
        self.logged("--status address=", 1);
        let log = self.log();
        let line = log
            .lines()
            .find(|line| line.contains("--status address="))
            .unwrap();
        line.split("address=").nth(1).unwrap().trim().parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, &self.process.id().to_string());
    }

    pub(crate) fn code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "it does not end; its log:\n{}",
                self.log()
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Waits until a port of the waypoint refuses connections.
    pub(crate) fn refuses(&self, port: u16) {
        self.eventually(&format!("port {port} refuses connections"), || {
            let error = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).err();
            error.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        });
    }

    /// Waits until a connection to a port of the waypoint reaches an endpoint, and returns the endpoint's name.
    pub(crate) fn reaches(&self, port: u16) -> String {
        let mut name = None;
        self.eventually(&format!("port {port} leads to an endpoint"), || {
            name = ask(port);
            name.is_some()
        });
        name.unwrap()
    }
}

impl Drop for Waypoint {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The name of the endpoint that a connection to a port of the waypoint reaches, if one does.
pub(crate) fn ask(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"?").ok()?;
    let mut name = String::new();
    stream.read_to_string(&mut name).ok()?;
    (!name.is_empty()).then_some(name)
}

/// A port that was free at 127.0.0.1, and a socket at 127.0.0.2 that holds it.
pub(crate) fn free_port() -> (u16, Socket) {
    loop {
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = probe.local_addr().unwrap().port();
        drop(probe);
        if let Some(socket) = bound([127, 0, 0, 2], port) {
            return (port, socket);
        }
    }
}

/// A port as [`free_port`] finds it, with a socket at 127.0.0.3 as well.
pub(crate) fn free_port_of_two() -> (u16, Socket, Socket) {
    loop {
        let (port, one) = free_port();
        if let Some(two) = bound([127, 0, 0, 3], port) {
            return (port, one, two);
        }
    }
}

/// A socket at an address of loopback that does not listen yet.
pub(crate) fn bound(ip: [u8; 4], port: u16) -> Option<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((ip, port)).into()).ok()?;
    Some(socket)
}

/// An endpoint that takes connections until it is dropped.
pub(crate) struct Endpoint {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Endpoint {
    /// One that answers what it gets first with its name, and ends the connection.
    pub(crate) fn listen(socket: Socket, name: &'static str) -> Self {
        Self::serving(socket, move |mut stream| {
            // A check sends nothing.
            if stream.read(&mut [0])? > 0 {
                stream.write_all(name.as_bytes())?;
            }
            Ok(())
        })
    }

    /// One that serves each connection on a thread of its own.
    pub(crate) fn serving<F>(socket: Socket, serve: F) -> Self
    where
        F: Fn(TcpStream) -> std::io::Result<()> + Clone + Send + 'static,
    {
        socket.listen(128).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream?));
            }
        });
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accept.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
