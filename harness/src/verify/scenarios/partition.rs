//! A mesh that is cut in two: each side serves what it can, and both are one mesh again once the cut is healed.

use std::net::SocketAddr;
use std::time::Duration;

use super::alternation::alternates;
use super::faulty::flows;
use super::refusal::is_refused;
use crate::cluster::convergence;
use crate::cluster::mesh::{Cut, Mesh};
use crate::cluster::topology::Route;
use crate::error::{Error, check};
use crate::report::Progress;
use crate::verify::objectives::Promise;
use crate::verify::suite::{READY_LIMIT, Stage};
use crate::verify::traffic::{Outcome, Record, Traffic};
use crate::wait;

/// The two sides.
const SIDES: [&[&str]; 2] = [&["frontend", "service-a"], &["service-a2", "service-b", "lb"]];
/// What each way in still reaches: the member that is asked, the service, and the instance that answers.
const SERVED: [(&str, &str, &str); 3] = [
    ("frontend", "a", "service-a"),
    ("lb", "a", "service-a2"),
    ("lb", "b", "service-b"),
];
/// Requests on each path, one after the other.
const REQUESTS: usize = 10;
/// Time that each side has to know that the other is out of reach, and that both have to find each other again.
const LIMIT: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_millis(25);

/// Moments on the traffic's clock.
struct Moments {
    cut: Duration,
    settled: Duration,
    agreed: Duration,
}

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;
    let traffic = stage.traffic(&mesh)?;
    flows(&traffic).await?;
    stage.say(format!("cuts {:?} from {:?}", SIDES[0], SIDES[1]));
    let cut = traffic.now();
    let settled = apart(&mut mesh, &traffic).await;
    // Whatever became of it, no cut is left behind.
    stage.say("heals the cut");
    let healing = traffic.now();
    mesh.heal().await?;
    let settled = settled?;
    mesh.agreed(LIMIT).await?;
    let agreed = traffic.now();
    stage.measure(Promise::HealToAgreement, agreed.saturating_sub(healing));
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    flows(&traffic).await?;
    let record = traffic.finish().await;
    judge(&record, &Moments { cut, settled, agreed })?;
    for route in mesh.routes()? {
        alternates(&mesh, &route).await?;
    }
    Ok(())
}

/// Cuts the mesh and waits until both sides serve what they can; answers with the moment from which they do.
async fn apart(mesh: &mut Mesh, traffic: &Traffic) -> Result<Duration, Error> {
    mesh.cut(&Cut::split(SIDES[0], SIDES[1])).await?;
    let routes = mesh.routes()?;
    let attempt = async || match strayed(mesh, &routes).await {
        lacking if lacking.is_empty() => Ok(()),
        lacking => Err(lacking),
    };
    let expected = "each side of the cut serves what it has and says at once what it has not";
    match wait::until(LIMIT, PERIOD, attempt, |_| {}).await {
        Ok(()) => {}
        Err(expired) => check(false, expected, expired.to_string())?,
    }
    let settled = traffic.now();
    // What holds now must hold on: also when it is asked again and again.
    for _ in 0..2 {
        let strayed = strayed(mesh, &routes).await;
        check(strayed.is_empty(), expected, strayed.join("\n"))?;
    }
    Ok(settled)
}

/// All in which the sides do not yet behave as they should, a line each.
async fn strayed(mesh: &Mesh, routes: &[(Route, SocketAddr)]) -> Vec<String> {
    let mut lacking = Vec::new();
    let seen = mesh.look().await;
    for side in SIDES {
        let mut seen = seen.clone();
        seen.retain(|who| side.contains(&who.name.as_str()));
        lacking.extend(convergence::disagreements(&seen));
    }
    if !lacking.is_empty() {
        return lacking;
    }
    for route in routes {
        let answered = match server(&route.0) {
            Some(member) => answers_alone(mesh, route, member).await,
            None => is_refused(route).await,
        };
        lacking.extend(answered.err());
    }
    lacking
}

/// The instance that a route reaches while the mesh is cut; none where it reaches nothing.
fn server(route: &Route) -> Option<&'static str> {
    let asked = (route.member.as_str(), route.service.as_str());
    let served = SERVED.iter().find(|(way, service, _)| (*way, *service) == asked);
    served.map(|(_, _, member)| *member)
}

/// Every one of some answers on this route is from `member`.
async fn answers_alone(mesh: &Mesh, route: &(Route, SocketAddr), member: &str) -> Result<(), String> {
    let node = mesh.node(member).map_err(|error| error.to_string())?;
    let host = node.container.short_id();
    for _ in 0..REQUESTS {
        let answer = mesh.ask(route).await;
        let answer = answer.map_err(|reason| format!("{}: {reason}", route.0.name()))?;
        if answer.host != host {
            return Err(format!(
                "{}: {} answered, which is not {member} ({host})",
                route.0.name(),
                answer.host
            ));
        }
    }
    Ok(())
}

/// No request may fail before the cut, none that is sent once all agree again, and none in between on a path that
/// is served throughout, once its side has settled.
fn judge(record: &Record, moments: &Moments) -> Result<(), Error> {
    let failures: Vec<&Outcome> = record
        .failures()
        .filter(|outcome| !excused(record, moments, outcome))
        .collect();
    check(
        failures.is_empty() && record.sent() > 0,
        "no request fails but those on paths that the cut is in the way of",
        format!("{} did\n{}", failures.len(), record.lines(&failures).join("\n")),
    )
}

fn excused(record: &Record, moments: &Moments, outcome: &Outcome) -> bool {
    let until = match record.routes().get(outcome.route) {
        Some(route) if server(route).is_some() => moments.settled,
        Some(_) => moments.agreed,
        None => return false,
    };
    outcome.end() >= moments.cut && outcome.at < until
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::cluster::topology::{LB, SOCKS5};

    #[test]
    fn a_failure_is_excused_only_where_and_while_the_cut_is_in_the_way() {
        let ms = Duration::from_millis;
        let route = |way, member: &str, service: &str| Route {
            way,
            service: service.to_owned(),
            member: member.to_owned(),
            container_port: 80,
            target: "/".to_owned(),
        };
        let routes = vec![route(LB, "lb", "b"), route(SOCKS5, "frontend", "b")];
        let record = Record::new(routes, SystemTime::UNIX_EPOCH);
        let moments = Moments {
            cut: ms(100),
            settled: ms(200),
            agreed: ms(300),
        };
        let excused = |at, took, route| {
            let result = Err("reset".to_owned());
            let (at, took) = (ms(at), ms(took));
            let outcome = Outcome {
                at,
                took,
                route,
                result,
            };
            excused(&record, &moments, &outcome)
        };
        // Served throughout, and not.
        for (route, last) in [(0, 199), (1, 299)] {
            assert!(!excused(90, 9, route));
            assert!(excused(90, 10, route));
            assert!(excused(last, 500, route));
            assert!(!excused(last + 1, 500, route));
        }
    }
}
