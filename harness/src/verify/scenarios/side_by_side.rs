//! Two meshes side by side never meet.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use crate::cluster::mesh::Mesh;
use crate::error::{Error, check};
use crate::http;
use crate::verify::suite::Stage;
use crate::verify::traffic::Traffic;
use crate::wait;

/// Datagrams that a sidecar sends in search of neighbours until it has visited the nearest addresses, where another
/// mesh would be, twice, and others besides.
const SEARCHED: u64 = 100;
/// How its count is named on the metrics page.
const COUNT: &str = "sidecar_mesh_datagrams_total{type=\"search\",outcome=\"sent\"} ";
const LIMIT: Duration = Duration::from_secs(20);
const PERIOD: Duration = Duration::from_millis(50);
/// Time that a metrics page may take.
const PAGE_LIMIT: Duration = Duration::from_secs(1);

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let one = stage.mesh().await?;
    let other = stage.own_mesh("beside", |topology| topology).await?;
    let meshes: [&Mesh; 2] = [&one, &other];
    let traffics = [stage.traffic(&one)?, stage.traffic(&other)?];

    // A node that is known for a moment only is known too much.
    let mut met = Ok(());
    let attempt = async || {
        for (mesh, other) in [(&one, &other), (&other, &one)] {
            if let Err(error) = apart(mesh, other).await {
                met = Err(error);
                return Ok(());
            }
        }
        let looks = join_all(meshes.map(searching)).await;
        let missing: Vec<String> = looks.into_iter().flatten().collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    };
    let watched = wait::until(LIMIT, PERIOD, attempt, |_| {}).await;
    met?;
    watched.map_err(|expired| {
        let expected = format!("every sidecar has searched {SEARCHED} addresses");
        Error::unmet(expected, expired.to_string())
    })?;
    for (mesh, traffic) in meshes.into_iter().zip(traffics) {
        serves_its_own(mesh, traffic).await?;
    }
    Ok(())
}

/// Checks that every view of a mesh knows all of its own nodes and none of the other's, neither up nor down.
async fn apart(mesh: &Mesh, other: &Mesh) -> Result<(), Error> {
    let (own, others) = (ids(mesh), ids(other));
    for seen in mesh.look().await {
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

/// The sidecars of the mesh that have not searched enough.
async fn searching(mesh: &Mesh) -> Vec<String> {
    let pages = mesh.nodes().iter().map(async |node| {
        let name = node.member.name();
        let lacking = |what: String| Some(format!("{name} of {}: {what}", mesh.topology().project));
        let Some(address) = node.container.endpoint(node.member.status_port) else {
            return lacking("its status port is not published".to_owned());
        };
        match http::get(address, "/metrics", PAGE_LIMIT).await {
            Ok(page) => match searches(&String::from_utf8_lossy(&page.body)) {
                Some(SEARCHED..) => None,
                Some(count) => lacking(format!("has searched {count} addresses")),
                None => lacking("does not say how many it has searched".to_owned()),
            },
            Err(error) => lacking(error.to_string()),
        }
    });
    join_all(pages).await.into_iter().flatten().collect()
}

/// The count of searches on a metrics page.
fn searches(page: &str) -> Option<u64> {
    let mut lines = page.lines();
    lines.find_map(|line| line.strip_prefix(COUNT)?.trim().parse().ok())
}

async fn serves_its_own(mesh: &Mesh, traffic: Traffic) -> Result<(), Error> {
    let record = traffic.finish().await;
    super::graceful_stop::no_request_failed(&record)?;
    let answered: BTreeSet<&str> = record.hosts(Duration::ZERO).into_keys().collect();
    let services = mesh.topology().services();
    let own: BTreeSet<&str> = services
        .into_iter()
        .flat_map(|service| mesh.hosts(service))
        .collect();
    let expected = format!("all answers of {} from {own:?}", mesh.topology().project);
    check(answered == own, expected, format!("{answered:?}"))
}
