//! Copies of messages: they change nothing, whichever side was restarted.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use sidecar::mesh::key::boots::{Boots, HINT_PAUSE};
use sidecar::mesh::key::envelope::Nonce;
use sidecar::mesh::key::replay_window::{ReplayWindow, WINDOW};
use sidecar::mesh::key::{Admission, Question};

use super::{PATH, acquainted, asking, at, boot, introduce, worth};

const START: Duration = Duration::ZERO;

fn nonce(boot: u64, counter: u64) -> Nonce {
    Nonce {
        boot,
        counter,
        random: 0,
    }
}

proptest! {
    #[test]
    fn no_counter_counts_twice(counters in prop::collection::vec(0..300u64, 0..600)) {
        let mut window = ReplayWindow::after(0);
        let mut admitted = BTreeSet::new();
        for counter in counters {
            if window.admit(counter) {
                prop_assert!(admitted.insert(counter), "{counter} counts a second time");
            }
        }
    }

    /// Each message overtakes at most a full window of others: all count.
    #[test]
    fn messages_may_overtake_each_other_within_the_window(
        gaps in prop::collection::vec(1..1000u64, 1..300),
        order in any::<prop::sample::Index>(),
    ) {
        let mut counters: Vec<u64> = gaps.iter().scan(0, |sum, gap| { *sum += gap; Some(*sum) }).collect();
        for group in counters.chunks_mut(WINDOW) {
            let turn = order.index(group.len());
            group.rotate_left(turn);
            group.reverse();
        }
        let mut window = ReplayWindow::after(0);
        for counter in counters {
            prop_assert!(window.admit(counter), "{counter} does not count");
        }
    }

    #[test]
    fn only_an_answer_teaches_a_boot_number_and_only_what_comes_after_it_counts(
        answer in 1..100u64,
        counters in prop::collection::vec(1..200u64, 0..WINDOW),
    ) {
        let mut boots = Boots::default();
        let from = at(1, 31000);
        for counter in &counters {
            prop_assert!(!boots.admit(from, nonce(1, *counter)));
        }
        boots.answered(from, nonce(1, answer));
        let mut seen = BTreeSet::new();
        for counter in counters {
            let counts = counter > answer && seen.insert(counter);
            prop_assert_eq!(boots.admit(from, nonce(1, counter)), counts);
            prop_assert!(!boots.admit(from, nonce(2, counter)), "another boot number");
            prop_assert!(!boots.admit(at(1, 31001), nonce(1, counter)), "another node");
        }
    }
}

#[test]
fn a_datagram_counts_once_and_in_any_order() {
    let (one, other) = (boot(&[1]), boot(&[1]));
    let (from, to) = (at(1, 31000), at(2, 31000));
    acquainted((&one, from), (&other, to));
    let sent: Vec<_> = (0..9).map(|_| one.seal_datagram(from, to, b"content")).collect();
    for bytes in sent.iter().rev() {
        assert_eq!(worth((&other, to), from, bytes, START), Some(Admission::Counts));
    }
    for bytes in &sent {
        assert_eq!(worth((&other, to), from, bytes, START), Some(Admission::Replayed));
    }
}

#[test]
fn after_a_restart_of_the_receiver_copies_are_hints_and_then_nothing() {
    let (one, other) = (boot(&[1]), boot(&[1]));
    let (from, to) = (at(1, 31000), at(2, 31000));
    let (asking_one, mut requests, asked) = introduce((&one, from), (&other, to));
    assert!(asking_one.answer(&asked.answer(b"")).is_some());
    let datagrams: Vec<_> = (0..3).map(|_| one.seal_datagram(from, to, b"content")).collect();
    requests.push(asking((&one, from), to).request(b"later"));
    let restarted = boot(&[1]);
    let copies = |knows_sender: bool| {
        for bytes in &datagrams {
            let found = worth((&restarted, to), from, bytes, START);
            let expected = if knows_sender {
                Admission::Replayed
            } else {
                Admission::Asked
            };
            assert_eq!(found, Some(expected));
        }
        for bytes in &requests {
            let found = restarted.open_request(from.ip(), to, PATH, bytes);
            let Some(Question::Unproven { replayed, .. }) = found else {
                panic!("a copy counts: {found:?}");
            };
            assert_eq!(replayed, knows_sender);
        }
    };
    assert_eq!(
        worth((&restarted, to), from, &datagrams[0], START),
        Some(Admission::Hint)
    );
    copies(false);
    acquainted((&restarted, to), (&one, from));
    copies(true);
    let fresh = one.seal_datagram(from, to, b"content");
    assert_eq!(
        worth((&restarted, to), from, &fresh, START),
        Some(Admission::Counts)
    );
}

