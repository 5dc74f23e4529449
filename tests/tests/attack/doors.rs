//! The doors of a sidecar: guessed passwords and silent clients at the RESP controller, foreign names at the HTTP
//! listeners, and clients that never read.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http;
use crate::mesh::{Member, Programs, address, eventually};
use crate::namespace::{Host, Network, isolated};

pub(crate) const RESP: u16 = 16379;
pub(crate) const PASSWORD: &str = "swordfish";

#[test]
fn silent_clients_and_guessers_keep_nobody_out_of_the_resp_controller() {
    isolated(
        "doors::silent_clients_and_guessers_keep_nobody_out_of_the_resp_controller",
        resp,
    );
}

async fn resp(network: Network) {
    const SILENT: usize = 300;
    const GUESSERS: usize = 8;
    let programs = Programs::compiled().await;
    let file = programs.file("password", PASSWORD);
    let arguments = ["--resp-controller", "0.0.0.0:16379", "--resp-password-file"].map(OsStr::new);
    let arguments = [&arguments[..], &[file.as_os_str()]].concat();
    let member = programs.start(network.host("lb", address(15)), &[], &arguments);
    let (attacker, operator) = (
        network.host("attacker", address(66)),
        network.host("operator", address(67)),
    );
    member.answers().await;
    let mut held = Vec::new();
    for _ in 0..SILENT {
        held.push(attacker.connect(member.at(RESP)).await.unwrap());
    }
    // The right password, from the same address and from another one.
    for from in [&attacker, &operator] {
        eventually("a right password gets in", async || {
            log_in(from, &member, PASSWORD).await.err()
        })
        .await;
    }
    let guessing = async {
        loop {
            let guesses = (0..GUESSERS).map(|_| log_in(&attacker, &member, "guess"));
            futures_util::future::join_all(guesses).await;
        }
    };
    let entering = async {
        for from in [&attacker, &operator] {
            eventually("a right password gets in", async || {
                log_in(from, &member, PASSWORD).await.err()
            })
            .await;
        }
    };
    tokio::select! {
        () = entering => {}
        () = guessing => unreachable!("they go on"),
    }
}

/// Authenticates from a host; fails with the answer.
pub(crate) async fn log_in(from: &Host, at: &Member, password: &str) -> Result<(), String> {
    let attempt = async {
        let mut stream = from.connect(at.at(RESP)).await?;
        stream
            .write_all(format!("AUTH {password}\r\n").as_bytes())
            .await?;
        let mut answer = vec![0; 100];
        let read = stream.read(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
    };
    match tokio::time::timeout(Duration::from_secs(10), attempt).await {
        Ok(Ok(answer)) if answer.starts_with("+OK") => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn a_rebound_name_reads_neither_controller_nor_status() {
    isolated(
        "doors::a_rebound_name_reads_neither_controller_nor_status",
        rebound,
    );
}

async fn rebound(network: Network) {
    let programs = Programs::compiled().await;
    let member = programs.start(network.host("lb", address(15)), &[], &[]);
    member.answers().await;
    let local = |port| (Ipv4Addr::LOCALHOST, port);
    for (port, path) in [(18080, "/api/v1/module/tcp-lb"), (9090, "/mesh")] {
        let cases = [
            ("Host: rebound.example.com\r\n", 421),
            ("Host: rebound.example.com:9090\r\n", 421),
            ("Host: 127.0.0.1.example.com\r\n", 421),
            ("Host: localhost.example.com\r\n", 421),
            ("", 400),
            ("Host: localhost\r\nHost: rebound.example.com\r\n", 400),
            ("Host: localhost\r\n", 200),
            ("Host: lb\r\n", 200),
            ("Host: 127.0.0.1:1\r\n", 200),
            ("Host: [::1]:1\r\n", 200),
        ];
        for (host, expected) in cases {
            let request = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
            let stream = member.host.connect(local(port)).await.unwrap();
            let (status, body) = http::ask(stream, &request).await.unwrap();
            assert_eq!(status, expected, "port {port}, {host:?}: {body}");
        }
    }
}

#[test]
fn clients_that_never_read_pin_a_bounded_amount_of_memory() {
    isolated(
        "doors::clients_that_never_read_pin_a_bounded_amount_of_memory",
        slow_readers,
    );
}

async fn slow_readers(network: Network) {
    const CLIENTS: u64 = 200;
    /// Bytes in the kernel for each connection of a client, which has two sockets.
    const EACH: u64 = 1536 * 1024;
    let programs = Programs::compiled().await;
    let commands = "add server-groups gs
add server-group g timeout 500 period 1000 up 1 down 3
add server-group g to server-groups gs
add server s to server-group g address 10.77.0.99:4000
add tcp-lb slow address 0.0.0.0:8083 server-groups gs
";
    let file = programs.file("slow.conf", commands);
    let bystander = network.host("bystander", address(99));
    let listener = bystander.listen((bystander.address, 4000));
    let sending = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Detached: ends with its connection.
            tokio::spawn(send_forever(stream));
        }
    });
    let member = programs.start(
        network.host("other", address(15)),
        &[],
        &["--load".as_ref(), file.as_os_str()],
    );
    let attacker = network.host("attacker", address(66));
    member.answers().await;
    let mut held = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = attacker.connect(member.at(8083)).await.unwrap();
        let first = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0])).await;
        assert_eq!(first.unwrap().unwrap(), 1, "the server's first byte");
        held.push(stream);
    }
    // Nothing moves any more.
    let (mut last, mut same) = (0, 0);
    eventually("the buffers are full", async || {
        let now = pinned(&member.host);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        (same < 20).then(|| format!("{now} bytes"))
    })
    .await;
    println!(
        "{CLIENTS} clients that never read pin {last} bytes of the sidecar's kernel, {} each",
        last / CLIENTS
    );
    sending.abort();
    assert!(last <= CLIENTS * EACH, "{last} bytes for {CLIENTS} clients");
}

async fn send_forever(mut stream: TcpStream) {
    let part = vec![b'x'; 64 * 1024];
    while stream.write_all(&part).await.is_ok() {}
}

/// Bytes that the sockets of a host hold: received and not read, and sent and not acknowledged.
fn pinned(host: &Host) -> u64 {
    let output = host.command("ss".as_ref()).args(["-tmnH"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let memory = text
        .split("skmem:(")
        .skip(1)
        .filter_map(|it| it.split(')').next());
    let fields = memory.flat_map(|it| it.split(','));
    let held = fields.filter_map(|field| {
        let (name, digits) = field.split_at(field.find(|c: char| c.is_ascii_digit())?);
        matches!(name, "r" | "t" | "w" | "f").then(|| digits.parse::<u64>().ok())?
    });
    held.sum()
}
