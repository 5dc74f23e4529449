//! Restarts by SIGUSR2, with real processes.

mod failure;
mod keyed;
mod load;
mod mesh;
mod parent;
mod state;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tempfile::NamedTempFile;

use crate::{DEADLINE, Sidecar, address, eventually};
use load::{Load, Service};

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

fn name(file: &NamedTempFile) -> String {
    file.path().display().to_string()
}

/// Commands for a load balancer on a free port, with one server.
fn balanced(server: SocketAddr) -> String {
    format!(
        "add server-groups s\n\
         add server-group g timeout 1000 period 100 up 1 down 3\n\
         add server-group g to server-groups s\n\
         add server b to server-group g address {server}\n\
         add tcp-lb lb address 127.0.0.1:0 server-groups s\n"
    )
}

/// One request over HTTP, and the answer.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut page = TcpStream::connect_timeout(&address, DEADLINE).expect("a connection");
    page.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    page.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    page.read_to_string(&mut answer).expect("an answer");
    answer
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )
}

/// The address of the only load balancer, as the HTTP controller lists it.
fn listener(controller: SocketAddr) -> SocketAddr {
    let list = get(controller, "/api/v1/module/tcp-lb");
    let text = list
        .split("\"address\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    text.and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no address: {list}"))
}

/// A sidecar with a load balancer before the service, an HTTP controller and a status listener.
fn start(service: &Service, more: &[&str]) -> (Sidecar, SocketAddr, SocketAddr) {
    let config = file(&balanced(service.address));
    let name = name(&config);
    let mut arguments = vec!["--load", &name, "--drain", "20"];
    arguments.extend(["--http-controller", "127.0.0.1:0", "--status", "127.0.0.1:0"]);
    arguments.extend(more);
    let mut sidecar = Sidecar::start(&arguments);
    let controller = address(&sidecar.logged("--http-controller"));
    let status = address(&sidecar.logged("--status"));
    sidecar.logged("ready");
    (sidecar, controller, status)
}

/// Waits until the load balancer has a server that is up.
fn serves(listener: SocketAddr) {
    eventually("a request is answered", || load::request(listener, b'f').is_ok());
}

/// Restarts a sidecar, and waits until its successor serves.
fn restart(sidecar: &mut Sidecar) -> String {
    sidecar.signal("-USR2");
    let line = sidecar.logged("restarted: the successor serves");
    let successor = line.split("successor=").nth(1).expect("its process");
    successor.trim().to_owned()
}

/// Asks again and again until told to stop; returns the number of answers, or the first that is not as it should be.
fn watch(
    stop: &Arc<AtomicBool>,
    ask: impl Fn() -> Result<(), String> + Send + 'static,
) -> JoinHandle<Result<u32, String>> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        let mut answers = 0;
        while !stop.load(Ordering::Relaxed) {
            ask()?;
            answers += 1;
        }
        Ok(answers)
    })
}

/// Ends a watch, which must have had answers.
fn watched(watcher: JoinHandle<Result<u32, String>>) {
    let answers = watcher
        .join()
        .expect("no panic")
        .unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(answers > 0);
}

#[test]
fn no_request_fails_during_five_restarts() {
    let service = Service::start("127.0.0.1:0");
    let (mut sidecar, controller, status) = start(&service, &[]);
    let listener = listener(controller);
    serves(listener);
    let load = Load::start(listener);
    let stop = Arc::new(AtomicBool::new(false));
    let ready = watch(&stop, move || {
        let answer = get(status, "/readyz");
        answer.starts_with("HTTP/1.1 200").then_some(()).ok_or(answer)
    });
    let mut processes = vec![sidecar.process.id().to_string()];
    for _ in 0..5 {
        load.goes_on();
        processes.push(restart(&mut sidecar));
    }
    load.goes_on();
    let (requests, failures) = load.end();
    assert!(
        failures.is_empty(),
        "of {requests}: {failures:#?}\n{}",
        sidecar.seen
    );
    stop.store(true, Ordering::Relaxed);
    watched(ready);
    processes.dedup();
    assert_eq!(processes.len(), 6, "{processes:?}");
    sidecar.signal("-TERM");
    assert_eq!(sidecar.code(), Some(0));
}
