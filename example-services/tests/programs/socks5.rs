//! The SOCKS5 codec against arbitrary names, answers and ways to cut them into pieces.

use example_services::socks5::{self, Error};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

/// Runs a handshake over a pipe that holds `pipe` bytes at a time. Returns its outcome, the bytes that the
/// client sent, and what the client's stream still held after it.
fn shake_hands(domain: &str, port: u16, pipe: usize, said: &[u8]) -> (Result<(), Error>, Vec<u8>, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (mut client, server) = duplex(pipe);
        let (mut from_client, mut to_client) = tokio::io::split(server);
        let asking = async {
            let outcome = socks5::connect(&mut client, domain, port).await;
            let (mut rest, mut writer) = tokio::io::split(client);
            writer.shutdown().await.expect("to close");
            let mut left = Vec::new();
            rest.read_to_end(&mut left).await.expect("to read on");
            (outcome, left)
        };
        let answering = async {
            to_client.write_all(said).await.expect("to answer");
            to_client.shutdown().await.expect("to close");
        };
        let hearing = async {
            let mut heard = Vec::new();
            from_client.read_to_end(&mut heard).await.expect("to hear");
            heard
        };
        let ((outcome, left), (), heard) = tokio::join!(asking, answering, hearing);
        (outcome, heard, left)
    })
}

/// Addresses as RFC 1928 section 5 writes them, each with its type.
fn bound_address() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::array::uniform4(any::<u8>()).prop_map(|ip| [&[1], &ip[..]].concat()),
        prop::array::uniform16(any::<u8>()).prop_map(|ip| [&[4], &ip[..]].concat()),
        prop::collection::vec(any::<u8>(), 0..=255).prop_map(|name| [
            &[3, u8::try_from(name.len()).expect("a length")],
            &name[..]
        ]
        .concat()),
    ]
}

proptest! {
    #[test]
    fn asks_for_the_name_and_leaves_what_follows_the_reply(
        domain in "[a-z0-9.-]{1,255}",
        port: u16,
        pipe in 1_usize..600,
        bound in bound_address(),
        bound_port: [u8; 2],
        tail in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let said = [&[5, 0, 5, 0, 0], &bound[..], &bound_port, &tail].concat();
        let (outcome, heard, left) = shake_hands(&domain, port, pipe, &said);
        prop_assert!(outcome.is_ok(), "{:?}", outcome);
        let length = u8::try_from(domain.len()).expect("a length");
        let expected = [&[5, 1, 0, 5, 1, 0, 3, length], domain.as_bytes(), &port.to_be_bytes()].concat();
        prop_assert_eq!(heard, expected);
        prop_assert_eq!(left, tail);
    }

    #[test]
    fn anything_else_is_an_error_and_never_a_panic(
        said in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..=5], 0..300),
        pipe in 1_usize..600,
    ) {
        let (outcome, _, _) = shake_hands("a.my.service.com", 80, pipe, &said);
        let yes = said.starts_with(&[5, 0, 5, 0]);
        prop_assert!(yes || outcome.is_err(), "{:?} is taken for a yes", said);
    }

    #[test]
    fn a_refusal_is_understood_even_when_cut_short(code in 1_u8.., rest in 0_usize..9) {
        let said = [&[5, 0, 5, code], &[0, 1, 0, 0, 0, 0, 0, 0][..rest.min(8)]].concat();
        let (outcome, _, _) = shake_hands("a.my.service.com", 80, 64, &said);
        let told = outcome.expect_err("a refusal").to_string();
        prop_assert!(told.contains(&format!("({code:#04x})")), "{}", told);
    }
}

#[test]
fn a_name_that_the_protocol_has_no_room_for_is_refused_before_a_byte_is_sent() {
    for length in [0, 256] {
        let (outcome, heard, _) = shake_hands(&"x".repeat(length), 80, 600, b"");
        assert!(
            matches!(outcome, Err(Error::Domain(found)) if found == length),
            "{outcome:?}"
        );
        assert_eq!(heard, b"");
    }
}
