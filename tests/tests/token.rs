//! A service that registers with a sidecar whose controller requires a token.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;

use tests::{compiled, end, signal};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// A loopback address that only this test uses.
const NODE: &str = "127.61.9.1";

/// An address on which nothing listens.
fn free_address() -> SocketAddr {
    TcpListener::bind((NODE, 0)).unwrap().local_addr().unwrap()
}

/// Starts a sidecar with the service. Returns the process and the log of both.
async fn start(directory: &Path, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStderr>>) {
    let discovery = directory.join("discovery.conf");
    let text = format!("discovery.nic = lo\ndiscovery.address = {NODE}\ndiscovery.search.mask = 32\n");
    std::fs::write(&discovery, text).unwrap();
    let token = directory.join("token");
    std::fs::write(&token, "open sesame\n").unwrap();
    let address = free_address().to_string();
    let mut command = Command::new(compiled("sidecar").await.unwrap());
    command
        .args(["--http-controller", &address, "--http-token-file"])
        .arg(&token)
        .arg("--discovery-config")
        .arg(&discovery)
        .arg("--")
        .arg(compiled("example-services").await.unwrap())
        .args(["service", "a", "--nic", "lo", "--listen", NODE])
        .args(["--sidecar", &format!("http://{address}")])
        .args(arguments)
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, log)
}

/// Reads the log up to the first line that contains `text`; panics with the log if there is none.
async fn logged(log: &mut Lines<BufReader<ChildStderr>>, text: &str) {
    let mut all = String::new();
    while let Some(line) = log.next_line().await.unwrap() {
        if line.contains(text) {
            return;
        }
        all = all + &line + "\n";
    }
    panic!("the log ended without {text:?}:\n{all}");
}

#[tokio::test]
async fn a_service_registers_only_with_the_token() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, mut log) = start(directory.path(), &[]).await;
    logged(&mut log, "401").await;
    assert_eq!(end(&mut child).await.unwrap().code(), Some(1));

    let token = directory.path().join("token").display().to_string();
    let (mut child, mut log) = start(directory.path(), &["--token-file", &token]).await;
    logged(&mut log, "registered as my-service-a_example").await;
    signal(&child, "TERM").await.unwrap();
    logged(&mut log, "stopping").await;
    assert_eq!(end(&mut child).await.unwrap().code(), Some(0));
}
