use std::time::UNIX_EPOCH;

use super::*;

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn outcome(at: u64, took: u64, result: Result<&str, &str>) -> RequestOutcome {
    let answer = |host: &str| Answer {
        service: "a".to_owned(),
        host: host.to_owned(),
        port: 1,
        weight: None,
    };
    RequestOutcome {
        at: milliseconds(at),
        took: milliseconds(took),
        lane: 0,
        result: result.map(answer).map_err(str::to_owned),
    }
}

fn record(outcomes: impl IntoIterator<Item = RequestOutcome>) -> TrafficRecord {
    let route = Route {
        entry_point: "frontend",
        service: "a".to_owned(),
        member: "frontend".to_owned(),
        container_port: 8080,
        target: "/service-a".to_owned(),
    };
    let mut record = TrafficRecord::new(vec![route.into()], UNIX_EPOCH + Duration::from_secs(3600));
    for outcome in outcomes {
        record.add(outcome);
    }
    record
}

#[test]
fn a_record_counts_answers_by_host_and_failures() {
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
fn failures_are_selected_by_the_time_of_sending() {
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
fn a_fault_covers_the_requests_that_overlap_its_window() {
    // Injected at 100, detected at 150.
    let fault = FaultWindow {
        from: milliseconds(100),
        until: milliseconds(150),
    };
    let record = record([
        outcome(80, 19, Err("ended before")),
        outcome(80, 20, Err("ended at the injection")),
        outcome(90, 500, Err("in flight")),
        outcome(149, 1, Err("sent before the detection")),
        outcome(150, 1, Err("sent at the detection")),
        outcome(100, 1, Ok("one")),
    ]);
    let split = |classified: &Classified<'_>| {
        let reasons = classified
            .others
            .iter()
            .map(|outcome| outcome.result.clone().unwrap_err());
        (classified.in_flight, reasons.collect::<Vec<_>>())
    };
    let others = vec!["ended before".to_owned(), "sent at the detection".to_owned()];
    assert_eq!(split(&record.classify(&[fault])), (3, others));
    assert_eq!(record.classify(&[]).others.len(), 5);
    let second = FaultWindow {
        from: milliseconds(150),
        until: milliseconds(151),
    };
    assert_eq!(record.classify(&[fault, second]).in_flight, 4);
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
fn old_failures_are_dropped_but_counted() {
    let many = u64::try_from(MAX_FAILURES + 2).unwrap();
    let record = record((0..many).map(|at| outcome(at, 0, Err("refused"))));
    assert_eq!(record.failed(), MAX_FAILURES + 2);
    assert_eq!(record.failures().count(), MAX_FAILURES);
    assert_eq!(
        record.failures().next().unwrap().at,
        milliseconds(2),
        "the oldest are dropped first"
    );
}
