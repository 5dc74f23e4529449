//! Destinations outside the mesh are refused.

mod addresses;

use std::time::Duration;

use crate::cluster::mesh::{Mesh, Node};
use crate::cluster::topology::{FRONTEND_PORT, Role, Topology};
use crate::engine::Engine;
use crate::error::{Error, check};
use crate::http;
use crate::verify::checks::FrontendError;
use crate::verify::suite::{Context, Requirements, Scenario};

/// An additional service of the frontend. The name that it requests from its sidecar has no server group.
const OUTSIDE: &str = "evil";
/// Limit for a refusal: the sidecar opens no connection for it.
const QUICK: Duration = Duration::from_millis(500);
/// Timeout for a request; above the frontend's own of 5 s.
const LIMIT: Duration = Duration::from_secs(7);
/// The SOCKS5 reply's name and number (RFC 1928, section 6).
const NOT_ALLOWED: &str = "connection not allowed by its rules (0x02)";
const REQUESTS: usize = 5;

pub(super) static SCENARIO: Scenario = Scenario {
    name: "outside",
    about: "a name or an address outside the mesh is refused at once, with the reason",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let token = format!("{:032x}", rand::random::<u128>());
    let isolated = matches!(ctx.engine(), Engine::Docker(_));
    let change = |topology| addresses::with_controller(with_additional_service(topology), &token);
    let mesh = ctx.own_mesh("outside", change).await?;
    for request in 1..=REQUESTS {
        name_is_refused(&mesh, request).await?;
    }
    addresses::are_refused(&mesh, &token, isolated).await
}

fn frontend(mesh: &Mesh) -> Result<&Node, Error> {
    let mut nodes = mesh.nodes().iter();
    let found = nodes.find(|node| node.member.role == Role::Frontend);
    found.ok_or_else(|| Error::unmet("a frontend", "none"))
}

/// Adds [`OUTSIDE`] to the frontend's services, which must then all be listed.
fn with_additional_service(mut topology: Topology) -> Topology {
    let services: Vec<String> = topology.services().into_iter().map(str::to_owned).collect();
    let port = |service: &str| {
        let of_service = |(_, known): &&(u16, &str)| *known == service;
        crate::cluster::topology::LB_PORTS
            .iter()
            .find(of_service)
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

async fn name_is_refused(mesh: &Mesh, request: usize) -> Result<(), Error> {
    let address = frontend(mesh)?.container.endpoint(FRONTEND_PORT);
    let address = address.ok_or_else(|| Error::unmet("a frontend with a published port", "none"))?;
    let target = format!("/service-{OUTSIDE}");
    let expected = format!("{target}, request {request}: status 502 with the reason: {NOT_ALLOWED}");
    let started_at = tokio::time::Instant::now();
    let answered = http::get(address, &target, LIMIT).await;
    let took = started_at.elapsed();
    let response = answered.map_err(|error| Error::unmet(&expected, error.to_string()))?;
    let text = String::from_utf8_lossy(&response.body);
    let refusal = serde_json::from_str::<FrontendError>(&text);
    let explained = refusal.is_ok_and(|refusal| {
        refusal.service == OUTSIDE && refusal.via == "socks5" && refusal.reason.ends_with(NOT_ALLOWED)
    });
    let seen = format!("status {}: {}", response.status, text.trim_end());
    check(response.status == 502 && explained, expected, seen)?;
    check(
        took <= QUICK,
        format!("{target} is refused within {QUICK:?}"),
        format!("{took:.1?}"),
    )
}
