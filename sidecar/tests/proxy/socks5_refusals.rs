//! SOCKS5 clients that are refused get a complete reply with the reason.

use std::time::Duration;

use sidecar::balance::CheckOutcome;
use sidecar::proxy::Limits;
use sidecar::proxy::socks5::Socks5Server;
use sidecar::proxy::socks5::wire::Destination;
use sidecar::proxy::workers::Workers;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::socks5::{NAME, domain, greet, reply, request, server};
use super::support::{backends, bind, eventually, instance, refusing, silent, within};

/// The reply code to these bytes after a greeting; the stream must then end without a reset.
async fn code_for(server: &Socks5Server, bytes: &[u8]) -> u8 {
    let mut stream = greet(server).await;
    stream.write_all(bytes).await.unwrap();
    let (code, bound) = reply(&mut stream).await;
    assert_eq!(bound, "0.0.0.0:0".parse().unwrap());
    ends_in_order(&mut stream).await;
    code
}

async fn ends_in_order(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    within("end of stream", stream.read_to_end(&mut rest))
        .await
        .expect("an orderly end");
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn destinations_that_are_not_backends_are_not_allowed() {
    let backend = instance("a").await;
    let other_port = instance("elsewhere").await.port();
    let (groups, _) = backends(NAME, &[(backend, 10)]);
    let server = server(groups, false);
    for destination in [
        domain("a.my.service.com", 81),
        domain("example.com", 80),
        domain("localhost", backend.port()),
        domain("127.0.0.1", other_port),
        Destination::Address(([127, 0, 0, 1], other_port).into()),
        Destination::Address("[::1]:80".parse().unwrap()),
        // Spellings of addresses that only some clients know are names, and no backend has them.
        domain("127.1", backend.port()),
        domain("2130706433", backend.port()),
        domain("0x7f.0.0.1", backend.port()),
        domain("0177.0.0.1", backend.port()),
        domain("127.0.0.1.", backend.port()),
        domain("[127.0.0.1]", backend.port()),
        domain("[127.0.0.1", backend.port()),
        domain("::ffff:127.0.0.1%lo", backend.port()),
    ] {
        assert_eq!(
            code_for(&server, &request(destination.clone())).await,
            0x02,
            "{destination}"
        );
    }
}

#[tokio::test]
async fn the_connection_is_refused_if_all_instances_refuse() {
    let (_held, one) = refusing();
    let (_also_held, two) = refusing();
    let (groups, _) = backends(NAME, &[(one, 10), (two, 10)]);
    let server = server(groups, false);
    assert_eq!(
        code_for(&server, &request(domain("a.my.service.com", 80))).await,
        0x05
    );
    assert_eq!(code_for(&server, &request(Destination::Address(one))).await, 0x05);
    server.set_allow_non_backend(true);
    let (_held_too, elsewhere) = refusing();
    assert_eq!(
        code_for(&server, &request(Destination::Address(elsewhere))).await,
        0x05
    );
}

#[tokio::test]
async fn the_host_is_unreachable_if_no_instance_is_up() {
    let (groups, group) = backends(NAME, &[(instance("a").await, 10)]);
    let server = server(groups, false);
    let down = group.checked().remove(0);
    for _ in 0..2 {
        group.report(&down, CheckOutcome::Failed);
    }
    assert_eq!(
        code_for(&server, &request(domain("a.my.service.com", 80))).await,
        0x04
    );
    group.set_learned(Vec::new());
    assert_eq!(
        code_for(&server, &request(domain("a.my.service.com", 80))).await,
        0x04
    );
}

#[tokio::test]
async fn an_instance_that_does_not_answer_times_out() {
    let (_held, silent) = silent().await;
    let (groups, _) = backends(NAME, &[(silent, 10)]);
    let server = server(groups, false);
    assert_eq!(
        code_for(&server, &request(domain("a.my.service.com", 80))).await,
        0x06
    );
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_is_unreachable() {
    let (groups, _) = backends(NAME, &[]);
    let server = server(groups, true);
    // RFC 6761, 6.4: names under `invalid` never resolve.
    assert_eq!(
        code_for(&server, &request(domain("no.such.host.invalid", 80))).await,
        0x04
    );
}

#[tokio::test]
async fn unsupported_commands_and_address_types_get_their_codes() {
    let (groups, _) = backends(NAME, &[(instance("a").await, 10)]);
    let server = server(groups, false);
    for command in [0, 2, 3, 9] {
        let mut bytes = request(domain("a.my.service.com", 80));
        bytes[1] = command;
        assert_eq!(code_for(&server, &bytes).await, 0x07, "command {command}");
    }
    for address_type in [0, 2, 5, 255] {
        let bytes = [5, 1, 0, address_type, 1, 2, 3, 4, 0, 80];
        assert_eq!(
            code_for(&server, &bytes).await,
            0x08,
            "address type {address_type}"
        );
    }
    assert_eq!(code_for(&server, &request(domain("with space", 80))).await, 0x01);
    assert_eq!(code_for(&server, &[4, 1, 0, 1]).await, 0x01);
}

#[tokio::test]
async fn a_client_without_an_acceptable_method_gets_a_reply() {
    let (groups, _) = backends(NAME, &[]);
    let server = server(groups, false);
    for greeting in [&[5, 2, 1, 2][..], &[5, 0]] {
        let mut stream = TcpStream::connect(server.listener().local_addr()).await.unwrap();
        stream.write_all(greeting).await.unwrap();
        assert_eq!(within("method", stream.read_u16()).await.unwrap(), 0x05ff);
        ends_in_order(&mut stream).await;
    }
}

/// What a client gets that sends these bytes first.
async fn answer_to(bytes: &[u8]) -> String {
    let (groups, _) = backends(NAME, &[]);
    let server = server(groups, false);
    let mut stream = TcpStream::connect(server.listener().local_addr()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = within("end", stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_client_that_speaks_http_is_told_to_speak_socks5() {
    for request in [
        "GET http://a.my.service.com/ HTTP/1.1\r\nHost: a.my.service.com\r\n\r\n",
        "CONNECT a.my.service.com:80 HTTP/1.1\r\n\r\n",
        "P",
    ] {
        let answer = answer_to(request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a response");
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(
            head.ends_with(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
        assert!(
            body.contains("use this port as a SOCKS5 proxy (socks5h://)"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_client_of_another_protocol_gets_no_reply() {
    for bytes in [&b"\x16\x03\x01"[..], b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00"] {
        assert_eq!(answer_to(bytes).await, "", "{bytes:?}");
    }
}

#[tokio::test]
async fn a_refusal_arrives_although_the_client_sent_more_than_was_read() {
    let (groups, _) = backends(NAME, &[]);
    let server = server(groups, false);
    let mut bytes = request(domain("example.com", 80));
    bytes.extend([b'x'; 40_000]);
    for _ in 0..20 {
        let mut stream = greet(&server).await;
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        // Read only now: a reset would have discarded the reply.
        eventually(|| (server.listener().active() > 0).then(|| "no end".to_owned())).await;
        assert_eq!(reply(&mut stream).await.0, 0x02);
        ends_in_order(&mut stream).await;
    }
}

#[tokio::test]
async fn a_slow_handshake_times_out() {
    let (groups, _) = backends(NAME, &[(instance("a").await, 10)]);
    let limits = Limits {
        handshake: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Socks5Server::start(bind(), groups, false, None, limits, &Workers::default()).unwrap();
    let mut silent = TcpStream::connect(server.listener().local_addr()).await.unwrap();
    let mut greeted = greet(&server).await;
    let mut halfway = greet(&server).await;
    halfway.write_all(&[5, 1, 0, 3, 16, b'a']).await.unwrap();
    for stream in [&mut silent, &mut greeted, &mut halfway] {
        ends_in_order(stream).await;
    }
    // The timeout does not apply after the handshake.
    let mut served = greet(&server).await;
    served
        .write_all(&request(domain("a.my.service.com", 80)))
        .await
        .unwrap();
    assert_eq!(reply(&mut served).await.0, 0);
    let mut later = TcpStream::connect(server.listener().local_addr()).await.unwrap();
    ends_in_order(&mut later).await;
    served.write_all(b"x").await.unwrap();
    let mut received = [0; 3];
    within("echo", served.read_exact(&mut received)).await.unwrap();
    assert_eq!(&received, b"a\nx");
}
