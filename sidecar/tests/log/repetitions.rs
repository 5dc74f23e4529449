//! Warnings that are repeated: one line at once, and their number at the end.

use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::program::{DEADLINE, Sidecar, eventually, sidecar};

/// Sends a wrong password from an address of its own, which none before has delayed, and waits for the answer.
fn wrong_password(controller: SocketAddr, number: u8) {
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let own = SocketAddr::from((Ipv4Addr::new(127, 0, 9, number), 0));
    client.bind(&own.into()).expect("a loopback address");
    client.connect(&controller.into()).expect("it accepts");
    client.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let mut client = TcpStream::from(client);
    client.write_all(b"AUTH wrong\r\n").expect("sent");
    assert!(client.read(&mut [0; 64]).expect("an answer") > 0);
}

#[test]
fn a_repeated_warning_is_logged_once_and_counted_when_it_ceases() {
    const ATTEMPTS: u8 = 9;
    let mut command = sidecar(&["--resp-controller", "127.0.0.1:0"]);
    command.env("SIDECAR_RESP_PASSWORD", "right");
    let mut sidecar = Sidecar::start(command);
    let controller = sidecar.logged("--resp-controller").expect("its address");
    sidecar.logged(": ready");
    let lines = sidecar.lines();
    let wrong = |number| wrong_password(controller, number);
    std::thread::scope(|scope| {
        for number in 1..=ATTEMPTS {
            scope.spawn(move || wrong(number));
        }
    });
    let next = || eventually("a line", || lines.try_recv());
    let first = next();
    assert!(
        first.contains("WARN") && first.contains("a wrong password"),
        "{first}"
    );
    let count = next();
    assert!(
        count.contains("WARN") && count.contains("a wrong password"),
        "{count}"
    );
    assert!(count.contains(&format!("repeated={}", ATTEMPTS - 1)), "{count}");

    // A new spell, which ends with the sidecar.
    wrong(ATTEMPTS + 1);
    wrong(ATTEMPTS + 2);
    let first = next();
    assert!(
        first.contains("a wrong password") && !first.contains("repeated="),
        "{first}"
    );
    sidecar.terminate();
    assert_eq!(sidecar.ended().code(), Some(0));
    let count = eventually("the number", || {
        lines
            .try_recv()
            .map_err(|error| error.to_string())
            .and_then(|line| {
                if line.contains("a wrong password") {
                    Ok(line)
                } else {
                    Err(line)
                }
            })
    });
    assert!(count.contains("repeated=1"), "{count}");
}

#[test]
fn a_shortage_of_descriptors_does_not_flood_the_log() {
    const FILES: usize = 64;
    const HAMMERING: Duration = Duration::from_secs(4);
    let backend = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = backend.local_addr().expect("an address");
    // The server takes connections and never answers: those of the clients pile up.
    std::thread::spawn(move || backend.incoming().collect::<Vec<_>>());
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listener = free.local_addr().expect("an address");
    drop(free);
    let file = tempfile::NamedTempFile::new().expect("a file");
    write!(
        file.as_file(),
        "add server-groups x\n\
         add server-group g timeout 1000 period 100 up 1 down 3\n\
         add server-group g to server-groups x\n\
         add server s to server-group g address {address}\n\
         add tcp-lb lb address {listener} server-groups x\n\
         add tcp-lb other address 127.0.0.1:0 server-groups x\n"
    )
    .expect("written");
    let program = env!("CARGO_BIN_EXE_sidecar");
    let script = format!(
        "ulimit -n {FILES} && exec '{program}' --status 127.0.0.1:0 --load '{}'",
        file.path().display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env_remove("RUST_LOG");
    let mut sidecar = Sidecar::start(command);
    let status = sidecar.logged("--status").expect("its address");
    sidecar.logged(": ready");
    let lines = sidecar.lines();
    // Connections to all its listeners, up to the shortage and on.
    let end = Instant::now() + HAMMERING;
    std::thread::scope(|scope| {
        for number in 0..4 * FILES {
            let address = if number % 4 == 0 { status } else { listener };
            scope.spawn(move || {
                while Instant::now() < end {
                    // Short-lived ones among them, so that descriptors become free and scarce again.
                    let Ok(client) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
                        continue;
                    };
                    let wait = Duration::from_millis(u64::try_from(number % 50).expect("small") * 4);
                    let _ = client.set_read_timeout(Some(wait.max(Duration::from_millis(1))));
                    let _ = (&client).read(&mut [0]);
                }
            });
        }
    });
    sidecar.terminate();
    sidecar.ended();
    let log: Vec<String> = std::iter::from_fn(|| lines.recv_timeout(Duration::from_secs(1)).ok()).collect();
    let warnings: Vec<&String> = log.iter().filter(|line| line.contains("WARN")).collect();
    assert!(log.iter().any(|line| line.contains(": stopped")), "{log:#?}");
    assert!(warnings.len() <= 12, "{} warnings: {warnings:#?}", warnings.len());
}
