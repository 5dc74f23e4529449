//! Initial data, which is sent before the connection to the instance is established, arrives complete.

use std::net::SocketAddr;

use sidecar::proxy::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::relay::pattern;
use super::support::{backends, lb, loopback, refusing, within};

/// An instance that reads one client's stream to its end, then answers and closes at once.
async fn listening(answer: &'static [u8]) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        stream.write_all(answer).await.unwrap();
        said
    });
    (address, heard)
}

#[tokio::test]
async fn initial_data_and_the_answer_arrive_whole() {
    for length in [0, 1, 100, 32 * 1024, 300_000] {
        let (address, heard) = listening(b"thank you").await;
        let (groups, group) = backends("g", &[(address, 10)]);
        let lb = lb(groups, Limits::default());
        let said = pattern(length, 5);
        let mut client = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
        let talk = async {
            client.write_all(&said).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            answer
        };
        assert_eq!(within("answer", talk).await, b"thank you");
        assert!(
            within("client's bytes", heard).await.unwrap() == said,
            "{length} bytes"
        );
        let totals = group.counters().totals();
        assert_eq!((totals.to_instance, totals.to_client), (length as u64, 9));
    }
}

#[tokio::test]
async fn initial_data_goes_to_the_next_instance_if_the_first_refuses() {
    let (_held, refusing) = refusing();
    let (address, heard) = listening(b"hello").await;
    let (groups, group) = backends("g", &[(refusing, 10), (address, 10)]);
    let lb = lb(groups, Limits::default());
    let mut client = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    client.write_all(b"who is there?").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    within("answer", client.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"hello");
    assert_eq!(within("client's bytes", heard).await.unwrap(), b"who is there?");
    assert_eq!(group.connects().failovers, 1);
}

/// The header of the PROXY protocol comes first, also if the instance speaks before the client does.
#[tokio::test]
async fn an_instance_learns_its_clients_address_if_that_is_wanted() {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let (groups, _) = backends("g", &[(listener.local_addr().unwrap(), 10)]);
    let lb = lb(groups, Limits::default());
    lb.set_send_proxy(true);
    let local = lb.listener().local_addr();
    let mut client = TcpStream::connect(local).await.unwrap();
    let (mut instance, _) = within("connection", listener.accept()).await.unwrap();
    let mut header = [0; 28];
    within("header", instance.read_exact(&mut header)).await.unwrap();
    assert_eq!(header[..16], *b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
    let port = client.local_addr().unwrap().port();
    let expected = [
        &[127, 0, 0, 1, 127, 0, 0, 1][..],
        &port.to_be_bytes(),
        &local.port().to_be_bytes(),
    ];
    assert_eq!(header[16..], expected.concat());
    instance.write_all(b"220 hello").await.unwrap();
    let mut greeting = [0; 9];
    within("greeting", client.read_exact(&mut greeting))
        .await
        .unwrap();
    client.write_all(b"EHLO").await.unwrap();
    let mut said = [0; 4];
    within("client's bytes", instance.read_exact(&mut said))
        .await
        .unwrap();
    assert_eq!(&said, b"EHLO");
}
