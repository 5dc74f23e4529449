//! What an instance that is killed or frozen under traffic may cost: the requests under way on it, and nothing else.

use std::time::Duration;

use crate::error::{Error, check};
use crate::verify::objectives::Promise;
use crate::verify::suite::Stage;
use crate::verify::traffic::{Fault, Outcome, Pace, Record, Traffic};

/// Answers on each route after which traffic is held to flow.
const ANSWERS: usize = 10;
/// Time that those may take; above the time that any one request may take.
const FLOW_LIMIT: Duration = Duration::from_secs(10);

/// Notes how long after the fault the last request failed, and how many failed that were under way on the faulty
/// instance of `service`; checks that no other did. The traffic is of the default pace.
pub(super) fn judge(
    stage: &Stage,
    record: &Record,
    service: &str,
    fault: Fault,
    promise: Promise,
) -> Result<(), Error> {
    stage.measure(promise, record.last_error_after(fault.at).unwrap_or_default());
    let (under_way, others) = apart(record, service, fault);
    stage.in_flight(under_way.len());
    check(
        others.is_empty() && record.sent() > 0,
        format!("no request fails except those in flight on an instance of service {service}"),
        format!(
            "{} others failed\n{}",
            others.len(),
            record.lines(&others).join("\n")
        ),
    )?;
    let most = under_way_at_once(record, service);
    check(
        under_way.len() <= most,
        format!("at most {most} failed requests that were in flight on an instance of service {service}"),
        format!(
            "{} failed\n{}",
            under_way.len(),
            record.lines(&under_way).join("\n")
        ),
    )
}

/// The failed requests that were under way on the faulty instance of `service`, and all others.
fn apart<'a>(record: &'a Record, service: &str, fault: Fault) -> (Vec<&'a Outcome>, Vec<&'a Outcome>) {
    record
        .failures()
        .partition(|outcome| fault.explains(outcome) && record.service(outcome) == Some(service))
}

/// The most requests that can be under way on one instance: each client sends one at a time, and a request that has
/// failed was its client's only one there.
fn under_way_at_once(record: &Record, service: &str) -> usize {
    let routes = record.routes().iter().filter(|route| route.service == service);
    routes.count() * Pace::default().clients
}

/// Waits until every route has answered some requests that are sent from now on.
pub(super) async fn flows(traffic: &Traffic) -> Result<(), Error> {
    let since = traffic.now();
    let attempt = async || {
        traffic.read(|record| match unanswered(record, since) {
            lacking if lacking.is_empty() => Ok(()),
            lacking => Err(lacking),
        })
    };
    match crate::wait::until(FLOW_LIMIT, Duration::from_millis(20), attempt, |_| {}).await {
        Ok(()) => Ok(()),
        Err(expired) => check(
            false,
            "constant traffic is answered on every path",
            expired.to_string(),
        ),
    }
}

/// The routes with too few answers to requests sent at `since` or later, a line each.
fn unanswered(record: &Record, since: Duration) -> Vec<String> {
    let mut answers = vec![0_usize; record.routes().len()];
    for (outcome, _) in record.answers().filter(|(outcome, _)| outcome.at >= since) {
        if let Some(count) = answers.get_mut(outcome.route) {
            *count += 1;
        }
    }
    let few = answers.iter().enumerate().filter(|(_, count)| **count < ANSWERS);
    few.map(|(route, count)| format!("{}: {count} of {ANSWERS} answers", record.route(route)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::cluster::answer::Answer;
    use crate::cluster::topology::{LB, Route};

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    const FAULT: Fault = Fault {
        at: ms(100),
        until: ms(150),
    };

    fn record(outcomes: &[(u64, usize, bool)]) -> Record {
        let route = |service: &str| Route {
            way: LB,
            service: service.to_owned(),
            member: "lb".to_owned(),
            container_port: 80,
            target: "/".to_owned(),
        };
        let mut record = Record::new(vec![route("a"), route("b")], SystemTime::UNIX_EPOCH);
        for &(at, route, answered) in outcomes {
            let answer = Answer {
                service: "a".to_owned(),
                host: "h".to_owned(),
                port: 1,
                weight: None,
            };
            record.add(Outcome {
                at: ms(at),
                took: ms(20),
                route,
                result: answered.then_some(answer).ok_or_else(|| "reset".to_owned()),
            });
        }
        record
    }

    #[test]
    fn only_what_was_under_way_on_the_service_is_explained() {
        let record = record(&[(70, 0, false), (90, 0, false), (90, 1, false), (150, 0, false)]);
        let at = |outcomes: Vec<&Outcome>| -> Vec<(Duration, usize)> {
            outcomes
                .iter()
                .map(|outcome| (outcome.at, outcome.route))
                .collect()
        };
        let (under_way, others) = apart(&record, "a", FAULT);
        assert_eq!(at(under_way), [(ms(90), 0)]);
        assert_eq!(at(others), [(ms(70), 0), (ms(90), 1), (ms(150), 0)]);
        assert_eq!(under_way_at_once(&record, "a"), Pace::default().clients);
    }

    #[test]
    fn traffic_flows_once_every_route_has_answered_often_enough() {
        let mut outcomes = vec![(100, 0, true); ANSWERS];
        outcomes.extend([(99, 1, true), (100, 1, false)]);
        outcomes.extend(vec![(100, 1, true); ANSWERS - 1]);
        assert_eq!(
            unanswered(&record(&outcomes), ms(100)),
            ["lb:80/: 9 of 10 answers"]
        );
        outcomes.push((100, 1, true));
        assert!(unanswered(&record(&outcomes), ms(100)).is_empty());
    }
}
