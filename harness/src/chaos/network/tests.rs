use std::net::Ipv4Addr;

use super::*;

const MEMBERS: [&str; 3] = ["a", "b", "c"];

fn name(name: &str) -> String {
    name.to_owned()
}

fn told(losses: &Losses) -> Vec<String> {
    let line = |((from, to), percent): (&(String, String), &u8)| format!("{from}>{to} {percent}");
    losses.iter().map(line).collect()
}

#[test]
fn each_fault_loses_what_it_says() {
    let lost = |fault: Fault| told(&losses([&fault], &MEMBERS));
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
fn of_several_faults_on_one_way_the_worst_holds_in_any_order() {
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
    assert_eq!(told(&losses([&one, &other, &cut], &MEMBERS)), expected);
    assert_eq!(told(&losses([&cut, &other, &one], &MEMBERS)), expected);
}

#[test]
fn a_sender_loses_what_goes_to_members_that_are_there() {
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
