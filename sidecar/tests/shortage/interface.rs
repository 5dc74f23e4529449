//! The own network interface is down for a while, so that every destination beyond is unreachable.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::namespace::{Neighbour, entered, run};
use crate::support::{DEADLINE, Sidecar, free_address, one_server};

/// Whether the server beyond answers.
async fn answers(client: &mut TcpStream) {
    client.write_all(b"PING\r\n").await.unwrap();
    let mut answer = [0; 7];
    let read = tokio::time::timeout(DEADLINE, client.read_exact(&mut answer)).await;
    read.expect("an answer within the deadline").expect("no reset");
    assert_eq!(&answer, b"+PONG\r\n");
}

#[tokio::test]
async fn connections_outlive_an_interface_that_is_down() {
    if !entered("interface::connections_outlive_an_interface_that_is_down") {
        return;
    }
    let neighbour = Neighbour::connect();
    // Any server will do: this one is at hand.
    let server = "--resp-controller 10.77.0.2:16379 --allow-open-controllers";
    let _server = Sidecar::start(&neighbour.launch(), "", server).await;
    let listener = free_address();
    let commands = one_server(listener, std::net::SocketAddr::from(([10, 77, 0, 2], 16379)), 50);
    let sidecar = Sidecar::start("exec", &commands, "").await;
    sidecar.logged("server is UP").await;
    let mut client = TcpStream::connect(listener).await.unwrap();
    answers(&mut client).await;

    run("ip link set near down");
    sidecar.logged("a health check could not be made").await;
    sidecar
        .grows(
            "sidecar_server_checks_total{group=\"g\",server=\"s\",outcome=\"not_made\"}",
            10,
        )
        .await;
    run("ip link set near up");
    answers(&mut client).await;
    assert!(!sidecar.log().contains("DOWN"), "{}", sidecar.log());
}
