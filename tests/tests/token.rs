//! A service that registers with a sidecar whose controller requires a token.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use harness::http;
use tests::{compiled, end, signal};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// An address on which nothing listens, at a loopback address that only one of these tests uses.
fn free_address(host: u8) -> SocketAddr {
    let ip = Ipv4Addr::new(127, 61, 9, host);
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}

/// Starts a sidecar with the service. Its controller is at `address`, as is its node, and requires the token that `required` describes.
/// Returns the process and the log of both.
async fn start_at(
    address: SocketAddr,
    directory: &Path,
    required: &[&str],
    arguments: &[&str],
) -> (Child, Lines<BufReader<ChildStderr>>) {
    let discovery = directory.join("discovery.conf");
    let node = address.ip().to_string();
    let text = format!("discovery.nic = lo\ndiscovery.address = {node}\ndiscovery.search.mask = 32\n");
    std::fs::write(&discovery, text).unwrap();
    let mut command = Command::new(compiled("sidecar").await.unwrap());
    command
        .args(["--http-controller", &address.to_string()])
        .args(required)
        .arg("--discovery-config")
        .arg(&discovery)
        .arg("--")
        .arg(compiled("example-services").await.unwrap())
        .args(["service", "a", "--nic", "lo", "--listen", &node])
        .args(["--sidecar", &format!("http://{address}")])
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("SIDECAR_HTTP_TOKEN")
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, log)
}

/// As [`start_at`], with a token in a file.
async fn start(directory: &Path, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStderr>>) {
    let token = directory.join("token");
    std::fs::write(&token, "open sesame\n").unwrap();
    let required = ["--http-token-file", token.to_str().unwrap()];
    start_at(free_address(1), directory, &required, arguments).await
}

/// The status of an answer to a request for all registrations, with this token.
async fn status(address: SocketAddr, token: Option<&str>) -> u16 {
    let target = "/api/v1/module/smart-node-delegate";
    let limit = Duration::from_secs(10);
    let answered = match token {
        Some(token) => http::get_as(token, address, target, limit).await,
        None => http::get(address, target, limit).await,
    };
    answered.unwrap().status
}

/// The only child of a process.
fn child_of(process: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
    children.trim().parse().unwrap()
}

/// An environment variable of a process.
fn variable(process: u32, name: &str) -> Option<String> {
    let all = std::fs::read(format!("/proc/{process}/environ")).unwrap();
    let all = String::from_utf8(all).unwrap();
    let mut pairs = all.split('\0').filter_map(|pair| pair.split_once('='));
    Some(pairs.find(|(found, _)| *found == name)?.1.to_owned())
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

#[tokio::test]
async fn a_token_made_at_the_start_is_known_to_the_program_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let address = free_address(2);
        let required = ["--http-program-token"];
        let (mut child, mut log) = start_at(address, directory.path(), &required, &[]).await;
        logged(&mut log, "registered as my-service-a_example").await;
        // This process is not the sidecar's program.
        for guess in [None, Some(""), Some("SIDECAR_HTTP_TOKEN")] {
            assert_eq!(status(address, guess).await, 401, "{guess:?}");
        }
        let program = child_of(child.id().unwrap());
        let given = variable(program, "SIDECAR_HTTP_TOKEN").expect("the program's token");
        assert_eq!(variable(child.id().unwrap(), "SIDECAR_HTTP_TOKEN"), None);
        assert_eq!(status(address, Some(&given)).await, 200);
        tokens.push(given);
        signal(&child, "TERM").await.unwrap();
        assert_eq!(end(&mut child).await.unwrap().code(), Some(0));
    }
    assert!(
        tokens[0].len() >= 43 && tokens[0] != tokens[1],
        "256 random bits each"
    );
}

#[test]
fn the_shipped_mesh_has_no_controller_that_another_process_can_command() {
    let compose = include_str!("../../compose/compose.yaml");
    let lines: Vec<&str> = compose.lines().map(str::trim).collect();
    let is_flag = |at: &usize| lines[*at] == "- --http-controller";
    let controllers: Vec<usize> = (0..lines.len()).filter(is_flag).collect();
    assert!(!controllers.is_empty());
    for at in controllers {
        assert_eq!(lines[at + 2], "- --http-program-token", "after line {}", at + 1);
    }
    assert!(!compose.contains("--resp-controller"));
}
