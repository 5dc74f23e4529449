//! The sidecar's executable under low resource limits.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

/// A running program; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A free loopback address.
fn free_address() -> SocketAddr {
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    held.local_addr().expect("an address")
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// Whether a byte is echoed.
fn is_served(mut client: &TcpStream) -> std::io::Result<()> {
    client.write_all(b"x")?;
    client.read_exact(&mut [0])
}

/// Echoes the bytes of each client until the test ends.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &client, &mut &client));
        }
    });
    address
}

#[test]
fn connections_without_free_descriptors_wait() {
    const FILES: usize = 96;
    let (backend, address) = (echo(), free_address());
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = format!(
        "add server-groups x\n\
         add server-group g timeout 1000 period 100 up 1 down 3\n\
         add server-group g to server-groups x\n\
         add server s to server-group g address {backend}\n\
         add tcp-lb lb address {address} server-groups x\n"
    );
    std::fs::write(file.path(), text).expect("written");
    let script = format!(
        "ulimit -n {FILES} && exec '{}' --load '{}'",
        env!("CARGO_BIN_EXE_sidecar"),
        file.path().display()
    );
    let _sidecar = Running(
        Command::new("sh")
            .args(["-c", &script])
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell runs"),
    );
    let deadline = Instant::now() + DEADLINE;
    while !connect(address).is_ok_and(|client| is_served(&client).is_ok()) {
        assert!(
            Instant::now() < deadline,
            "the sidecar at {address} does not serve"
        );
        std::thread::park_timeout(Duration::from_millis(10));
    }
    // Each takes two descriptors.
    let clients: Vec<TcpStream> = (0..FILES)
        .map(|_| connect(address).expect("a connection"))
        .collect();
    // Clients are served in the order of their acceptance, and then free their descriptors.
    for (number, client) in clients.into_iter().enumerate() {
        is_served(&client).unwrap_or_else(|error| panic!("client {number} was not served: {error}"));
    }
}

#[test]
fn the_program_gets_the_limit_of_files_that_the_sidecar_inherited() {
    // The script waits until the sidecar's soft limit (the fourth word of its line) equals the hard limit after it.
    let program = "[ $(ulimit -Sn) = 200 ] && [ $(ulimit -Hn) = 300 ] || exit 1
        until set -- $(grep '^Max open files' /proc/$PPID/limits) && [ $4 = $5 ]; do sleep 0.01; done";
    let script = format!(
        "ulimit -Sn 200 && ulimit -Hn 300 && exec '{}' -- sh -c \"$0\"",
        env!("CARGO_BIN_EXE_sidecar")
    );
    let output = Command::new("timeout")
        .args([&DEADLINE.as_secs().to_string(), "sh", "-c", &script, program])
        .output()
        .expect("a shell runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
}

#[test]
fn workers_that_cannot_be_started_are_reported() {
    // Enough descriptors for some workers, but not for all.
    let script = format!(
        "ulimit -n 64 && exec '{}' --workers 256",
        env!("CARGO_BIN_EXE_sidecar")
    );
    let output = Command::new("sh").args(["-c", &script]).output();
    let output = output.expect("a shell runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("cannot start the workers"), "{log}");
    assert_eq!(output.status.code(), Some(1), "{log}");
}
