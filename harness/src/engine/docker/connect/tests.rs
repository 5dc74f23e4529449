use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use super::*;

async fn refusal(address: &str) -> String {
    let endpoint = Endpoint::plain(address.parse().unwrap());
    let error = Docker::connect_to(endpoint).await.unwrap_err();
    format!("{error}; {}", error.advice())
}

/// Answers each connection's first request with this.
async fn answering(response: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let response = response.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).await;
                let _ = connection.write_all(response.as_bytes()).await;
            });
        }
    });
    address
}

fn response(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn what_is_no_usable_engine_is_refused_with_what_to_do() {
    let podman = r#"{"Components":[{"Name":"Podman Engine","Version":"4.3.1"}],"ApiVersion":"1.41"}"#;
    for (answer, part) in [
        (
            response("200 OK", r#"{"ApiVersion":"1.38"}"#),
            "its API is 1.38, and 1.41 is needed; update",
        ),
        (
            response("200 OK", r#"{"ApiVersion":"1.x"}"#),
            "no Docker engine: its API is `1.x`",
        ),
        (response("200 OK", podman), "Podman answers"),
        (
            "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n".to_owned(),
            "it speaks TLS; set DOCKER_TLS_VERIFY=1",
        ),
    ] {
        let address = answering(answer).await;
        let text = refusal(&address).await;
        assert!(
            text.starts_with(&format!("no Docker engine answers at {address}: ")),
            "{text}"
        );
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn an_absent_engine_is_named() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let text = refusal(&format!("tcp://{free}")).await;
    assert!(
        text.contains("Connection refused") && text.contains("start Docker"),
        "{text}"
    );
    let text = refusal("unix:///no/such/docker.sock").await;
    assert!(
        text.contains(" at /no/such/docker.sock: there is no such socket"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_accepts_and_never_answers_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join("docker.sock");
    let _silent = UnixListener::bind(&path).unwrap();
    let text = refusal(&format!("unix://{}", path.display())).await;
    assert!(
        text.contains("it has not answered within 30 s; see whether"),
        "{text}"
    );
}

#[tokio::test]
async fn a_program_that_cannot_connect_is_quoted() {
    let endpoint = Endpoint::plain("ssh://build.invalid".parse().unwrap());
    let dial = super::super::address::Dial {
        program: "sh",
        arguments: [
            "-c",
            "echo first >&2; echo 'build.invalid: unknown host' >&2; exit 255",
        ]
        .map(str::to_owned)
        .into(),
        ..endpoint.dial().unwrap()
    };
    let dialer = Dialer::new(dial);
    let problem = client(&endpoint, Some(&dialer)).await.unwrap_err();
    let error = problem.of(&endpoint, dialer.said().await);
    assert_eq!(
        error.to_string(),
        "no Docker engine answers at ssh://build.invalid: ssh: build.invalid: unknown host"
    );
    assert!(
        error
            .advice()
            .starts_with("`ssh build.invalid docker version` must work")
    );
}

#[tokio::test]
async fn a_program_connects_for_each_request_that_needs_a_connection() {
    let endpoint = Endpoint::plain("ssh://build.invalid".parse().unwrap());
    let answer = response("200 OK", r#"{"ApiVersion":"1.41"}"#).replace("\r\n", "\\r\\n");
    let script = format!("head -c 1 >/dev/null; printf '{answer}'");
    let dial = super::super::address::Dial {
        program: "sh",
        arguments: vec!["-c".to_owned(), script],
        ..endpoint.dial().unwrap()
    };
    let dialer = Dialer::new(dial);
    client(&endpoint, Some(&dialer)).await.unwrap();
    assert_eq!(dialer.said().await, None);
}
