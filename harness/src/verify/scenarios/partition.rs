//! A partitioned mesh: each side serves the instances that it has, and both sides merge after the partition heals.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cluster::convergence;
use crate::cluster::mesh::{Cut, Mesh};
use crate::cluster::topology::Route;
use crate::error::{Error, check};
use crate::verify::checks::{alternates, is_refused, ready, traffic_flows};
use crate::verify::objectives::Objective;
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::{Clients, RequestOutcome, Traffic, TrafficRecord};
use crate::wait;

/// The two sides of the partition.
const SIDES: [&[&str]; 2] = [&["frontend", "service-a"], &["service-a2", "service-b", "lb"]];
/// The routes that work during the partition: the requested member, the service, and the instance that answers.
const SERVED: [(&str, &str, &str); 3] = [
    ("frontend", "a", "service-a"),
    ("lb", "a", "service-a2"),
    ("lb", "b", "service-b"),
];
/// Sequential requests on each path.
const REQUESTS: usize = 10;
/// Limit for each side to detect the partition, and for both to merge after it.
const LIMIT: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_millis(25);

/// Phases of the scenario, on the traffic's clock.
struct Phases {
    /// Start of the cut.
    cut: Duration,
    /// When each side served all instances that it can reach.
    settled: Duration,
    /// When all views agreed again after the cut.
    converged: Duration,
}

pub(super) static SCENARIO: Scenario = Scenario {
    name: "partition",
    about: "each side of a partitioned mesh serves what it has, and the mesh is whole again afterwards",
    requires: Requirements::DOCKER,
    allows: &["discovery: lost"],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    let traffic = ctx.traffic(&mesh, &[Clients::New])?;
    traffic_flows(&traffic).await?;
    ctx.say(format!("cuts {:?} from {:?}", SIDES[0], SIDES[1]));
    let cut = traffic.now();
    let settled = cut_and_settle(&mut mesh, &traffic).await;
    // Heals the cut even if the check failed.
    ctx.say("heals the cut");
    let healing = traffic.now();
    mesh.heal().await?;
    let settled = settled?;
    mesh.converged(LIMIT).await?;
    let converged = traffic.now();
    ctx.measure(Objective::HealToConvergence, converged.saturating_sub(healing));
    ready(&mesh).await?;
    traffic_flows(&traffic).await?;
    let record = traffic.finish().await;
    check_failures(
        &record,
        &Phases {
            cut,
            settled,
            converged,
        },
    )?;
    for route in mesh.routes()? {
        alternates(&mesh, &route).await?;
    }
    Ok(())
}

/// Cuts the mesh and waits until each side serves all instances that it can reach. Returns the time of that moment.
async fn cut_and_settle(mesh: &mut Mesh, traffic: &Traffic) -> Result<Duration, Error> {
    mesh.cut(&Cut::split(SIDES[0], SIDES[1])).await?;
    let routes = mesh.routes()?;
    let attempt = async || match deviations(mesh, &routes).await {
        found if found.is_empty() => Ok(()),
        found => Err(found),
    };
    let expected = "each side of the partition serves what it has and refuses the rest at once";
    let waited = wait::until(LIMIT, PERIOD, attempt, |_| {}).await;
    waited.map_err(|expired| Error::unmet(expected, expired.to_string()))?;
    let settled = traffic.now();
    // The state must be stable, not only reached once.
    for _ in 0..2 {
        let deviations = deviations(mesh, &routes).await;
        check(deviations.is_empty(), expected, deviations.join("\n"))?;
    }
    Ok(settled)
}

/// The routes that do not behave as expected yet, one line each.
async fn deviations(mesh: &Mesh, routes: &[(Route, SocketAddr)]) -> Vec<String> {
    let mut found = Vec::new();
    let seen = mesh.views().await;
    for side in SIDES {
        let mut seen = seen.clone();
        seen.retain(|who| side.contains(&who.name.as_str()));
        found.extend(convergence::disagreements(&seen, &[]));
    }
    if !found.is_empty() {
        return found;
    }
    for route in routes {
        let answered = match server(&route.0) {
            Some(member) => answers_alone(mesh, route, member).await,
            None => is_refused(route).await,
        };
        found.extend(answered.err());
    }
    found
}

/// The instance that a route reaches during the partition; `None` if it reaches none.
fn server(route: &Route) -> Option<&'static str> {
    let asked = (route.member.as_str(), route.service.as_str());
    let served = SERVED
        .iter()
        .find(|(asked_member, service, _)| (*asked_member, *service) == asked);
    served.map(|(_, _, member)| *member)
}

/// Checks that `member` answers all of [`REQUESTS`] requests on a route.
async fn answers_alone(mesh: &Mesh, route: &(Route, SocketAddr), member: &str) -> Result<(), String> {
    let node = mesh.node(member).map_err(|error| error.to_string())?;
    let host = node.container.short_id();
    for _ in 0..REQUESTS {
        let answer = mesh.ask(route).await;
        let answer = answer.map_err(|reason| format!("{}: {reason}", route.0.name()))?;
        if answer.host != host {
            return Err(format!(
                "{}: {} answered instead of {member} ({host})",
                route.0.name(),
                answer.host
            ));
        }
    }
    Ok(())
}

/// Checks that requests failed only between the cut and the convergence after it and, on a path that is served
/// throughout, only until its side had settled.
fn check_failures(record: &TrafficRecord, phases: &Phases) -> Result<(), Error> {
    let failures: Vec<&RequestOutcome> = record
        .failures()
        .filter(|outcome| !excused(record, phases, outcome))
        .collect();
    check(
        failures.is_empty() && record.sent() > 0,
        "no request fails except those on paths affected by the partition",
        format!(
            "{} other requests failed\n{}",
            failures.len(),
            record.lines(&failures).join("\n")
        ),
    )
}

fn excused(record: &TrafficRecord, phases: &Phases, outcome: &RequestOutcome) -> bool {
    let until = match record.lane_of(outcome).map(|lane| &lane.route) {
        Some(route) if server(route).is_some() => phases.settled,
        Some(_) => phases.converged,
        None => return false,
    };
    outcome.end() >= phases.cut && outcome.at < until
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::cluster::topology::{LB, SOCKS5};

    #[test]
    fn a_failure_is_excused_only_on_affected_paths_and_while_they_are_affected() {
        let ms = Duration::from_millis;
        let route = |entry_point, member: &str, service: &str| Route {
            entry_point,
            service: service.to_owned(),
            member: member.to_owned(),
            container_port: 80,
            target: "/".to_owned(),
        };
        let routes = vec![route(LB, "lb", "b").into(), route(SOCKS5, "frontend", "b").into()];
        let record = TrafficRecord::new(routes, SystemTime::UNIX_EPOCH);
        let phases = Phases {
            cut: ms(100),
            settled: ms(200),
            converged: ms(300),
        };
        let excused = |at, took, lane| {
            let result = Err("reset".to_owned());
            let (at, took) = (ms(at), ms(took));
            let outcome = RequestOutcome {
                at,
                took,
                lane,
                result,
            };
            excused(&record, &phases, &outcome)
        };
        // Route 0 is served throughout, route 1 is not.
        for (route, last) in [(0, 199), (1, 299)] {
            assert!(!excused(90, 9, route));
            assert!(excused(90, 10, route));
            assert!(excused(last, 500, route));
            assert!(!excused(last + 1, 500, route));
        }
    }
}
