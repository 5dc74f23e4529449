use std::time::SystemTime;

use super::*;
use crate::chaos::Fault;
use crate::verify::traffic::Outcome;

/// A record of failed requests, each from its beginning to its end in seconds, and of one that was answered.
fn record(failed: &[(f64, f64)]) -> Record {
    let mut record = Record::new(Vec::new(), SystemTime::UNIX_EPOCH);
    for (at, end) in failed {
        record.add(Outcome {
            at: Duration::from_secs_f64(*at),
            took: Duration::from_secs_f64(end - at),
            route: 0,
            result: Err("refused".to_owned()),
        });
    }
    record
}

fn trouble(from: u64, until: u64) -> Trouble {
    Trouble {
        fault: Fault::Pause {
            member: "lb".to_owned(),
        },
        from: Duration::from_secs(from),
        until: Duration::from_secs(until),
    }
}

#[track_caller]
fn judged(failed: (f64, f64), expected: (usize, usize, usize)) {
    let troubles = [trouble(10, 20), trouble(40, 41)];
    let ledger = Ledger::new(&record(&[failed]), &troubles);
    let counts = (ledger.during, ledger.soon_after, ledger.in_peace);
    assert_eq!(counts, expected, "{failed:?}");
    assert_eq!(ledger.lines.len(), ledger.in_peace);
}

#[test]
fn a_request_is_excused_by_a_fault_that_it_met_or_came_soon_after() {
    judged((1.0, 9.9), (0, 0, 1));
    judged((9.0, 10.0), (1, 0, 0));
    judged((12.0, 13.0), (1, 0, 0));
    judged((19.9, 26.0), (1, 0, 0));
    judged((20.0, 20.1), (0, 1, 0));
    judged((22.9, 29.0), (0, 1, 0));
    judged((23.0, 23.1), (0, 0, 1));
    judged((39.0, 39.9), (0, 0, 1));
    judged((40.5, 40.6), (1, 0, 0));
}

#[test]
fn the_counts_add_up() {
    let failed = [(5.0, 5.1), (12.0, 12.1), (13.0, 13.1), (21.0, 21.1), (30.0, 30.1)];
    let ledger = Ledger::new(&record(&failed), &[trouble(10, 20)]);
    assert_eq!(
        ledger.to_string(),
        "5 requests; failed: 2 while a fault was on, 1 within 3 s after, 2 else"
    );
    assert!(ledger.lines[1].contains("at 30.000 s"), "{:?}", ledger.lines);
}

#[test]
fn without_faults_nothing_is_excused() {
    assert_eq!(Ledger::new(&record(&[(1.0, 1.1)]), &[]).in_peace, 1);
}

#[test]
fn a_route_that_is_silent_after_the_last_fault_is_told() {
    let route = |member: &str| crate::cluster::topology::Route {
        way: crate::cluster::topology::LB,
        service: "a".to_owned(),
        member: member.to_owned(),
        container_port: 80,
        target: "/".to_owned(),
    };
    let mut record = Record::new(vec![route("one"), route("two")], SystemTime::UNIX_EPOCH);
    for (at, route) in [(5, 0), (5, 1), (21, 0)] {
        let answer = crate::cluster::answer::Answer {
            service: "a".to_owned(),
            host: "h".to_owned(),
            port: 1,
            weight: None,
        };
        record.add(Outcome {
            at: Duration::from_secs(at),
            took: Duration::from_millis(1),
            route,
            result: Ok(answer),
        });
    }
    let ledger = Ledger::new(&record, &[trouble(10, 20)]);
    assert_eq!((ledger.silent, ledger.in_peace), (vec![route("two").name()], 0));
}
