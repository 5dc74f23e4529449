//! The frontend and the load balancer restart: requests in flight finish, kept connections end with an announcement, and the
//! other paths keep working.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{join, join_all, try_join_all};

use crate::cluster::answer::{self, Answer};
use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Route;
use crate::error::{Error, check};
use crate::http::{self, HeldRequest, Session};
use crate::verify::checks::{ended_cleanly, no_request_failed, ready};
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::{Clients, Traffic};
use crate::wait;

/// Timeout for a request that tests whether a port still accepts requests.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Limit for a stopping member to close its port, and for a request in flight to be answered.
const LIMIT: Duration = Duration::from_secs(5);
const PERIOD: Duration = Duration::from_millis(10);

pub(super) static SCENARIO: Scenario = Scenario {
    name: "balancers_restart",
    about: "the frontend and the load balancer restart, requests in flight finish, kept connections are told, and the other paths keep working",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mut mesh = ctx.mesh().await?;
    let balancers: Vec<String> = mesh
        .nodes()
        .iter()
        .filter(|node| node.member.role.balances())
        .map(|node| node.member.name().to_owned())
        .collect();
    check(
        balancers.len() == 2,
        "a frontend and a load balancer",
        balancers.join(" "),
    )?;
    // Where a balancer passes on bytes, it can only abort idle connections, and warns.
    let traffic = ctx.traffic(&mesh, &[Clients::New])?;
    let mut result = Ok(());
    for name in &balancers {
        ctx.say(format!("restarts {name}"));
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
    let (through, others): (Vec<_>, Vec<_>) = mesh
        .routes()?
        .into_iter()
        .partition(|(route, _)| route.member == name);
    each_answers(traffic, &through, Duration::ZERO).await?;
    let in_flight = try_join_all(through.iter().map(begin)).await?;
    let kept = try_join_all(through.iter().flat_map(keep)).await?;

    // The traffic's own requests in flight must be answered too: the record has their failures.
    traffic.suspend(name);
    let stopping = traffic.now();
    let (stopped, finished) = {
        let finishing = async {
            try_join_all(kept.iter().map(until_announced)).await?;
            closed(&through).await?;
            try_join_all(in_flight.into_iter().map(finish)).await
        };
        let (stopped, finished) = join(mesh.stop(name), finishing).await;
        (stopped?, finished)
    };
    finished?;
    ended_cleanly(name, stopped)?;
    each_answers(traffic, &others, stopping).await?;

    mesh.start_again(name).await?;
    ready(mesh).await?;
    let back = traffic.now();
    traffic.reroute(&mesh.routes()?);
    each_answers(traffic, &mesh.routes()?, back).await
}

/// Sends a request except for its last bytes.
async fn begin(route: &(Route, SocketAddr)) -> Result<(Route, HeldRequest), Error> {
    match HeldRequest::send(route.1, &route.0.target, LIMIT).await {
        Ok(held) => Ok((route.0.clone(), held)),
        Err(error) => {
            let expected = format!("{}: a connection before the stop", route.0.name());
            Err(Error::unmet(expected, error.to_string()))
        }
    }
}

/// A kept connection, on which a request has been answered.
struct Kept {
    route: Route,
    clients: Clients,
    session: Session,
}

/// Opens connections to keep, of each kind. There is none where the balancer passes on bytes, of which it cannot tell when to
/// end.
fn keep(
    (route, address): &(Route, SocketAddr),
) -> impl Iterator<Item = impl Future<Output = Result<Kept, Error>>> {
    let kinds = Clients::ALL.into_iter().filter(|_| route.balances_requests());
    let kept = kinds.filter_map(|clients| {
        Some(Kept {
            route: route.clone(),
            clients,
            session: Session::new(*address, clients.version()?),
        })
    });
    kept.map(async |kept| {
        let answered = kept.session.get(&kept.route.target, LIMIT).await;
        answer::read(answered, &kept.route).map_err(|reason| kept.broken(reason))?;
        Ok(kept)
    })
}

impl Kept {
    fn broken(&self, reason: String) -> Error {
        let Self { route, clients, .. } = self;
        let expected = format!(
            "{} ({clients}): each request is answered until the connection's announced end",
            route.name()
        );
        Error::unmet(expected, reason)
    }
}

/// Sends requests until the server has announced the end of the connection. Each of them must be answered.
async fn until_announced(kept: &Kept) -> Result<(), Error> {
    let announced = async {
        loop {
            match kept.session.get_kept(&kept.route.target, LIMIT).await {
                Ok(None) => return Ok(()),
                Ok(Some(response)) => answer::read(Ok(response), &kept.route),
                Err(error) => answer::read(Err(error), &kept.route),
            }
            .map_err(|reason| kept.broken(reason))?;
            tokio::time::sleep(PERIOD).await;
        }
    };
    let waited = tokio::time::timeout(LIMIT, announced).await;
    waited.unwrap_or_else(|_| Err(kept.broken(format!("no end within {LIMIT:?}"))))
}

/// Waits until none of the routes answers new requests.
async fn closed(routes: &[(Route, SocketAddr)]) -> Result<(), Error> {
    let attempt = async || {
        let probes = routes.iter().map(async |(route, address)| {
            let answer = http::get(*address, &route.target, PROBE_TIMEOUT).await;
            answer.is_ok().then(|| format!("{} answers", route.name()))
        });
        let open: Vec<String> = join_all(probes).await.into_iter().flatten().collect();
        if open.is_empty() { Ok(()) } else { Err(open) }
    };
    let waited = wait::until(LIMIT, PERIOD, attempt, |_| {}).await;
    waited.map_err(|expired| Error::unmet("a stopping member accepts no new requests", expired.to_string()))
}

/// Sends the rest of a request and checks that it is answered although the member is stopping.
async fn finish((route, held): (Route, HeldRequest)) -> Result<(), Error> {
    let answered = held.release(LIMIT).await.map_err(|error| error.to_string());
    let answer = answered.and_then(|response| Answer::parse(&response.body));
    let valid = answer
        .as_ref()
        .is_ok_and(|answer| answer.service == route.service);
    let expected = format!(
        "{}: a request in flight during the stop is answered",
        route.name()
    );
    check(valid, expected, format!("{answer:?}"))
}

/// Waits until each of the routes has answered a request sent at `since` or later.
async fn each_answers(
    traffic: &Traffic,
    routes: &[(Route, SocketAddr)],
    since: Duration,
) -> Result<(), Error> {
    let attempt = async || {
        traffic.read(|record| {
            let unanswered = record.unanswered(since, |on| routes.iter().any(|(route, _)| route == on));
            if unanswered.is_empty() {
                Ok(())
            } else {
                Err(vec![
                    format!("no answer on {}", unanswered.join(" ")),
                    record.summary(),
                ])
            }
        })
    };
    let waited = wait::until(LIMIT, PERIOD, attempt, |_| {}).await;
    waited.map_err(|expired| Error::unmet("the traffic is answered on every route", expired.to_string()))
}
