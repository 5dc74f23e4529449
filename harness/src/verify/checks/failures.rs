//! Which requests may fail: none, or only those in flight on a faulty instance.

use std::time::Duration;

use crate::error::{Error, check};
use crate::verify::objectives::Objective;
use crate::verify::suite::Context;
use crate::verify::traffic::{FaultWindow, Pace, RequestOutcome, TrafficRecord};

/// Checks that every request was answered, and that there was at least one answer on every route.
pub fn no_request_failed(record: &TrafficRecord) -> Result<(), Error> {
    let unanswered = record.unanswered(Duration::ZERO, |_| true);
    check(
        record.failed() == 0 && record.sent() > 0 && unanswered.is_empty(),
        "constant traffic on every path, no failed request",
        format!("{}; without an answer: {unanswered:?}", record.summary()),
    )
}

/// Checks that only requests in flight on the faulty instance of `service` failed, at most one for each client or stream, and
/// none where a load balancer of requests could send it again. Measures `objective`, the time from the fault to the last
/// failure. The traffic must have [`Pace::default`]'s number of clients.
pub fn only_requests_in_flight_failed(
    ctx: &Context,
    record: &TrafficRecord,
    service: &str,
    fault: FaultWindow,
    objective: Objective,
) -> Result<(), Error> {
    ctx.measure(objective, record.last_error_after(fault.from).unwrap_or_default());
    let (in_flight, others) = split(record, service, fault);
    ctx.count_in_flight(in_flight.len());
    check(
        others.is_empty() && record.sent() > 0,
        format!("no request fails except those in flight on an instance of service {service}"),
        format!(
            "{} other requests failed\n{}",
            others.len(),
            record.lines(&others).join("\n")
        ),
    )?;
    let many = beyond_concurrency(record, &in_flight);
    check(
        many.is_empty(),
        format!("at most one failed request of each client in flight on an instance of service {service}"),
        format!("{}\n{}", many.join("\n"), record.lines(&in_flight).join("\n")),
    )
}

/// Splits the failed requests into those in flight on the faulty instance of `service` and all others.
///
/// The traffic only reads, so a load balancer of requests sends each again whose instance fails.
fn split<'a>(
    record: &'a TrafficRecord,
    service: &str,
    fault: FaultWindow,
) -> (Vec<&'a RequestOutcome>, Vec<&'a RequestOutcome>) {
    record.failures().partition(|outcome| {
        let lane = record.lane_of(outcome);
        let repeated = lane.is_some_and(|lane| lane.route.repeats_requests());
        fault.covers(outcome) && record.service(outcome) == Some(service) && !repeated
    })
}

/// The lanes with more failed requests than they have in flight at a time, one line each. A client or stream whose request fails
/// must get an answer next.
fn beyond_concurrency(record: &TrafficRecord, failed: &[&RequestOutcome]) -> Vec<String> {
    let lanes = record.lanes().iter().enumerate();
    let beyond = lanes.filter_map(|(index, lane)| {
        let failed = failed.iter().filter(|outcome| outcome.lane == index).count();
        let limit = lane.clients.concurrency(Pace::default());
        (failed > limit).then(|| format!("{}: {failed} failed, of at most {limit} in flight", lane.name()))
    });
    beyond.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::cluster::answer::Answer;
    use crate::cluster::topology::{LB, Route};

    pub(in crate::verify::checks) const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    const FAULT: FaultWindow = FaultWindow {
        from: ms(100),
        until: ms(150),
    };

    pub(in crate::verify::checks) fn record(outcomes: &[(u64, usize, bool)]) -> TrafficRecord {
        let route = |service: &str| Route {
            entry_point: LB,
            service: service.to_owned(),
            member: "lb".to_owned(),
            container_port: 80,
            target: "/".to_owned(),
        };
        let mut record =
            TrafficRecord::new(vec![route("a").into(), route("b").into()], SystemTime::UNIX_EPOCH);
        for &(at, lane, answered) in outcomes {
            let answer = Answer {
                service: "a".to_owned(),
                host: "h".to_owned(),
                port: 1,
                weight: None,
            };
            record.add(RequestOutcome {
                at: ms(at),
                took: ms(20),
                lane,
                result: answered.then_some(answer).ok_or_else(|| "reset".to_owned()),
            });
        }
        record
    }

    #[test]
    fn only_requests_in_flight_on_the_service_are_explained() {
        let record = record(&[(70, 0, false), (90, 0, false), (90, 1, false), (150, 0, false)]);
        let at = |outcomes: Vec<&RequestOutcome>| -> Vec<(Duration, usize)> {
            outcomes
                .iter()
                .map(|outcome| (outcome.at, outcome.lane))
                .collect()
        };
        let (in_flight, others) = split(&record, "a", FAULT);
        assert_eq!(at(in_flight.clone()), [(ms(90), 0)]);
        assert_eq!(at(others), [(ms(70), 0), (ms(90), 1), (ms(150), 0)]);
        assert!(beyond_concurrency(&record, &in_flight).is_empty());
        let many = vec![in_flight[0]; Pace::default().clients + 1];
        assert_eq!(
            beyond_concurrency(&record, &many),
            ["lb:80/: 4 failed, of at most 3 in flight"]
        );
    }
}
