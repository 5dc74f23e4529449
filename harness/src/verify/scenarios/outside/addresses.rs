//! SOCKS5 requests for addresses that are not an instance's, sent directly to the frontend's sidecar: the frontend
//! itself requests names only.
//!
//! The sidecar's SOCKS5 server listens on the container's loopback address, which is not reachable from the host. The
//! scenario therefore adds a second server on the container's own address, whose port is published.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;
use tokio_socks::TargetAddr;
use tokio_socks::tcp::Socks5Stream;

use super::{QUICK, frontend};
use crate::cluster::mesh::{Mesh, Node};
use crate::cluster::topology::{Role, Topology};
use crate::compose::PublishedPort;
use crate::error::{Error, check};
use crate::http;

/// Port of the sidecar's SOCKS5 server.
const SOCKS5_PORT: u16 = 1080;
/// Port of the second server.
const SECOND_PORT: u16 = 1081;
/// Port of the sidecar's HTTP controller.
const CONTROLLER_PORT: u16 = 18080;
/// The second server's backend, the same as the first one's.
const BACKEND: &str = "sgs0";
/// Environment variable with the controller's token.
const TOKEN: &str = "SIDECAR_HTTP_TOKEN";
/// Timeout for a SOCKS5 request.
const LIMIT: Duration = Duration::from_secs(7);

/// A topology whose frontend's sidecar accepts commands from the harness with `token`.
pub(super) fn with_controller(mut topology: Topology, token: &str) -> Topology {
    let ports = [SOCKS5_PORT, SECOND_PORT, CONTROLLER_PORT].map(|container_port| PublishedPort {
        host_ip: Ipv4Addr::LOCALHOST,
        host_port: None,
        container_port,
    });
    for member in &mut topology.members {
        if member.role == Role::Frontend {
            let service = &mut member.service;
            for word in &mut service.command {
                if *word == format!("127.0.0.1:{CONTROLLER_PORT}") {
                    *word = format!("0.0.0.0:{CONTROLLER_PORT}");
                }
            }
            service.environment.insert(TOKEN.to_owned(), token.to_owned());
            service.ports.extend(ports);
        }
    }
    topology
}

/// Checks that requests for addresses of the mesh's hosts that are not an instance's are refused at once.
pub(super) async fn are_refused(mesh: &Mesh, token: &str, isolated: bool) -> Result<(), Error> {
    let frontend = frontend(mesh)?;
    let mut servers = vec![second_server(frontend, token).await?];
    if !isolated {
        servers.push(published(frontend, SOCKS5_PORT)?);
    }
    for server in servers {
        for target in targets(mesh)? {
            is_refused(server, target).await?;
        }
    }
    Ok(())
}

/// Adds a second SOCKS5 server to the frontend's sidecar. Returns its published address.
async fn second_server(frontend: &Node, token: &str) -> Result<SocketAddr, Error> {
    let own = address(frontend)?;
    let command = serde_json::json!({
        "name": "outside",
        "address": SocketAddr::new(own, SECOND_PORT).to_string(),
        "backend": BACKEND,
    });
    let controller = published(frontend, CONTROLLER_PORT)?;
    let target = "/api/v1/module/socks5-server";
    let expected = format!("POST {target} {command}: status 204");
    let answered = http::post(controller, target, token, command.to_string(), LIMIT).await;
    let answer = answered.map_err(|error| Error::unmet(&expected, error.to_string()))?;
    let text = String::from_utf8_lossy(&answer.body);
    check(
        answer.status == 204,
        expected,
        format!("status {}: {}", answer.status, text.trim_end()),
    )?;
    published(frontend, SECOND_PORT)
}

/// Status listeners, which answer every client that reaches them: those of the other containers, with the address in
/// several spellings, and the sidecar's own.
fn targets(mesh: &Mesh) -> Result<Vec<TargetAddr<'static>>, Error> {
    let others = mesh
        .nodes()
        .iter()
        .filter(|node| node.member.role != Role::Frontend);
    let mut targets = Vec::new();
    for node in others {
        let (ip, port) = (address(node)?, node.member.status_port);
        targets.push(TargetAddr::Ip(SocketAddr::new(ip, port)));
        targets.push(TargetAddr::Domain(ip.to_string().into(), port));
        if let IpAddr::V4(ip) = ip {
            let mapped = IpAddr::V6(ip.to_ipv6_mapped());
            targets.push(TargetAddr::Ip(SocketAddr::new(mapped, port)));
        }
    }
    let own = frontend(mesh)?.member.status_port;
    targets.push(TargetAddr::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, own))));
    targets.push(TargetAddr::Domain("localhost".into(), own));
    Ok(targets)
}

async fn is_refused(server: SocketAddr, target: TargetAddr<'static>) -> Result<(), Error> {
    let expected = format!(
        "CONNECT {target} by the frontend's sidecar at {server}: not allowed (0x02), within {QUICK:?}"
    );
    let started_at = Instant::now();
    let connected = tokio::time::timeout(LIMIT, Socks5Stream::connect(server, target)).await;
    let took = started_at.elapsed();
    let refused = matches!(
        connected,
        Ok(Err(tokio_socks::Error::ConnectionNotAllowedByRuleset))
    );
    let seen = match connected {
        Ok(Ok(_)) => "a connection".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    check(
        refused && took <= QUICK,
        expected,
        format!("{seen} after {took:.1?}"),
    )
}

fn address(node: &Node) -> Result<IpAddr, Error> {
    let expected = format!("{} has an address on the mesh's network", node.member.name());
    node.container
        .address
        .ok_or_else(|| Error::unmet(&expected, "none"))
}

fn published(node: &Node, port: u16) -> Result<SocketAddr, Error> {
    let expected = format!("port {port} of {} is published", node.member.name());
    node.container
        .endpoint(port)
        .ok_or_else(|| Error::unmet(&expected, "it is not"))
}
