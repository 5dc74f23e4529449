//! What is authenticated: everything that both sides know.

use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;
use sidecar::mesh::key::envelope::{DATAGRAM_OVERHEAD, EXCHANGE_OVERHEAD, Kind};
use sidecar::mesh::key::{MeshKey, Question};
use sidecar::mesh::wire::{Datagram, DatagramKind, MAX_NAME};

use super::{PATH, acquainted, asking, at, boot, introduce, keys};

#[test]
fn a_sealed_datagram_starts_like_no_plain_one_and_is_little_longer() {
    let bytes = boot(&[1]).seal_datagram(at(1, 56565), at(2, 31000), b"content");
    assert_eq!(Kind::of(&bytes), Some(Kind::Datagram));
    assert_ne!(bytes[0], b'$');
    assert!(std::str::from_utf8(&bytes[..1]).is_err());
    assert_eq!(bytes.len(), b"content".len() + DATAGRAM_OVERHEAD);
    const { assert!(DATAGRAM_OVERHEAD <= 48) };
    assert!(!bytes.windows(7).any(|part| part == b"content"));
}

/// A packet of IPv6 that no link splits has 1280 bytes, of which its headers and those of UDP take 48.
#[test]
fn the_longest_datagram_is_one_packet_on_every_link() {
    let longest: Arc<str> = "\"".repeat(MAX_NAME).into();
    let datagram = Datagram {
        kind: DatagramKind::Search,
        node_name: longest.clone(),
        udp_port: 65535,
        tcp_port: 65535,
        hash: longest,
        cookie: None,
    };
    let plain = datagram.encode();
    assert_eq!(Datagram::parse(&plain), Ok(datagram));
    let sealed = boot(&[1]).seal_datagram(at(1, 1), at(2, 2), &plain);
    assert!(sealed.len() <= 1280 - 48, "{} bytes", sealed.len());
}

#[test]
fn equal_contents_are_sealed_differently() {
    let key = boot(&[1]);
    let [one, other] = [0, 1].map(|_| key.seal_datagram(at(1, 1), at(2, 2), b"content"));
    assert_ne!(one[25..], other[25..]);
}

#[test]
fn a_datagram_is_opened_only_between_its_addresses() {
    let (from, to) = (at(1, 56565), at(2, 31000));
    let bytes = boot(&[1]).seal_datagram(from, to, b"content");
    let opens = |from, to| boot(&[2, 1]).open_datagram(from, to, &bytes).is_some();
    assert!(opens(from, to));
    let mapped: SocketAddr = "[::ffff:192.0.2.1]:56565".parse().unwrap();
    assert!(opens(mapped, to), "another spelling of the address");
    for (from, to) in [
        (to, from),
        (at(3, 56565), to),
        (at(1, 56566), to),
        (from, at(3, 31000)),
        (from, at(2, 31001)),
    ] {
        assert!(!opens(from, to), "{from} {to}");
    }
    assert!(MeshKey::new(keys(&[2])).open_datagram(from, to, &bytes).is_none());
}

#[test]
fn a_request_is_opened_only_at_its_path_and_between_its_endpoints() {
    let (one, other) = (boot(&[1]), boot(&[1]));
    let (from, to) = (at(1, 31000), at(2, 31000));
    acquainted((&one, from), (&other, to));
    let mut request = asking((&one, from), to).request(b"content");
    let opens = |ip, to, path, bytes: &[u8]| other.open_request(ip, to, path, bytes).is_some();
    assert!(!opens(
        from.ip(),
        to,
        "/discovery/api/v1/exchange/khala.add",
        &request
    ));
    assert!(!opens(at(3, 0).ip(), to, PATH, &request));
    assert!(!opens(from.ip(), at(2, 31001), PATH, &request));
    assert!(opens(from.ip(), to, PATH, &request));
    // The port of the sender's node, which is not encrypted.
    request[26] ^= 1;
    assert!(!opens(from.ip(), to, PATH, &request));
}

