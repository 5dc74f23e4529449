//! A service's registration, with working and failing sidecars.

use rustix::process::Signal;
use tokio::net::TcpListener;

use crate::fake_sidecar::FakeSidecar;
use crate::http::{get, reserved_port};
use crate::process::Process;

const GET: &str = "GET /api/v1/module/smart-node-delegate/my-service-a_example";
const DELETE: &str = "DELETE /api/v1/module/smart-node-delegate/my-service-a_example";

#[tokio::test]
async fn a_service_looks_up_and_creates_its_registration_and_reads_the_port() {
    let sidecar = FakeSidecar::start().await;
    let service = Process::service(&["a", "--nic", "eth7", "--sidecar", &sidecar.url]);
    service.logged("registered as my-service-a_example").await;
    let post = r#"POST /api/v1/module/smart-node-delegate {"name":"my-service-a_example","service":"my-service-a","zone":"example","nic":"eth7"}"#;
    assert_eq!(sidecar.requests(), [GET, post, GET]);
}

#[tokio::test]
async fn zone_and_weight_are_registered_as_given() {
    let sidecar = FakeSidecar::start().await;
    let service = Process::service(&[
        "b",
        "--weight",
        "15",
        "--zone",
        "north",
        "--sidecar",
        &sidecar.url,
    ]);
    service.logged("registered as my-service-b_north").await;
    let post = r#"POST /api/v1/module/smart-node-delegate {"name":"my-service-b_north","service":"my-service-b","zone":"north","nic":"eth0","weight":15}"#;
    assert_eq!(sidecar.requests()[1], post);
}

#[tokio::test]
async fn waits_for_a_sidecar_that_starts_later() {
    let (closed, address) = reserved_port();
    let service = Process::service(&["a", "--sidecar", &format!("http://{address}")]);
    service.logged("cannot connect to the sidecar; retrying").await;
    let sidecar = FakeSidecar::start_on(closed.listen(8).expect("the sidecar's port"));
    service.logged("registered as").await;
    assert_eq!(get(sidecar.allocated(), "/").await.status, 200);
}

#[tokio::test]
async fn gives_up_on_a_sidecar_that_never_starts() {
    let (_closed, address) = reserved_port();
    let url = format!("http://{address}");
    let service = Process::service(&["a", "--sidecar", &url, "--registration-limit", "300"]);
    let (status, log) = service.end().await;
    assert_eq!(status.code(), Some(1), "{log}");
    let expected = format!("the sidecar at {url} did not respond within 0.3 s: is it running?");
    assert!(
        log.contains(&expected) && log.contains("Connection refused"),
        "{log}"
    );
}

#[tokio::test]
async fn gives_up_on_a_sidecar_that_does_not_answer() {
    let sidecar = FakeSidecar::start().await;
    sidecar.freeze();
    let (status, log) = Process::service(&["a", "--sidecar", &sidecar.url, "--registration-limit", "300"])
        .end()
        .await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("no response within 2 s"), "{log}");
}

#[tokio::test]
async fn a_refused_registration_is_an_error_without_retries() {
    let sidecar = FakeSidecar::start().await;
    sidecar.refuse_posts("nic: eth9 is not there");
    let (status, log) = Process::service(&["a", "--sidecar", &sidecar.url]).end().await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("refused to register my-service-a_example (400 Bad Request): nic: eth9 is not there"),
        "{log}"
    );
    assert_eq!(sidecar.requests().len(), 2, "{:?}", sidecar.requests());
}

#[tokio::test]
async fn a_lost_answer_does_not_register_twice() {
    let sidecar = FakeSidecar::start().await;
    sidecar.leave_unanswered(1);
    let service = Process::service(&["a", "--sidecar", &sidecar.url]);
    service.logged("registered as").await;
    let posts = sidecar
        .requests()
        .iter()
        .filter(|request| request.starts_with("POST"))
        .count();
    assert_eq!(posts, 1, "{:?}", sidecar.requests());
    assert_eq!(get(sidecar.allocated(), "/").await.status, 200);
}