#[test]
fn after_a_restart_of_the_sender_only_its_new_messages_count() {
    let (old, other) = (boot(&[1]), boot(&[1]));
    let (from, to) = (at(1, 31000), at(2, 31000));
    acquainted((&old, from), (&other, to));
    let unseen = old.seal_datagram(from, to, b"held back");
    let new = boot(&[1]);
    let early = new.seal_datagram(from, to, b"content");
    assert_eq!(worth((&other, to), from, &early, START), Some(Admission::Hint));
    acquainted((&other, to), (&new, from));
    let fresh = new.seal_datagram(from, to, b"content");
    assert_eq!(worth((&other, to), from, &fresh, START), Some(Admission::Counts));
    assert_eq!(
        worth((&other, to), from, &early, START),
        Some(Admission::Replayed)
    );
    assert_eq!(worth((&other, to), from, &unseen, START), Some(Admission::Asked));
}

#[test]
fn a_proof_counts_once_and_answers_one_challenge() {
    let (one, other) = (boot(&[1]), boot(&[1]));
    let (from, to) = (at(1, 31000), at(2, 31000));
    let (_, sent, _) = introduce((&one, from), (&other, to));
    for bytes in &sent {
        let again = other.open_request(from.ip(), to, PATH, bytes);
        assert!(
            matches!(again, Some(Question::Unproven { replayed: true, .. })),
            "{again:?}"
        );
    }
    let elsewhere = boot(&[1]).open_request(from.ip(), to, PATH, &sent[1]);
    assert!(matches!(
        elsewhere,
        Some(Question::Unproven { replayed: false, .. })
    ));
}

#[test]
fn proofs_of_two_exchanges_at_once_both_count_in_any_order() {
    for swapped in [false, true] {
        let (one, other) = (boot(&[1]), boot(&[1]));
        let (from, to) = (at(1, 31000), at(2, 31000));
        let mut exchanges = [asking((&one, from), to), asking((&one, from), to)];
        let questions = exchanges.each_mut().map(|asking| asking.request(b"question"));
        for (asking, bytes) in exchanges.iter_mut().zip(&questions) {
            let Some(Question::Unproven { challenge, .. }) = other.open_request(from.ip(), to, PATH, bytes)
            else {
                panic!("an unknown boot number counts");
            };
            assert!(asking.challenge(&challenge));
        }
        if swapped {
            exchanges.reverse();
        }
        // One that was overtaken is challenged a second time.
        for asking in &mut exchanges {
            let counts = (0..2).any(|_| {
                let bytes = asking.request(b"question");
                match other.open_request(from.ip(), to, PATH, &bytes) {
                    Some(Question::Fresh(..)) => true,
                    Some(Question::Unproven { challenge, .. }) => !asking.challenge(&challenge),
                    None => false,
                }
            });
            assert!(counts, "swapped: {swapped}");
        }
    }
}

#[test]
fn an_address_is_asked_at_most_once_a_second_because_of_hints() {
    let mut boots = Boots::default();
    let (one, other) = (at(1, 0).ip(), at(2, 0).ip());
    assert!(boots.hint(one, START));
    assert!(boots.hint(other, START));
    let before = START + HINT_PAUSE - Duration::from_millis(1);
    assert!(!boots.hint(one, before));
    assert!(boots.hint(one, START + HINT_PAUSE));
    assert!(!boots.hint(one, START + HINT_PAUSE));
}

#[test]
fn old_datagrams_of_many_ports_of_one_address_make_one_question_a_second() {
    let (one, other) = (boot(&[1]), boot(&[1]));
    let to = at(2, 31000);
    let asked = (1..1000).filter(|port| {
        let from = at(1, *port);
        let bytes = one.seal_datagram(from, to, b"content");
        worth((&other, to), from, &bytes, START) == Some(Admission::Hint)
    });
    assert_eq!(asked.count(), 1);
}

#[test]
fn tables_are_bounded() {
    let mut boots = Boots::default();
    let address = |number: u32| {
        let ip = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
        std::net::SocketAddr::new(ip.into(), 31000)
    };
    for number in 0..10_000 {
        boots.hint(address(number).ip(), START);
        boots.challenge(nonce(9, u64::from(number)), address(number), 1);
        boots.answered(address(number), nonce(1, 1));
    }
    let known = (0..10_000)
        .filter(|number| boots.knows(address(*number), nonce(1, 2)))
        .count();
    assert_eq!(known, 4096);
    let later = START + HINT_PAUSE;
    assert!(
        !boots.hint(address(9_999).ip(), START),
        "there is no room within the second"
    );
    assert!(boots.hint(address(9_999).ip(), later));
    let oldest = nonce(9, 0);
    assert!(
        !boots.prove(address(0), nonce(1, 5), oldest),
        "its challenge was dropped"
    );
    assert!(boots.prove(address(9_999), nonce(1, 5), nonce(9, 9_999)));
}
