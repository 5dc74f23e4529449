//! Whether the instances of a service have equal shares of constant traffic, to the request.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cluster::mesh::Mesh;
use crate::error::Error;
use crate::verify::traffic::TrafficRecord;

/// Requests of each instance from which on equal numbers are no coincidence.
const REQUESTS: usize = 20;

/// An answered request.
struct Answered<'a> {
    at: Duration,
    end: Duration,
    host: &'a str,
}

/// Returns the time from `since` until the instances of `service` had equal shares through each member.
///
/// A sidecar picks an instance for each request, whatever listener and client it is of. So of all requests sent after a moment,
/// each instance gets the same number, but for those in flight at that moment. The traffic must have ended, and nothing else
/// may have sent requests.
///
/// # Errors
/// There was no such time.
pub fn time_to_equal_shares(
    mesh: &Mesh,
    record: &TrafficRecord,
    service: &str,
    since: Duration,
) -> Result<Duration, Error> {
    let instances = mesh.hosts(service);
    let lanes = record.lanes().iter();
    let members: BTreeSet<&str> = lanes.map(|lane| lane.route.member.as_str()).collect();
    let mut latest = since;
    for member in members {
        let answered = balanced(record, member, service);
        let found = equal_since(&answered, &instances, since);
        latest = latest.max(found.ok_or_else(|| {
            let later = answered.iter().filter(|one| one.at >= since);
            Error::unmet(
                format!("{member}: equal shares of all requests to service {service} for {instances:?}"),
                format!("{:?} of those sent in the end", shares(later)),
            )
        })?);
    }
    Ok(latest.saturating_sub(since))
}

/// The answered requests to a service through a member that were balanced each by itself, in the order of their sending.
fn balanced<'a>(record: &'a TrafficRecord, member: &str, service: &str) -> Vec<Answered<'a>> {
    let answers = record.answers().filter(|(outcome, _)| {
        record.lane_of(outcome).is_some_and(|lane| {
            lane.balances_requests() && lane.route.member == member && lane.route.service == service
        })
    });
    let mut answered: Vec<Answered<'a>> = answers
        .map(|(outcome, answer)| Answered {
            at: outcome.at,
            end: outcome.end(),
            host: &answer.host,
        })
        .collect();
    answered.sort_by_key(|one| one.at);
    answered
}

/// When the first request was sent, at `since` or later, from which on the shares are equal.
fn equal_since(answered: &[Answered<'_>], instances: &BTreeSet<&str>, since: Duration) -> Option<Duration> {
    let first = answered.partition_point(|one| one.at < since);
    (first..answered.len()).find_map(|start| {
        let (before, later) = answered.split_at(start);
        let at = later.first()?.at;
        let in_flight = before.iter().filter(|one| one.end > at).count();
        let shares = shares(later);
        let (least, most) = (shares.values().min()?, shares.values().max()?);
        let all = shares.keys().copied().eq(instances.iter().copied());
        (all && *least >= REQUESTS && most - least <= 1 + in_flight).then_some(at)
    })
}

fn shares<'a>(answered: impl IntoIterator<Item = &'a Answered<'a>>) -> BTreeMap<&'a str, usize> {
    let mut shares = BTreeMap::new();
    for one in answered {
        *shares.entry(one.host).or_default() += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::checks::failures::tests::ms;

    /// One request in a millisecond to each of `hosts`, which takes half of one.
    fn answered(hosts: &str) -> Vec<Answered<'_>> {
        let one = |(index, host): (usize, &'static str)| {
            let at = ms(index as u64);
            let end = at + ms(1) / 2;
            Answered { at, end, host }
        };
        let name = |host| match host {
            'a' => "a",
            'b' => "b",
            _ => "c",
        };
        hosts.chars().map(name).enumerate().map(one).collect()
    }

    fn found(hosts: &str, since: u64) -> Option<u64> {
        let instances = BTreeSet::from(["a", "b", "c"]);
        let at = equal_since(&answered(hosts), &instances, ms(since));
        at.map(|at| at.as_millis() as u64)
    }

    #[test]
    fn shares_are_equal_from_the_request_on_after_which_all_have_the_same_number() {
        let joined = "ab".repeat(50) + &"abc".repeat(30);
        assert_eq!(
            found(&joined, 0),
            Some(98),
            "one more for one of them is a remainder"
        );
        assert_eq!(found(&joined, 120), Some(120));
        let late = "ab".repeat(50) + &"c".repeat(5) + &"abc".repeat(30);
        assert_eq!(found(&late, 100), Some(104));
    }

    #[test]
    fn an_instance_that_gets_too_little_or_nothing_has_no_share() {
        assert_eq!(found(&"ab".repeat(50), 0), None);
        assert_eq!(found(&"abacbc".repeat(20), 0), Some(0));
        assert_eq!(found(&"aabc".repeat(50), 0), None);
        assert_eq!(found(&"abc".repeat(10), 0), None, "too few requests");
    }

    #[test]
    fn requests_in_flight_may_be_missing() {
        let hosts = "aaa".to_owned() + &"bc".repeat(3) + &"abc".repeat(27);
        let mut requests = answered(&hosts);
        let instances = BTreeSet::from(["a", "b", "c"]);
        let since = requests[3].at;
        assert_ne!(equal_since(&requests, &instances, since), Some(since));
        for one in &mut requests[..3] {
            one.end = since + ms(1);
        }
        assert_eq!(equal_since(&requests, &instances, since), Some(since));
    }
}
