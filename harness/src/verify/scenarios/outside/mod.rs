//! Destinations outside the mesh are refused.

mod addresses;

use std::time::Duration;

use serde::Deserialize;

use crate::cluster::mesh::{Mesh, Node};
use crate::cluster::topology::{FRONTEND_PORT, Role, Topology};
use crate::engine::Engine;
use crate::error::{Error, check};
use crate::http;
use crate::verify::suite::Stage;

/// What the frontend is told beside the services of the mesh; it asks its sidecar for this one by a name that is no
/// server group's.
const OUTSIDE: &str = "evil";
/// A refusal needs no connection, so it comes at once.
const QUICK: Duration = Duration::from_millis(500);
/// Longer than the frontend itself waits.
const LIMIT: Duration = Duration::from_secs(7);
/// The reply's name and number in RFC 1928.
const NOT_ALLOWED: &str = "connection not allowed by its rules (0x02)";
const REQUESTS: usize = 5;

/// What the frontend says of a fetch that failed.
#[derive(Debug, Deserialize)]
struct Refusal {
    service: String,
    via: String,
    reason: String,
}

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let token = format!("{:032x}", rand::random::<u128>());
    let contained = matches!(stage.engine(), Engine::Docker(_));
    let change = |topology| addresses::commanded(with_a_page_too_many(topology), &token);
    let mesh = stage.own_mesh("outside", change).await?;
    for request in 1..=REQUESTS {
        refused(&mesh, request).await?;
    }
    addresses::refused(&mesh, &token, contained).await
}

fn frontend(mesh: &Mesh) -> Result<&Node, Error> {
    let mut nodes = mesh.nodes().iter();
    let found = nodes.find(|node| node.member.role == Role::Frontend);
    found.ok_or_else(|| Error::unmet("a frontend", "none"))
}

fn with_a_page_too_many(mut topology: Topology) -> Topology {
    let services: Vec<String> = topology.services().into_iter().map(str::to_owned).collect();
    let port = |service: &str| {
        let behind = |(_, known): &&(u16, &str)| *known == service;
        crate::cluster::topology::LB_PORTS
            .iter()
            .find(behind)
            .map(|(port, _)| *port)
    };
    let frontends = topology
        .members
        .iter_mut()
        .filter(|member| member.role == Role::Frontend);
    for member in frontends {
        let command = &mut member.service.command;
        for service in &services {
            if let Some(port) = port(service) {
                command.extend(["--lb".to_owned(), format!("{service}=127.0.0.1:{port}")]);
            }
        }
        command.extend(["--lb".to_owned(), format!("{OUTSIDE}=127.0.0.1:1")]);
    }
    topology
}

async fn refused(mesh: &Mesh, request: usize) -> Result<(), Error> {
    let address = frontend(mesh)?.container.endpoint(FRONTEND_PORT);
    let address = address.ok_or_else(|| Error::unmet("a frontend with a published port", "none"))?;
    let target = format!("/service-{OUTSIDE}");
    let expected = format!("{target}, request {request}: status 502, and the reason: {NOT_ALLOWED}");
    let begun = tokio::time::Instant::now();
    let answered = http::get(address, &target, LIMIT).await;
    let took = begun.elapsed();
    let response = answered.map_err(|error| Error::unmet(&expected, error.to_string()))?;
    let text = String::from_utf8_lossy(&response.body);
    let refusal = serde_json::from_str::<Refusal>(&text);
    let told = refusal.is_ok_and(|refusal| {
        refusal.service == OUTSIDE && refusal.via == "socks5" && refusal.reason.ends_with(NOT_ALLOWED)
    });
    let seen = format!("status {}: {}", response.status, text.trim_end());
    check(response.status == 502 && told, expected, seen)?;
    check(
        took <= QUICK,
        format!("{target} is refused within {QUICK:?}"),
        format!("{took:.1?}"),
    )
}
