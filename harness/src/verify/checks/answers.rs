//! Which instances answer: one after the other on a route, or under constant traffic.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::cluster::answer::{self, Answer};
use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Route;
use crate::error::{Error, check};
use crate::http::Session;
use crate::verify::traffic::{Clients, Traffic, TrafficRecord};
use crate::wait;

/// Requests sent on one route to check strict alternation.
const REQUESTS: usize = 20;
/// Answers required on each route before the traffic counts as flowing.
const ANSWERS: usize = 10;
/// Timeout for answers under constant traffic; above the timeout of a single request.
const LIMIT: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_millis(20);
/// Timeout of a request on a kept connection; above the frontend's own timeout of 5 s.
const REQUEST_LIMIT: Duration = Duration::from_secs(7);

/// Checks that all instances of the route's service answer in strict alternation: on a new connection for each request, and,
/// where requests are balanced, on one that is kept.
pub async fn alternates(mesh: &Mesh, route: &(Route, SocketAddr)) -> Result<(), Error> {
    turns(mesh, &route.0, &hosts_of(mesh, route, REQUESTS).await?)?;
    if !route.0.balances_requests() {
        return Ok(());
    }
    for version in Clients::ALL.into_iter().filter_map(Clients::version) {
        let session = Session::new(route.1, version);
        let ask = async || answer::read(session.get(&route.0.target, REQUEST_LIMIT).await, &route.0);
        turns(mesh, &route.0, &answering(&route.0, REQUESTS, ask).await?)?;
        check(
            session.opened() == 1,
            format!("{}: one connection for all requests", route.0.name()),
            format!("{} connections", session.opened()),
        )?;
    }
    Ok(())
}

fn turns(mesh: &Mesh, route: &Route, hosts: &[String]) -> Result<(), Error> {
    let instances = mesh.hosts(&route.service);
    let expected = format!(
        "{}: strict alternation of {instances:?} over {REQUESTS} requests",
        route.name()
    );
    check(alternate(hosts, &instances), expected, hosts.join(" "))
}

/// Whether each instance answers exactly once before any of them answers again.
fn alternate(hosts: &[String], instances: &BTreeSet<&str>) -> bool {
    let count = instances.len();
    let all = |round: &[String]| round.iter().map(String::as_str).collect::<BTreeSet<_>>() == *instances;
    count > 0 && hosts.len() >= count && hosts.windows(count).all(all)
}

/// The hosts that answer `count` sequential requests on a route.
pub async fn hosts_of(mesh: &Mesh, route: &(Route, SocketAddr), count: usize) -> Result<Vec<String>, Error> {
    answering(&route.0, count, async || mesh.ask(route).await).await
}

async fn answering(
    route: &Route,
    count: usize,
    ask: impl AsyncFn() -> Result<Answer, String>,
) -> Result<Vec<String>, Error> {
    let mut hosts = Vec::with_capacity(count);
    for i in 1..=count {
        let answer = ask().await.map_err(|reason| {
            let expected = format!("{}: answer {i} of {count}", route.name());
            Error::unmet(expected, reason)
        })?;
        hosts.push(answer.host);
    }
    Ok(hosts)
}

/// Waits until `host` answers a request sent at `since` or later on the traffic's clock. Returns the time from `since`
/// to that answer.
pub async fn time_to_answer(
    traffic: &Traffic,
    host: &str,
    since: Duration,
    expected: &str,
) -> Result<Duration, Error> {
    let attempt = async || {
        traffic.read(|record| {
            let first = record.first_answer(host, since);
            first.ok_or_else(|| vec![record.summary()])
        })
    };
    let waited = wait::until(LIMIT, PERIOD, attempt, |_| {}).await;
    let at = waited.map_err(|expired| Error::unmet(expected, expired.to_string()))?;
    Ok(at.saturating_sub(since))
}

/// Waits until every lane has answered [`ANSWERS`] requests sent from now on.
pub async fn traffic_flows(traffic: &Traffic) -> Result<(), Error> {
    let since = traffic.now();
    let attempt = async || {
        traffic.read(|record| match unanswered(record, since) {
            missing if missing.is_empty() => Ok(()),
            missing => Err(missing),
        })
    };
    let waited = wait::until(LIMIT, PERIOD, attempt, |_| {}).await;
    waited.map_err(|expired| Error::unmet("constant traffic is answered on every path", expired.to_string()))
}

/// The lanes with fewer than [`ANSWERS`] answers to requests sent at `since` or later, one line each.
fn unanswered(record: &TrafficRecord, since: Duration) -> Vec<String> {
    let mut answers = vec![0_usize; record.lanes().len()];
    for (outcome, _) in record.answers().filter(|(outcome, _)| outcome.at >= since) {
        if let Some(count) = answers.get_mut(outcome.lane) {
            *count += 1;
        }
    }
    let few = answers.iter().enumerate().filter(|(_, count)| **count < ANSWERS);
    few.map(|(lane, count)| format!("{}: {count} of {ANSWERS} answers", record.lane(lane)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::checks::failures::tests::{ms, record};

    #[test]
    fn only_strict_alternation_of_exactly_the_instances_counts() {
        let alternate = |hosts: &str, instances: &[&str]| {
            let hosts: Vec<String> = hosts.chars().map(String::from).collect();
            alternate(&hosts, &instances.iter().copied().collect())
        };
        assert!(alternate("abab", &["a", "b"]) && alternate("babab", &["a", "b"]));
        assert!(!alternate("abba", &["a", "b"]) && !alternate("aaaa", &["a", "b"]));
        assert!(alternate("bbb", &["b"]));
        assert!(
            !alternate("xxx", &["b"]) && !alternate("bxb", &["b"]),
            "an unknown host"
        );
        assert!(!alternate("xyxy", &["a", "b"]), "other hosts in alternation");
        assert!(
            !alternate("a", &["a", "b"]) && !alternate("", &["b"]),
            "too few answers"
        );
        assert!(!alternate("ab", &[]), "no instance");
    }

    #[test]
    fn traffic_flows_once_every_route_has_enough_answers() {
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
