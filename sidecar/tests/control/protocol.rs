//! Keys of listeners and groups that carry HTTP.

use std::time::{Duration, Instant};

use sidecar::balance::{OutlierEjection, Protocol};
use sidecar::control::{Controller, Offers, Reply};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

async fn run(controller: &Controller, command: &str) -> Result<Reply, String> {
    let parsed = command.parse().unwrap_or_else(|e| panic!("{command}: {e}"));
    let done = controller.execute(parsed).await;
    done.map_err(|error| error.to_string())
}

async fn controller(commands: &[&str]) -> Controller {
    let controller = Controller::new(Offers::new(), None);
    for command in commands {
        run(&controller, command)
            .await
            .unwrap_or_else(|e| panic!("{command}: {e}"));
    }
    controller
}

async fn line(controller: &Controller, resource: &str) -> String {
    match run(controller, &format!("list-detail {resource}")).await {
        Ok(Reply::Lines(lines)) if lines.len() == 1 => lines[0].clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn keys_that_do_not_go_together_are_refused_and_change_nothing() {
    let controller = controller(&[
        "add server-groups gs",
        "add tcp-lb lb address 127.0.0.1:0 server-groups gs",
    ])
    .await;
    let tcp = line(&controller, "tcp-lb").await;
    for (keys, expected) in [
        (
            "request-timeout 5",
            "request-timeout does not go with protocol tcp",
        ),
        ("send-forwarded", "send-forwarded does not go with protocol tcp"),
        (
            "protocol http send-proxy",
            "send-proxy does not go with protocol http",
        ),
    ] {
        for command in [
            format!("update tcp-lb lb {keys}"),
            format!("add tcp-lb other address 127.0.0.1:0 server-groups gs {keys}"),
        ] {
            let error = run(&controller, &command).await.expect_err(&command);
            assert!(error.contains(expected), "{command}: {error}");
        }
        assert_eq!(line(&controller, "tcp-lb").await, tcp);
    }
    let http = "update tcp-lb lb protocol http request-timeout 5 send-forwarded";
    run(&controller, http).await.expect("they go together");
    let http = line(&controller, "tcp-lb").await;
    assert!(
        http.ends_with(" request-timeout 5 send-forwarded protocol http"),
        "{http}"
    );
    let error = run(&controller, "update tcp-lb lb protocol tcp")
        .await
        .expect_err("refused");
    assert!(
        error.contains("request-timeout does not go with protocol tcp"),
        "{error}"
    );
    let back = "update tcp-lb lb protocol tcp request-timeout 0 omit-forwarded";
    run(&controller, back).await.expect("they go together");
    assert_eq!(line(&controller, "tcp-lb").await, tcp);
}

#[tokio::test]
async fn a_group_has_a_protocol_and_ejects() {
    let group = "add server-group g timeout 500 period 1000 up 2 down 3";
    let controller = controller(&[group]).await;
    let tcp = line(&controller, "server-group").await;
    run(&controller, "update server-group g protocol h2 eject 5 for 30000")
        .await
        .expect("updated");
    let http = line(&controller, "server-group").await;
    assert_eq!(http, format!("{tcp} protocol h2 eject 5 for 30000"));
    let groups = controller.groups();
    assert_eq!(groups[0].protocol, Protocol::H2);
    let ejection = OutlierEjection {
        failures: 5,
        time: Duration::from_secs(30),
    };
    assert_eq!(groups[0].ejection, Some(ejection));
    run(&controller, "update server-group g protocol tcp eject off")
        .await
        .expect("updated");
    assert_eq!(line(&controller, "server-group").await, tcp);
}

#[tokio::test]
async fn an_update_of_send_proxy_takes_effect_for_new_connections() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = server.local_addr().expect("an address");
    let controller = controller(&[
        "add server-group g timeout 500 period 60000 up 1 down 3",
        &format!("add server s to server-group g address {address}"),
        "add server-groups gs",
        "add server-group g to server-groups gs",
        "add tcp-lb lb address 127.0.0.1:0 server-groups gs",
    ])
    .await;
    // The first health check.
    server.accept().await.expect("a connection");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !controller.groups()[0].servers[0].up {
        assert!(
            Instant::now() < deadline,
            "the server that accepts connections is not up"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run(&controller, "update tcp-lb lb send-proxy")
        .await
        .expect("updated");
    let connecting = TcpStream::connect(controller.listeners()[0].address);
    let _client = connecting.await.expect("a connection");
    let (mut accepted, _) = server.accept().await.expect("a connection");
    let mut begin = [0; 12];
    let reading = timeout(Duration::from_secs(30), accepted.read_exact(&mut begin)).await;
    reading.expect("no header within 30 s").expect("the header");
    assert_eq!(&begin, b"\r\n\r\n\0\r\nQUIT\n");
}
