use std::net::Ipv4Addr;

use super::*;

const MEMBERS: [&str; 3] = ["a", "b", "c"];

fn name(name: &str) -> String {
    name.to_owned()
}

fn lines(losses: &Losses) -> Vec<String> {
    let line = |((from, to), percent): (&(String, String), &u8)| format!("{from}>{to} {percent}");
    losses.iter().map(line).collect()
}

#[test]
fn each_fault_affects_its_pairs() {
    let lost = |fault: Fault| lines(&losses([&fault], &MEMBERS));
    assert_eq!(
        lost(Fault::CutNode { member: name("b") }),
        ["a>b 100", "b>a 100", "b>c 100", "c>b 100"]
    );
    let (a, c) = (name("a"), name("c"));
    assert_eq!(lost(Fault::CutPair { a, b: c }), ["a>c 100", "c>a 100"]);
    let (from, to) = (name("c"), name("a"));
    assert_eq!(lost(Fault::CutOneWay { from, to }), ["c>a 100"]);
    let (member, percent) = (name("a"), 30);
    assert_eq!(
        lost(Fault::Lose { member, percent }),
        ["a>b 30", "a>c 30", "b>a 30", "c>a 30"]
    );
    assert_eq!(lost(Fault::Pause { member: name("a") }), [""; 0]);
}

#[test]
fn the_highest_loss_of_several_faults_applies() {
    let lose = |member: &str, percent| Fault::Lose {
        member: name(member),
        percent,
    };
    let cut = Fault::CutOneWay {
        from: name("a"),
        to: name("b"),
    };
    let (one, other) = (lose("a", 20), lose("b", 50));
    let expected = ["a>b 100", "a>c 20", "b>a 50", "b>c 50", "c>a 20", "c>b 50"];
    assert_eq!(lines(&losses([&one, &other, &cut], &MEMBERS)), expected);
    assert_eq!(lines(&losses([&cut, &other, &one], &MEMBERS)), expected);
}

#[test]
fn losses_of_a_sender_are_grouped_for_running_receivers() {
    let lose = Fault::Lose {
        member: name("a"),
        percent: 20,
    };
    let cut = Fault::CutPair {
        a: name("a"),
        b: name("c"),
    };
    let losses = losses([&lose, &cut], &MEMBERS);
    let (b, c) = (
        IpAddr::from(Ipv4Addr::new(10, 0, 0, 2)),
        IpAddr::from(Ipv4Addr::new(10, 0, 0, 3)),
    );
    let all = BTreeMap::from([(name("b"), b), (name("c"), c)]);
    assert_eq!(
        of_sender(&losses, "a", &all),
        BTreeMap::from([(20, vec![b]), (ALL, vec![c])])
    );
    let without_c = BTreeMap::from([(name("b"), b)]);
    assert_eq!(
        of_sender(&losses, "a", &without_c),
        BTreeMap::from([(20, vec![b])])
    );
    assert_eq!(of_sender(&losses, "b", &all), BTreeMap::new());
}
