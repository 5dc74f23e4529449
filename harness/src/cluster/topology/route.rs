//! The routes from the host to a service.

use super::{FRONTEND_PORT, LB_PORTS, Role, Topology};

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
/// Through the frontend and its sidecar's TCP load balancer.
pub const VIA_LB: &str = "frontend?via=lb";
/// Through the load balancer's container.
pub const LB: &str = "lb";
/// All entry points.
pub(super) const ENTRY_POINTS: [&str; 3] = [SOCKS5, VIA_LB, LB];

impl Route {
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
                    add(
                        SOCKS5,
                        service,
                        member,
                        FRONTEND_PORT,
                        format!("/service-{service}"),
                    );
                    add(
                        VIA_LB,
                        service,
                        member,
                        FRONTEND_PORT,
                        format!("/service-{service}?via=lb"),
                    );
                }
                Role::LoadBalancer => {
                    for (port, _) in LB_PORTS.iter().filter(|(_, served)| *served == service) {
                        add(LB, service, member, *port, "/".to_owned());
                    }
                }
                Role::Service { .. } => {}
            }
        }
    }
    routes
}
