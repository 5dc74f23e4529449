//! Two meshes on the same machine never join each other.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use crate::cluster::mesh::Mesh;
use crate::error::{Error, check};
use crate::http;
use crate::verify::checks::no_request_failed;
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::{Clients, Traffic};
use crate::wait;

/// Search datagrams after which a sidecar has searched the nearest addresses, among them the other mesh's, at least
/// twice. The counter includes probes of its own mesh, which are search datagrams as well.
const MIN_SEARCHES: u64 = 100;
/// The metric that counts them.
const METRIC: &str = "sidecar_mesh_datagrams_total{type=\"search\",outcome=\"sent\"} ";
const LIMIT: Duration = Duration::from_secs(20);
const PERIOD: Duration = Duration::from_millis(50);
/// Timeout for a metrics page.
const PAGE_LIMIT: Duration = Duration::from_secs(1);

pub(super) static SCENARIO: Scenario = Scenario {
    name: "side_by_side",
    about: "two meshes on one machine never join, and each serves only its own instances",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let one = ctx.mesh().await?;
    let other = ctx.own_mesh("beside", |topology| topology).await?;
    let meshes: [&Mesh; 2] = [&one, &other];
    let traffics = [
        ctx.traffic(&one, &[Clients::New])?,
        ctx.traffic(&other, &[Clients::New])?,
    ];

    // Checked at every attempt: a sidecar must not know the other mesh's nodes at any time.
    let mut joined = Ok(());
    let attempt = async || {
        for (mesh, other) in [(&one, &other), (&other, &one)] {
            if let Err(error) = apart(mesh, other).await {
                joined = Err(error);
                return Ok(());
            }
        }
        let pages = join_all(meshes.map(still_searching)).await;
        let missing: Vec<String> = pages.into_iter().flatten().collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    };
    let watched = wait::until(LIMIT, PERIOD, attempt, |_| {}).await;
    joined?;
    watched.map_err(|expired| {
        let expected = format!("every sidecar has sent {MIN_SEARCHES} search datagrams");
        Error::unmet(expected, expired.to_string())
    })?;
    for (mesh, traffic) in meshes.into_iter().zip(traffics) {
        serves_its_own(mesh, traffic).await?;
    }
    Ok(())
}

/// Checks that every view of a mesh has all of its own nodes and none of the other's in any state.
async fn apart(mesh: &Mesh, other: &Mesh) -> Result<(), Error> {
    let (own, others) = (ids(mesh), ids(other));
    for seen in mesh.views().await {
        let expected = format!(
            "{} of {} knows {own:?} and none of {others:?}",
            seen.name,
            mesh.topology().project
        );
        let view = seen.view.map_err(|reason| Error::unmet(&expected, reason))?;
        let nodes = view.nodes.iter().map(|node| node.node_name.as_str());
        let instances = view.services.iter().flat_map(|service| &service.instances);
        let known: BTreeSet<&str> = nodes
            .chain(instances.map(|instance| instance.node_name.as_str()))
            .collect();
        let holds = known.is_superset(&own) && known.is_disjoint(&others);
        check(holds, expected, format!("{known:?}"))?;
    }
    Ok(())
}

fn ids(mesh: &Mesh) -> BTreeSet<&str> {
    mesh.nodes()
        .iter()
        .map(|node| node.container.short_id())
        .collect()
}

/// The sidecars of the mesh that have not sent enough search datagrams, one line each.
async fn still_searching(mesh: &Mesh) -> Vec<String> {
    let pages = mesh.nodes().iter().map(async |node| {
        let name = node.member.name();
        let missing = |what: String| Some(format!("{name} of {}: {what}", mesh.topology().project));
        let Some(address) = node.container.endpoint(node.member.status_port) else {
            return missing("its status port is not published".to_owned());
        };
        match http::get(address, "/metrics", PAGE_LIMIT).await {
            Ok(page) => match searches(&String::from_utf8_lossy(&page.body)) {
                Some(MIN_SEARCHES..) => None,
                Some(count) => missing(format!("has sent {count} search datagrams")),
                None => missing("has no metric of search datagrams".to_owned()),
            },
            Err(error) => missing(error.to_string()),
        }
    });
    join_all(pages).await.into_iter().flatten().collect()
}

/// The number of search datagrams on a metrics page.
fn searches(page: &str) -> Option<u64> {
    let mut lines = page.lines();
    lines.find_map(|line| line.strip_prefix(METRIC)?.trim().parse().ok())
}

async fn serves_its_own(mesh: &Mesh, traffic: Traffic) -> Result<(), Error> {
    let record = traffic.finish().await;
    no_request_failed(&record)?;
    let answered: BTreeSet<&str> = record.hosts(Duration::ZERO).into_keys().collect();
    let services = mesh.topology().services();
    let own: BTreeSet<&str> = services
        .into_iter()
        .flat_map(|service| mesh.hosts(service))
        .collect();
    let expected = format!("all answers of {} from {own:?}", mesh.topology().project);
    check(answered == own, expected, format!("{answered:?}"))
}