#[test]
fn an_answer_belongs_to_its_question_and_direction() {
    let (one, other) = (boot(&[1]), boot(&[1]));
    let (from, to) = (at(1, 31000), at(2, 31000));
    let (asking_one, _, asked) = introduce((&one, from), (&other, to));
    let answer = asked.answer(b"answer");
    assert_eq!(asking_one.answer(&answer).as_deref(), Some(&b"answer"[..]));
    assert!(!asking_one.leaving(&answer) && asking_one.leaving(&asked.leaving()));
    let mut another = asking((&one, from), to);
    assert!(another.answer(&answer).is_none(), "an answer before a question");
    let _ = another.request(b"question");
    assert!(
        another.answer(&answer).is_none(),
        "the answer to another question"
    );
    assert!(!another.challenge(&answer), "an answer is no challenge");
    assert!(
        other.open_datagram(to, from, &answer).is_none(),
        "an answer is no datagram"
    );
    assert!(
        one.open_request(to.ip(), from, PATH, &answer).is_none(),
        "an answer is no request"
    );
}

#[test]
fn content_is_sealed_for_a_node_only_once_it_has_answered() {
    let (one, other) = (boot(&[1]), boot(&[1]));
    let (from, to) = (at(1, 31000), at(2, 31000));
    let body = [7; 1000];
    let mut first = asking((&one, from), to);
    let question = first.request(&body);
    assert!(question.len() < EXCHANGE_OVERHEAD, "{} bytes", question.len());
    let Some(Question::Unproven { challenge, .. }) = other.open_request(from.ip(), to, PATH, &question)
    else {
        panic!("a request without content counts");
    };
    assert!(first.challenge(&challenge));
    assert_eq!(first.request(&body).len(), body.len() + EXCHANGE_OVERHEAD);
    assert!(asking((&one, from), to).request(&body).len() > body.len());
}

#[test]
fn a_node_that_is_known_gets_a_challenge_if_it_asks_for_one() {
    let (one, other) = (boot(&[1]), boot(&[1]));
    let (from, to) = (at(1, 31000), at(2, 31000));
    acquainted((&one, from), (&other, to));
    let empty = asking((&one, from), to).request(b"");
    let answer = other.open_request(from.ip(), to, PATH, &empty);
    assert!(
        matches!(answer, Some(Question::Unproven { replayed: false, .. })),
        "{answer:?}"
    );
}

#[test]
fn a_challenge_is_no_answer_and_its_proof_no_question() {
    let (one, other) = (boot(&[1]), boot(&[1]));
    let (from, to) = (at(1, 31000), at(2, 31000));
    let mut first = asking((&one, from), to);
    let question = first.request(b"question");
    let Some(Question::Unproven { challenge, replayed }) = other.open_request(from.ip(), to, PATH, &question)
    else {
        panic!("an unknown boot number counts");
    };
    assert!(!replayed);
    assert!(first.answer(&challenge).is_none());
    assert!(first.challenge(&challenge));
    let mut proof = first.request(b"question");
    assert_eq!(Kind::of(&proof), Some(Kind::Proof));
    assert_eq!(proof.len(), b"question".len() + EXCHANGE_OVERHEAD);
    proof[0] = Kind::Question as u8;
    assert!(other.open_request(from.ip(), to, PATH, &proof).is_none());
}

proptest! {
    #[test]
    fn a_message_that_was_changed_or_cut_is_not_opened(
        content in prop::collection::vec(any::<u8>(), 0..300),
        place in any::<prop::sample::Index>(),
        change in 1..=255u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let (one, other) = (boot(&[1]), boot(&[1]));
        let (from, to) = (at(1, 31000), at(2, 31000));
        let datagram = one.seal_datagram(from, to, &content);
        let request = asking((&one, from), to).request(&content);
        prop_assert_eq!(&other.open_datagram(from, to, &datagram).unwrap().content, &content);
        for bytes in [&datagram, &request] {
            let mut changed = bytes.clone();
            changed[place.index(bytes.len())] ^= change;
            let short = &bytes[..cut.index(bytes.len())];
            for wrong in [&changed[..], short, &[&bytes[..], &[change]].concat()] {
                prop_assert!(other.open_datagram(from, to, wrong).is_none());
                prop_assert!(other.open_request(from.ip(), to, PATH, wrong).is_none());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_not_opened(mut bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0x80..0x88u8) {
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        let key = boot(&[1, 2, 3, 4]);
        prop_assert!(key.open_datagram(at(1, 1), at(2, 2), &bytes).is_none());
        prop_assert!(key.open_request(at(1, 1).ip(), at(2, 2), PATH, &bytes).is_none());
        let mut asking = asking((&key, at(1, 1)), at(2, 2));
        let _ = asking.request(b"question");
        prop_assert!(asking.answer(&bytes).is_none());
        prop_assert!(!asking.challenge(&bytes));
    }
}
