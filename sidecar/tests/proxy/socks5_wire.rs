//! SOCKS5 messages: encoded ones decode again, however they are split, and no input panics.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use sidecar::proxy::socks5::wire::{
    CONNECT, Destination, Greeting, Reply, ReplyCode, Request, WireError, encode_method,
};

fn destination() -> impl Strategy<Value = Destination> {
    prop_oneof![
        (any::<IpAddr>(), any::<u16>())
            .prop_map(|(ip, port)| Destination::Address(SocketAddr::new(ip, port))),
        ("[!-~]{1,255}", any::<u16>()).prop_map(|(name, port)| Destination::Domain(name, port)),
    ]
}

proptest! {
    #[test]
    fn a_greeting_decodes_as_soon_as_it_is_complete(
        methods in prop::collection::vec(any::<u8>(), 0..=255), after in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let greeting = Greeting { methods };
        let mut bytes = greeting.encode();
        let length = bytes.len();
        for end in 0..length {
            prop_assert_eq!(Greeting::decode(&bytes[..end]), Ok(None));
        }
        bytes.extend(after);
        prop_assert_eq!(Greeting::decode(&bytes), Ok(Some((greeting, length))));
    }

    #[test]
    fn a_request_decodes_as_soon_as_it_is_complete(
        command in any::<u8>(), destination in destination(), after in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let request = Request { command, destination };
        let mut bytes = request.encode();
        let length = bytes.len();
        prop_assert!(length <= 262);
        for end in 0..length {
            prop_assert_eq!(Request::decode(&bytes[..end]), Ok(None));
        }
        bytes.extend(after);
        prop_assert_eq!(Request::decode(&bytes), Ok(Some((request, length))));
    }

    #[test]
    fn any_input_is_decided_within_the_longest_messages_length(bytes in prop::collection::vec(any::<u8>(), 262..300)) {
        prop_assert_ne!(Greeting::decode(&bytes), Ok(None));
        prop_assert_ne!(Request::decode(&bytes), Ok(None));
    }

    #[test]
    fn more_bytes_do_not_change_a_decision(
        first in prop::sample::select(vec![5u8, 5, 5, 4, 0]), kind in prop::sample::select(vec![0u8, 1, 2, 3, 4, 5]),
        mut bytes in prop::collection::vec(any::<u8>(), 4..80), end in any::<prop::sample::Index>(),
    ) {
        bytes[0] = first;
        bytes[3] = kind;
        let part = &bytes[..end.index(bytes.len() + 1)];
        for (initial, late) in [
            (Greeting::decode(part).map(drop_message), Greeting::decode(&bytes).map(drop_message)),
            (Request::decode(part).map(drop_message), Request::decode(&bytes).map(drop_message)),
        ] {
            prop_assert!(initial == Ok(None) || initial == late, "{:?} became {:?}", initial, late);
        }
    }
}

fn drop_message<T>(decoded: Option<(T, usize)>) -> Option<usize> {
    decoded.map(|(_, length)| length)
}

/// Bytes written by hand from RFC 1928.
#[test]
fn the_layout_is_that_of_rfc_1928() {
    assert_eq!(Greeting { methods: vec![0, 2] }.encode(), [5, 2, 0, 2]);
    assert_eq!(encode_method(0xff), [5, 0xff]);
    let v4 = [5, 1, 0, 1, 127, 0, 0, 1, 0x1f, 0x90];
    let request = Request {
        command: CONNECT,
        destination: Destination::Address("127.0.0.1:8080".parse().unwrap()),
    };
    assert_eq!(Request::decode(&v4), Ok(Some((request, v4.len()))));
    let mut v6 = vec![5, 1, 0, 4];
    v6.extend([0; 15]);
    v6.extend([1, 0, 80]);
    let request = Request {
        command: CONNECT,
        destination: Destination::Address("[::1]:80".parse().unwrap()),
    };
    assert_eq!(Request::decode(&v6), Ok(Some((request, v6.len()))));
    let domain = b"\x05\x01\x00\x03\x04a.bc\x00\x50";
    let request = Request {
        command: CONNECT,
        destination: Destination::Domain("a.bc".to_owned(), 80),
    };
    assert_eq!(Request::decode(domain), Ok(Some((request, domain.len()))));
    let reply = Reply {
        code: ReplyCode::HostUnreachable,
        bound: "1.2.3.4:5".parse().unwrap(),
    };
    assert_eq!(reply.encode(), [5, 4, 0, 1, 1, 2, 3, 4, 0, 5]);
}

#[test]
fn an_invalid_message_is_rejected_at_its_first_wrong_byte() {
    assert_eq!(Greeting::decode(b"G"), Err(WireError::Version(b'G')));
    assert_eq!(Request::decode(&[4]), Err(WireError::Version(4)));
    assert_eq!(Request::decode(&[5, 1, 0, 2]), Err(WireError::AddressType(2)));
    assert_eq!(Request::decode(&[5, 1, 0, 3, 0]), Err(WireError::Domain));
    for name in [&b"a b"[..], b"a\n", b"\xc3\xa4", b"a\0"] {
        let mut bytes = vec![5, 1, 0, 3, name.len() as u8];
        bytes.extend(name);
        bytes.extend([0, 80]);
        assert_eq!(Request::decode(&bytes), Err(WireError::Domain), "{name:?}");
    }
}
