//! A service's responses, and its stop.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fake_sidecar::FakeSidecar;
use crate::http::{Answer, STEP_TIMEOUT, ask, get, read_answer, until};
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
async fn answers_with_name_host_and_port() {
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
async fn answers_with_its_weight_if_it_has_one() {
    let (sidecar, _service) = start(&["a", "--weight", "15"]).await;
    let port = sidecar.allocated().port();
    let expected = format!(
        "{{\"service\":\"a\",\"host\":\"{}\",\"port\":{port},\"weight\":15}}\n",
        host()
    );
    assert_eq!(get(sidecar.allocated(), "/").await.body, expected);
}

#[tokio::test]
async fn answers_with_the_configured_host() {
    let (sidecar, _service) = start(&["a", "--host", "somewhere"]).await;
    let port = sidecar.allocated().port();
    let expected = format!("{{\"service\":\"a\",\"host\":\"somewhere\",\"port\":{port}}}\n");
    assert_eq!(get(sidecar.allocated(), "/").await.body, expected);
}

#[tokio::test]
async fn a_token_that_every_user_can_read_is_warned_about() {
    let file = std::env::temp_dir().join(format!("service-token-{}", std::process::id()));
    for (mode, warned) in [(0o600, false), (0o644, true)] {
        std::fs::write(&file, "secret\n").expect("written");
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).expect("its owner");
        let (_sidecar, service) = start(&["a", "--token-file", &file.display().to_string()]).await;
        let log = service.log();
        assert_eq!(
            log.contains("every user of this machine"),
            warned,
            "{mode:o}: {log}"
        );
        std::fs::remove_file(&file).expect("removed");
    }
}

#[tokio::test]
async fn refuses_other_paths_and_methods() {
    let (sidecar, _service) = start(&["a"]).await;
    assert_eq!(get(sidecar.allocated(), "/nope").await.status, 404);
    let answer = ask(sidecar.allocated(), "DELETE", "/").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn a_stop_deregisters_and_finishes_requests_in_flight() {
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
        "a deregistered instance still serves"
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
        "one line at the start and one at the stop:\n{log}"
    );
}

#[tokio::test]
async fn a_kept_connection_is_told_that_it_ends_by_an_answer() {
    let (sidecar, service) = start(&["a"]).await;
    let mut kept = TcpStream::connect(sidecar.allocated())
        .await
        .expect("a connection");
    assert_eq!(next(&mut kept).await.header("connection"), None);
    service.signal(Signal::TERM);
    until("an answer announces the end", async || {
        let answer = next(&mut kept).await;
        assert_eq!(answer.status, 200);
        answer.header("connection") == Some("close")
    })
    .await;
    assert_eq!(kept.read(&mut [0]).await.expect("its end"), 0);
    let (status, log) = service.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
}

/// Sends a request on a connection, and reads its answer and no more.
async fn next(stream: &mut TcpStream) -> Answer {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("to send a request");
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"}\n") {
        let read = stream.read_buf(&mut bytes).await.expect("an answer");
        assert!(read > 0, "closed within an answer: {bytes:?}");
    }
    Answer::parse(&bytes)
}

/// Frames of HTTP/2: RFC 9113, sections 4.1, 6.5 and 6.8.
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

#[tokio::test]
async fn an_http2_client_is_told_to_go_away() {
    let (sidecar, service) = start(&["a"]).await;
    let mut kept = TcpStream::connect(sidecar.allocated())
        .await
        .expect("a connection");
    kept.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .expect("to send the preface");
    assert_eq!(frame(&mut kept).await, SETTINGS);
    service.signal(Signal::TERM);
    while frame(&mut kept).await != GOAWAY {}
    drop(kept);
    let (status, log) = service.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
}

/// Reads a frame; returns its type.
async fn frame(stream: &mut TcpStream) -> u8 {
    let reading = async {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame");
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        stream
            .read_exact(&mut vec![0; length])
            .await
            .expect("the whole frame");
        head[3]
    };
    timeout(STEP_TIMEOUT, reading).await.expect("a frame in time")
}

#[tokio::test]
async fn a_service_that_its_sidecar_has_withdrawn_does_not_serve_on() {
    let (withdrawing, withdrawn) = start(&["a"]).await;
    let (announcing, announced) = start(&["b"]).await;
    withdrawing.withdraw();
    announced.signal(Signal::TERM);
    announcing.asked("DELETE").await;
    withdrawn.signal(Signal::TERM);
    let (status, log) = withdrawn.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let last = withdrawing.requests().pop().expect("a request");
    assert!(last.starts_with("DELETE"), "{last}");
    assert_eq!(
        get(announcing.allocated(), "/").await.status,
        200,
        "the one that was announced until then still serves"
    );
}

#[tokio::test]
async fn a_stop_is_bounded_with_a_silent_client_and_sidecar() {
    let (sidecar, service) = start(&["a"]).await;
    let mut silent = TcpStream::connect(sidecar.allocated())
        .await
        .expect("a connection");
    silent
        .write_all(b"GET")
        .await
        .expect("to send a part of the request");
    sidecar.freeze();
    service.signal(Signal::INT);
    let (status, log) = service.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("cannot deregister: no response within 1 s"), "{log}");
}

#[tokio::test]
async fn a_stop_without_its_registration_logs_no_warning() {
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
async fn a_refused_deregistration_is_logged() {
    let (sidecar, service) = start(&["a"]).await;
    sidecar.refuse_deletes("it is in use");
    service.signal(Signal::TERM);
    let (status, log) = service.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let expected = "cannot deregister: the sidecar refused to deregister my-service-a_example (400 Bad Request): it is in use";
    assert!(log.contains(expected), "{log}");
}
