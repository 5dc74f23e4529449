use std::time::SystemTime;

use super::*;
use crate::chaos::Fault;
use crate::verify::traffic::RequestOutcome;

/// A record of failed requests, each given by its start and end in seconds.
fn record(failed: &[(f64, f64)]) -> TrafficRecord {
    let mut record = TrafficRecord::new(Vec::new(), SystemTime::UNIX_EPOCH);
    for (at, end) in failed {
        record.add(RequestOutcome {
            at: Duration::from_secs_f64(*at),
            took: Duration::from_secs_f64(end - at),
            lane: 0,
            result: Err("refused".to_owned()),
        });
    }
    record
}

fn fault(from: u64, until: u64) -> InjectedFault {
    InjectedFault {
        fault: Fault::Pause {
            member: "lb".to_owned(),
        },
        from: Duration::from_secs(from),
        until: Duration::from_secs(until),
    }
}

#[track_caller]
fn check(failed: (f64, f64), expected: (usize, usize, usize)) {
    let injected = [fault(10, 20), fault(40, 41)];
    let failures = FailureCount::new(&record(&[failed]), &injected);
    let counts = (
        failures.during_fault,
        failures.during_recovery,
        failures.unexcused,
    );
    assert_eq!(counts, expected, "{failed:?}");
    assert_eq!(failures.lines.len(), failures.unexcused);
}

#[test]
fn a_failure_is_excused_during_a_fault_and_for_a_grace_period_after_it() {
    check((1.0, 9.9), (0, 0, 1));
    check((9.0, 10.0), (1, 0, 0));
    check((12.0, 13.0), (1, 0, 0));
    check((19.9, 26.0), (1, 0, 0));
    check((20.0, 20.1), (0, 1, 0));
    check((22.9, 29.0), (0, 1, 0));
    check((23.0, 23.1), (0, 0, 1));
    check((39.0, 39.9), (0, 0, 1));
    check((40.5, 40.6), (1, 0, 0));
}

#[test]
fn the_counts_add_up() {
    let failed = [(5.0, 5.1), (12.0, 12.1), (13.0, 13.1), (21.0, 21.1), (30.0, 30.1)];
    let failures = FailureCount::new(&record(&failed), &[fault(10, 20)]);
    assert_eq!(
        failures.to_string(),
        "5 requests; failed: 2 during a fault, 1 within 3 s after one, 2 at other times"
    );
    assert!(failures.lines[1].contains("at 30.000 s"), "{:?}", failures.lines);
}

#[test]
fn without_faults_nothing_is_excused() {
    assert_eq!(FailureCount::new(&record(&[(1.0, 1.1)]), &[]).unexcused, 1);
}

#[test]
fn routes_without_an_answer_after_the_last_fault_are_listed() {
    let route = |member: &str| crate::cluster::topology::Route {
        entry_point: crate::cluster::topology::LB,
        service: "a".to_owned(),
        member: member.to_owned(),
        container_port: 80,
        target: "/".to_owned(),
    };
    let mut record = TrafficRecord::new(
        vec![route("one").into(), route("two").into()],
        SystemTime::UNIX_EPOCH,
    );
    for (at, lane) in [(5, 0), (5, 1), (21, 0)] {
        let answer = crate::cluster::answer::Answer {
            service: "a".to_owned(),
            host: "h".to_owned(),
            port: 1,
            weight: None,
        };
        record.add(RequestOutcome {
            at: Duration::from_secs(at),
            took: Duration::from_millis(1),
            lane,
            result: Ok(answer),
        });
    }
    let failures = FailureCount::new(&record, &[fault(10, 20)]);
    assert_eq!(
        (failures.unanswered, failures.unexcused),
        (vec![route("two").name()], 0)
    );
}
