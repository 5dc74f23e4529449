//! What a service answers, and that its stop loses no request.

use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::fake_sidecar::FakeSidecar;
use crate::http::{ask, get, read_answer, until};
use crate::process::Process;

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

async fn start(args: &[&str]) -> (FakeSidecar, Process) {
    let sidecar = FakeSidecar::start().await;
    let service = Process::service(&[args, &["--sidecar", &sidecar.url]].concat());
    service.logged("registered as").await;
    (sidecar, service)
}

#[tokio::test]
async fn says_who_it_is() {
    let (sidecar, _service) = start(&["b"]).await;
    let address = sidecar.allocated();
    let answer = get(address, "/").await;
    let expected = format!(
        "{{\"service\":\"b\",\"host\":\"{}\",\"port\":{}}}\n",
        host(),
        address.port()
    );
    assert_eq!((answer.status, answer.body), (200, expected.clone()));
    let head = ask(address, "HEAD", "/").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(
        head.header("content-length"),
        Some(expected.len().to_string().as_str())
    );
    assert_eq!(head.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn says_its_weight_where_it_was_given_one() {
    let (sidecar, _service) = start(&["a", "--weight", "15"]).await;
    let port = sidecar.allocated().port();
    let expected = format!(
        "{{\"service\":\"a\",\"host\":\"{}\",\"port\":{port},\"weight\":15}}\n",
        host()
    );
    assert_eq!(get(sidecar.allocated(), "/").await.body, expected);
}

#[tokio::test]
async fn says_the_host_that_it_was_given() {
    let (sidecar, _service) = start(&["a", "--host", "somewhere"]).await;
    let port = sidecar.allocated().port();
    let expected = format!("{{\"service\":\"a\",\"host\":\"somewhere\",\"port\":{port}}}\n");
    assert_eq!(get(sidecar.allocated(), "/").await.body, expected);
}

#[tokio::test]
async fn refuses_other_paths_and_methods() {
    let (sidecar, _service) = start(&["a"]).await;
    assert_eq!(get(sidecar.allocated(), "/nope").await.status, 404);
    let answer = ask(sidecar.allocated(), "DELETE", "/").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn a_stop_deregisters_serves_on_and_finishes_what_is_in_flight() {
    let (sidecar, service) = start(&["a"]).await;
    let address = sidecar.allocated();
    let mut in_flight = TcpStream::connect(address).await.expect("a connection");
    in_flight
        .write_all(b"GET / HTTP/1.1\r\nHost: a")
        .await
        .expect("to send half a request");

    service.signal(Signal::TERM);
    sidecar.asked("DELETE").await;
    assert_eq!(
        get(address, "/").await.status,
        200,
        "a deregistered instance serves on"
    );
    until("the port is closed", async || {
        TcpStream::connect(address).await.is_err()
    })
    .await;
    in_flight
        .write_all(b"\r\n\r\n")
        .await
        .expect("to send the other half");
    assert_eq!(read_answer(&mut in_flight).await.status, 200);

    let (status, log) = service.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(
        log.lines().count(),
        2,
        "a line at the start and one at the stop:\n{log}"
    );
}

#[tokio::test]
async fn a_stop_is_bounded_whatever_clients_and_sidecar_do() {
    let (sidecar, service) = start(&["a"]).await;
    let mut silent = TcpStream::connect(sidecar.allocated())
        .await
        .expect("a connection");
    silent.write_all(b"GET").await.expect("to send a word");
    sidecar.freeze();
    service.signal(Signal::INT);
    let (status, log) = service.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("cannot deregister: no answer in 1 s"), "{log}");
}

#[tokio::test]
async fn a_registration_that_is_gone_at_the_stop_is_as_good_as_taken_back() {
    let (sidecar, service) = start(&["a"]).await;
    sidecar.forget();
    service.signal(Signal::TERM);
    let (status, log) = service.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let requests = sidecar.requests();
    let [.., delete, look] = requests.as_slice() else {
        panic!("too few requests: {requests:?}");
    };
    assert!(
        delete.starts_with("DELETE") && look.starts_with("GET"),
        "{requests:?}"
    );
    assert!(!log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn a_registration_that_the_sidecar_keeps_at_the_stop_is_told() {
    let (sidecar, service) = start(&["a"]).await;
    sidecar.keep("it is in use");
    service.signal(Signal::TERM);
    let (status, log) = service.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let told = "cannot deregister: the sidecar refused to deregister my-service-a_example (400 Bad Request): it is in use";
    assert!(log.contains(told), "{log}");
}
