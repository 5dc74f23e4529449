//! What clients connect to is restarted: requests under way finish, and the other ways go on.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{join, join_all, try_join_all};

use super::graceful_stop::no_request_failed;
use crate::cluster::answer::Answer;
use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Route;
use crate::error::{Error, check};
use crate::http::{self, HeldRequest};
use crate::report::Progress;
use crate::verify::suite::{READY_LIMIT, Stage};
use crate::verify::traffic::Traffic;
use crate::wait;

/// Time that a request may take which shows whether anybody still listens.
const KNOCK: Duration = Duration::from_secs(1);
/// Time until a stopping member must have closed its door, and until a request under way must be answered.
const LIMIT: Duration = Duration::from_secs(5);
const PERIOD: Duration = Duration::from_millis(10);

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;
    let doors: Vec<String> = mesh
        .nodes()
        .iter()
        .filter(|node| node.member.role.balances())
        .map(|node| node.member.name().to_owned())
        .collect();
    check(
        doors.len() == 2,
        "a frontend and a load balancer",
        doors.join(" "),
    )?;
    let traffic = stage.traffic(&mesh)?;
    let mut result = Ok(());
    for name in &doors {
        stage.say(format!("restarts {name}"));
        result = restart(&mut mesh, &traffic, name).await;
        if result.is_err() {
            break;
        }
    }
    let record = traffic.finish().await;
    result?;
    no_request_failed(&record)
}

async fn restart(mesh: &mut Mesh, traffic: &Traffic, name: &str) -> Result<(), Error> {
    let (through, beside): (Vec<_>, Vec<_>) = mesh
        .routes()?
        .into_iter()
        .partition(|(route, _)| route.member == name);
    each_answers(traffic, &through, Duration::ZERO).await?;
    let under_way = try_join_all(through.iter().map(begin)).await?;

    // What the traffic has under way at this moment must be answered too: a failure of it is recorded.
    traffic.rest(name);
    let stopping = traffic.now();
    let ((code, took), finished) = {
        let finishing = async {
            closed(&through).await?;
            try_join_all(under_way.into_iter().map(finish)).await
        };
        let (stopped, finished) = join(mesh.stop(name), finishing).await;
        (stopped?, finished)
    };
    finished?;
    let seen = format!("{code}, after {took:.1?}");
    check(code == 0, format!("{name} ends with exit code 0"), seen)?;
    each_answers(traffic, &beside, stopping).await?;

    mesh.start_again(name).await?;
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    let back = traffic.now();
    traffic.reroute(&mesh.routes()?);
    each_answers(traffic, &mesh.routes()?, back).await
}

/// Sends all of a request but its end.
async fn begin(route: &(Route, SocketAddr)) -> Result<(Route, HeldRequest), Error> {
    match HeldRequest::send(route.1, &route.0.target, LIMIT).await {
        Ok(begun) => Ok((route.0.clone(), begun)),
        Err(error) => {
            let expected = format!("{}: a connection before the stop", route.0.name());
            Err(Error::unmet(expected, error.to_string()))
        }
    }
}

/// Waits until no new request is answered on any of the routes: the member is stopping.
async fn closed(routes: &[(Route, SocketAddr)]) -> Result<(), Error> {
    let attempt = async || {
        let knocks = routes.iter().map(async |(route, address)| {
            let answer = http::get(*address, &route.target, KNOCK).await;
            answer.is_ok().then(|| format!("{} answers", route.name()))
        });
        let open: Vec<String> = join_all(knocks).await.into_iter().flatten().collect();
        if open.is_empty() { Ok(()) } else { Err(open) }
    };
    let waited = wait::until(LIMIT, PERIOD, attempt, |_| {}).await;
    waited.map_err(|expired| {
        Error::unmet(
            "a member that is told to stop takes no new requests",
            expired.to_string(),
        )
    })
}

/// Sends the end of a request; it must be answered although it was sent to one that stops.
async fn finish((route, begun): (Route, HeldRequest)) -> Result<(), Error> {
    let answered = begun.release(LIMIT).await.map_err(|error| error.to_string());
    let answer = answered.and_then(|response| Answer::parse(&response.body));
    let held = answer
        .as_ref()
        .is_ok_and(|answer| answer.service == route.service);
    let expected = format!("{}: a request under way at the stop is answered", route.name());
    check(held, expected, format!("{answer:?}"))
}

/// Waits until the traffic has got an answer on each of the routes that was asked for at `since` or later.
async fn each_answers(
    traffic: &Traffic,
    routes: &[(Route, SocketAddr)],
    since: Duration,
) -> Result<(), Error> {
    let attempt = async || {
        traffic.read(|record| {
            let silent: Vec<String> = routes
                .iter()
                .filter(|(route, _)| !record.answered_on(route, since))
                .map(|(route, _)| route.name())
                .collect();
            if silent.is_empty() {
                Ok(())
            } else {
                Err(vec![format!("silent: {}", silent.join(" ")), record.summary()])
            }
        })
    };
    let waited = wait::until(LIMIT, PERIOD, attempt, |_| {}).await;
    waited.map_err(|expired| Error::unmet("the traffic is answered on every route", expired.to_string()))
}
