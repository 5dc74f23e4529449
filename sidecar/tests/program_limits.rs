//! The sidecar's own program where the system has little to give.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running program; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address of loopback that nobody listens on now.
fn free_address() -> SocketAddr {
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    held.local_addr().expect("an address")
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Whether a byte comes back.
fn is_served(mut client: &TcpStream) -> std::io::Result<()> {
    client.write_all(b"x")?;
    client.read_exact(&mut [0])
}

/// Echoes each client's bytes, for as long as the test runs.
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
fn connections_that_there_are_no_descriptors_for_wait() {
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
    let deadline = Instant::now() + PATIENCE;
    while !connect(address).is_ok_and(|client| is_served(&client).is_ok()) {
        assert!(
            Instant::now() < deadline,
            "the sidecar at {address} serves nobody"
        );
        std::thread::park_timeout(Duration::from_millis(10));
    }
    // Each would take two.
    let clients: Vec<TcpStream> = (0..FILES)
        .map(|_| connect(address).expect("a connection"))
        .collect();
    // Those that were accepted first go first, and make room.
    for (number, client) in clients.into_iter().enumerate() {
        is_served(&client).unwrap_or_else(|error| panic!("client {number} was not served: {error}"));
    }
}

#[test]
fn its_program_has_the_limit_of_files_that_it_was_itself_given() {
    // The program waits until the sidecar's own limit, the fourth word of its line, is the hard one behind it.
    let program = "[ $(ulimit -Sn) = 200 ] && [ $(ulimit -Hn) = 300 ] || exit 1
        until set -- $(grep '^Max open files' /proc/$PPID/limits) && [ $4 = $5 ]; do sleep 0.01; done";
    let script = format!(
        "ulimit -Sn 200 && ulimit -Hn 300 && exec '{}' -- sh -c \"$0\"",
        env!("CARGO_BIN_EXE_sidecar")
    );
    let output = Command::new("timeout")
        .args([&PATIENCE.as_secs().to_string(), "sh", "-c", &script, program])
        .output()
        .expect("a shell runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[test]
fn too_few_threads_for_the_workers_are_told() {
    let sidecar = env!("CARGO_BIN_EXE_sidecar");
    // Room for the stacks of some workers, and far from all.
    let script = format!("ulimit -v 300000 && exec '{sidecar}' --workers 256");
    let output = Command::new("sh").args(["-c", &script]).output();
    let output = output.expect("a shell runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot start the workers"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}
