//! The routes from the host to a service.

use super::{FRONTEND_PORT, HTTP_LB_PORTS, LB_PORTS, Role, Topology};

/// A route from the host to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The entry point into the mesh, one of [`ENTRY_POINTS`].
    pub entry_point: &'static str,
    /// The service that answers.
    pub service: String,
    /// The member with the published port at which it begins, by its name in the Compose file.
    pub member: String,
    /// The port in that member's container.
    pub container_port: u16,
    /// The path and query of its requests.
    pub target: String,
}

/// Through the frontend and its sidecar's SOCKS5 server.
pub const SOCKS5: &str = "frontend";
/// Through the frontend and its sidecar's load balancer of connections.
pub const VIA_LB: &str = "frontend?via=lb";
/// Through the frontend and its sidecar's load balancer of HTTP requests.
pub const VIA_HTTP: &str = "frontend?via=http";
/// Through the load balancer's container, which balances connections.
pub const LB: &str = "lb";
/// Through the load balancer's container, which balances HTTP requests.
pub const HTTP_LB: &str = "lb (http)";
/// All entry points.
pub const ENTRY_POINTS: [&str; 5] = [SOCKS5, VIA_LB, VIA_HTTP, LB, HTTP_LB];

impl Route {
    /// Whether a request is sent to another instance if its own fails before it answers, provided that it only reads.
    pub fn repeats_requests(&self) -> bool {
        matches!(self.entry_point, VIA_HTTP | HTTP_LB)
    }

    /// Whether the requests of a connection are balanced each by itself: the frontend makes one of its own for each, and so does
    /// a load balancer of requests.
    pub fn balances_requests(&self) -> bool {
        self.entry_point != LB
    }

    /// Its name in messages, for instance `frontend:8080/service-a`.
    pub fn name(&self) -> String {
        format!("{}:{}{}", self.member, self.container_port, self.target)
    }
}

pub(super) fn all(topology: &Topology) -> Vec<Route> {
    let mut routes = Vec::new();
    let mut add = |entry_point, service: &str, member: &super::Member, container_port, target: String| {
        if member
            .service
            .ports
            .iter()
            .any(|port| port.container_port == container_port)
        {
            let (service, member) = (service.to_owned(), member.name().to_owned());
            routes.push(Route {
                entry_point,
                service,
                member,
                container_port,
                target,
            });
        }
    };
    for member in &topology.members {
        for service in topology.services() {
            match member.role {
                Role::Frontend => {
                    for (entry_point, query) in [(SOCKS5, ""), (VIA_LB, "?via=lb"), (VIA_HTTP, "?via=http")] {
                        let target = format!("/service-{service}{query}");
                        add(entry_point, service, member, FRONTEND_PORT, target);
                    }
                }
                Role::LoadBalancer => {
                    for (entry_point, ports) in [(LB, LB_PORTS), (HTTP_LB, HTTP_LB_PORTS)] {
                        for (port, _) in ports.iter().filter(|(_, served)| *served == service) {
                            add(entry_point, service, member, *port, "/".to_owned());
                        }
                    }
                }
                Role::Service { .. } => {}
            }
        }
    }
    routes
}
