use std::time::UNIX_EPOCH;

use super::*;

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn outcome(at: u64, took: u64, result: Result<&str, &str>) -> Outcome {
    let answer = |host: &str| Answer {
        service: "a".to_owned(),
        host: host.to_owned(),
        port: 1,
        weight: None,
    };
    Outcome {
        at: milliseconds(at),
        took: milliseconds(took),
        route: 0,
        result: result.map(answer).map_err(str::to_owned),
    }
}

fn record(outcomes: impl IntoIterator<Item = Outcome>) -> Record {
    let route = Route {
        way: "frontend",
        service: "a".to_owned(),
        member: "frontend".to_owned(),
        container_port: 8080,
        target: "/service-a".to_owned(),
    };
    let mut record = Record::new(vec![route], UNIX_EPOCH + Duration::from_secs(3600));
    for outcome in outcomes {
        record.add(outcome);
    }
    record
}

#[test]
fn a_record_tells_who_answered_and_what_failed() {
    let record = record([
        outcome(0, 5, Ok("one")),
        outcome(10, 5, Err("refused")),
        outcome(20, 5, Ok("two")),
        outcome(30, 5, Ok("two")),
        outcome(40, 5, Ok("one")),
    ]);
    assert_eq!((record.sent(), record.failed()), (5, 1));
    assert_eq!(
        record.hosts(milliseconds(20)),
        BTreeMap::from([("one", 1), ("two", 2)])
    );
    assert_eq!(
        record.first_answer("one", milliseconds(1)),
        Some(milliseconds(45))
    );
    assert_eq!(record.first_answer("three", Duration::ZERO), None);
    assert_eq!(
        record.summary(),
        "5 requests, 1 failed\n01:00:00.010 (at 0.010 s), after 0.005 s, frontend:8080/service-a: refused"
    );
}

#[test]
fn only_the_last_failures_are_shown() {
    let record = record((0..9).map(|at| outcome(at * 10, 1, Err("refused"))));
    let lines = record.summary();
    assert_eq!(lines.lines().count(), 1 + SHOWN_FAILURES);
    assert!(!lines.contains("0.030 s)") && lines.contains("0.040 s)") && lines.contains("0.080 s)"));
}

#[test]
fn failures_are_found_by_when_they_were_sent() {
    let record = record([10, 20, 30].map(|at| outcome(at, 100, Err("reset"))));
    let sent = |since, until| {
        let found = record.failures_sent(milliseconds(since), milliseconds(until));
        found.map(|outcome| outcome.at.as_millis()).collect::<Vec<_>>()
    };
    assert_eq!(sent(10, 30), [10, 20]);
    assert_eq!(sent(11, 31), [20, 30]);
    assert_eq!(sent(31, 99), [0_u128; 0]);
}

#[test]
fn a_request_was_in_flight_only_if_it_overlaps_the_fault() {
    // The fault is begun at 100 and may go unnoticed until 150.
    let fault = Fault {
        at: milliseconds(100),
        until: milliseconds(150),
    };
    let record = record([
        outcome(80, 19, Err("ended before")),
        outcome(80, 20, Err("ended as it was begun")),
        outcome(90, 500, Err("under way")),
        outcome(149, 1, Err("put on it unnoticed")),
        outcome(150, 1, Err("sent when it was noticed")),
        outcome(100, 1, Ok("one")),
    ]);
    let told = |judged: &Judged<'_>| {
        let reasons = judged
            .others
            .iter()
            .map(|outcome| outcome.result.clone().unwrap_err());
        (judged.in_flight, reasons.collect::<Vec<_>>())
    };
    let others = vec!["ended before".to_owned(), "sent when it was noticed".to_owned()];
    assert_eq!(told(&record.judge(&[fault])), (3, others));
    assert_eq!(record.judge(&[]).others.len(), 5);
    let second = Fault {
        at: milliseconds(150),
        until: milliseconds(151),
    };
    assert_eq!(record.judge(&[fault, second]).in_flight, 4);
}

#[test]
fn the_last_error_is_dated_by_when_its_request_ended() {
    let record = record([
        outcome(10, 5, Err("before")),
        outcome(130, 5, Err("sent last")),
        outcome(90, 500, Err("ended last")),
        outcome(700, 5, Ok("one")),
    ]);
    assert_eq!(
        record.last_error_after(milliseconds(100)),
        Some(milliseconds(490))
    );
    assert_eq!(record.last_error_after(milliseconds(590)), Some(Duration::ZERO));
    assert_eq!(record.last_error_after(milliseconds(591)), None);
}

#[test]
fn memory_is_bounded_and_the_count_is_not() {
    let many = u64::try_from(MAX_FAILURES + 2).unwrap();
    let record = record((0..many).map(|at| outcome(at, 0, Err("refused"))));
    assert_eq!(record.failed(), MAX_FAILURES + 2);
    assert_eq!(record.failures().count(), MAX_FAILURES);
    assert_eq!(
        record.failures().next().unwrap().at,
        milliseconds(2),
        "the oldest go first"
    );
}
