//! Rotation: the new key is appended everywhere, moved to the top everywhere, and the old one removed everywhere. In each
//! step the nodes change one after the other, in any order.

use std::time::Duration;

use proptest::prelude::*;
use sidecar::mesh::key::Admission;

use super::{acquainted, at, boot, keys, worth};

const STEPS: [&[u8]; 4] = [&[1], &[1, 2], &[2, 1], &[2]];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_message_counts_whatever_the_order(
        orders in prop::collection::vec(Just(vec![0_u8, 1, 2, 3]).prop_shuffle(), 3),
    ) {
        let nodes: Vec<_> = (0..4_u8).map(|host| (boot(STEPS[0]), at(host, 31000))).collect();
        for (index, (key, address)) in nodes.iter().enumerate() {
            for (other, to) in &nodes[..index] {
                acquainted((key, *address), (other, *to));
                acquainted((other, *to), (key, *address));
            }
        }
        let all_talk = || {
            for (from_key, from) in &nodes {
                for (to_key, to) in nodes.iter().filter(|(_, to)| to != from) {
                    let bytes = from_key.seal_datagram(*from, *to, b"content");
                    assert_eq!(worth((to_key, *to), *from, &bytes, Duration::ZERO), Some(Admission::Counts));
                    acquainted((from_key, *from), (to_key, *to));
                }
            }
        };
        all_talk();
        for (step, order) in STEPS[1..].iter().zip(orders) {
            for node in order {
                nodes[usize::from(node)].0.set_keys(keys(step));
                all_talk();
            }
        }
    }
}

/// Why the steps are three: with two, nodes would not open each other's messages.
#[test]
fn a_node_that_seals_with_a_key_before_others_have_it_is_not_heard() {
    let (ahead, behind) = (boot(&[2, 1]), boot(&[1]));
    let bytes = ahead.seal_datagram(at(1, 1), at(2, 2), b"content");
    assert_eq!(worth((&behind, at(2, 2)), at(1, 1), &bytes, Duration::ZERO), None);
}
