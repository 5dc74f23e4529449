//! A stop withdraws the program's instances from the mesh before the program gets the signal.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::node::{Node, free, request};
use crate::{address, eventually};

/// Clients that send requests one after the other until this is dropped.
struct Traffic {
    ended: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
}

impl Traffic {
    fn start(to: SocketAddr) -> Self {
        let traffic = Self {
            ended: Arc::default(),
            answered: Arc::default(),
            failed: Arc::default(),
        };
        for _ in 0..8 {
            let (ended, answered) = (Arc::clone(&traffic.ended), Arc::clone(&traffic.answered));
            let failed = Arc::clone(&traffic.failed);
            std::thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    match request(to, "GET", "/", "") {
                        Ok(answer) if answer.ends_with("hello") => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        other => failed.lock().expect("no panic").push(format!("{other:?}")),
                    }
                }
            });
        }
        traffic
    }

    /// Waits for this number of further answers.
    fn goes_on(&self, answers: usize) {
        let before = self.answered.load(Ordering::Relaxed);
        eventually("requests are answered", || {
            self.answered.load(Ordering::Relaxed) >= before + answers
        });
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_request_is_lost_if_the_program_ends_at_once_on_a_signal() {
    let (mut stopped, first) = Node::offering("127.61.40.1", &[]);
    let (_other, second) = Node::offering("127.61.40.2", &[]);
    let door = free("127.0.0.1");
    let script = format!(
        "add server-group g timeout 500 period 200 up 1 down 3\nadd server-groups gs\nadd server-group g to server-groups gs\n\
         add smart-group-delegate d service s zone z server-group g\nadd tcp-lb lb address {door} server-groups gs\n"
    );
    let balancer = Node::start("127.61.40.3", &script, &[], None);
    balancer.knows(&[first, second]);

    let traffic = Traffic::start(door);
    traffic.goes_on(40);
    stopped.sidecar.signal("-TERM");
    stopped.sidecar.logged("withdrawn from the mesh");
    assert_eq!(
        stopped.sidecar.code(),
        Some(128 + 15),
        "the program ended by the signal"
    );
    traffic.goes_on(40);
    let failed = traffic.failed.lock().expect("no panic");
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_registration_is_down_and_can_be_removed_after_the_withdrawal() {
    let flags = ["--withdraw", "3600", "--http-controller", "127.0.0.1:0"];
    let (mut node, _) = Node::offering("127.61.41.1", &flags);
    let line = node
        .sidecar
        .seen
        .lines()
        .find(|line| line.contains("--http-controller"));
    let controller = address(line.expect("the controller's address"));
    let path = "/api/v1/module/smart-node-delegate";
    let ask = |method, path: &str, body| request(controller, method, path, body).expect("an answer");
    let registration = format!("{path}/d");
    let before = ask("GET", &registration, "");
    assert!(before.contains(r#""status":"UP""#), "{before}");

    node.sidecar.signal("-INT");
    node.sidecar.logged("withdrawn from the mesh");
    assert!(ask("GET", &registration, "").contains(r#""status":"DOWN""#));
    let another = r#"{"name":"e","service":"s","zone":"z","nic":"lo"}"#;
    let refused = ask("POST", path, another);
    assert!(
        refused.starts_with("HTTP/1.1 400") && refused.contains("is stopping"),
        "{refused}"
    );
    let removed = ask("DELETE", &registration, "");
    assert!(removed.starts_with("HTTP/1.1 204"), "{removed}");
    assert!(
        ask("DELETE", &registration, "").starts_with("HTTP/1.1 400"),
        "it is removed once"
    );

    node.sidecar.signal("-QUIT");
    node.sidecar.logged("the program is killed by=SIGQUIT");
    assert_eq!(node.sidecar.code(), Some(128 + 9), "the delay was cut short");
}

#[test]
fn without_a_withdrawal_the_program_is_signalled_at_once() {
    let (mut node, _) = Node::offering("127.61.42.1", &["--withdraw", "0"]);
    node.sidecar.signal("-TERM");
    assert_eq!(node.sidecar.code(), Some(128 + 15));
    assert!(!node.sidecar.seen.contains("withdrawn"), "{}", node.sidecar.seen);

    let script = "add smart-node-delegate d service s zone z nic lo port 1\n";
    let mut node = Node::start(
        "127.61.42.2",
        script,
        &["--withdraw", "3600"],
        Some(free("127.61.42.2")),
    );
    node.sidecar.signal("-TERM");
    assert_eq!(
        node.sidecar.code(),
        Some(128 + 15),
        "the program is no instance: {}",
        node.sidecar.seen
    );
}