#[tokio::test]
async fn a_registration_that_is_applied_but_not_saved_is_used() {
    let sidecar = FakeSidecar::start().await;
    sidecar.save_nothing();
    let service = Process::service(&["a", "--sidecar", &sidecar.url]);
    service.logged("registered as").await;
    assert_eq!(get(sidecar.allocated(), "/").await.status, 200);
    assert_eq!(sidecar.requests()[2..], [GET, GET], "it is looked up and used");
}

#[tokio::test]
async fn an_existing_registration_is_used_with_its_port() {
    let sidecar = FakeSidecar::start().await;
    sidecar.hold("my-service-a_example", 10);
    let service = Process::service(&["a", "--sidecar", &sidecar.url]);
    service.logged("registered as").await;
    assert_eq!(get(sidecar.allocated(), "/").await.status, 200);
    assert_eq!(sidecar.requests(), [GET, GET]);
}

#[tokio::test]
async fn an_existing_registration_gets_the_new_weight_and_keeps_its_port() {
    let sidecar = FakeSidecar::start().await;
    sidecar.hold("my-service-a_example", 10);
    let service = Process::service(&["a", "--weight", "15", "--sidecar", &sidecar.url]);
    service.logged("registered as").await;
    assert_eq!(get(sidecar.allocated(), "/").await.status, 200);
    let requests = sidecar.requests();
    assert_eq!(requests[..3], [GET, GET, DELETE]);
    let renewed = format!(r#""exposedPort":{},"weight":15}}"#, sidecar.allocated().port());
    assert!(
        requests[3].starts_with("POST") && requests[3].ends_with(&renewed),
        "{requests:?}"
    );
}

#[tokio::test]
async fn an_existing_registration_that_disappears_is_added_with_its_port() {
    let sidecar = FakeSidecar::start().await;
    sidecar.hold("my-service-a_example", 10);
    sidecar.forget_after_get();
    let service = Process::service(&["a", "--sidecar", &sidecar.url]);
    service.logged("registered as").await;
    assert_eq!(get(sidecar.allocated(), "/").await.status, 200);
    let requests = sidecar.requests();
    assert_eq!(requests[..2], [GET, GET]);
    let port = format!(r#""exposedPort":{}}}"#, sidecar.allocated().port());
    assert!(
        requests.len() == 3 && requests[2].starts_with("POST") && requests[2].ends_with(&port),
        "{requests:?}"
    );
}

#[tokio::test]
async fn the_registration_of_another_program_is_kept() {
    let sidecar = FakeSidecar::start().await;
    sidecar.hold("my-service-a_example", 10);
    let _other = TcpListener::bind(sidecar.allocated())
        .await
        .expect("the other program's port");
    let (status, log) = Process::service(&["a", "--weight", "15", "--sidecar", &sidecar.url])
        .end()
        .await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("cannot listen on 0.0.0.0, port") && log.contains("Address already in use"),
        "{log}"
    );
    assert_eq!(sidecar.requests(), [GET]);
}

#[tokio::test]
async fn a_port_in_use_is_deregistered() {
    let sidecar = FakeSidecar::start().await;
    let _other = TcpListener::bind(sidecar.allocated()).await.expect("the port");
    let (status, log) = Process::service(&["a", "--sidecar", &sidecar.url]).end().await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert_eq!(sidecar.requests().last().map(String::as_str), Some(DELETE));
}

#[tokio::test]
async fn a_stop_while_waiting_for_the_sidecar_exits_with_0() {
    let (_closed, address) = reserved_port();
    let service = Process::service(&["a", "--sidecar", &format!("http://{address}")]);
    service.logged("cannot connect to the sidecar; retrying").await;
    service.signal(Signal::TERM);
    let (status, log) = service.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
}

#[tokio::test]
async fn a_malformed_argument_is_refused_with_the_expected_form() {
    for (args, expected) in [
        (["A", "--zone", "example"], "small letters"),
        (
            ["a", "--sidecar", "localhost:18080"],
            "such as http://127.0.0.1:18080",
        ),
        (["a", "--weight", "-3"], "-3"),
    ] {
        let (status, log) = Process::service(&args).end().await;
        assert_eq!(status.code(), Some(2), "{args:?}: {log}");
        assert!(log.contains(expected), "{args:?}: {log}");
    }
}
