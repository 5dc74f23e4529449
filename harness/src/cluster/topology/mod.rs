//! The topology of a mesh: a Compose file's services with their roles, and the routes on which each must answer.

mod route;
mod scale;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::compose::{ComposeFile, Service};
use crate::error::Error;
pub use route::{ENTRY_POINTS, HTTP_LB, LB, Route, SOCKS5, VIA_HTTP, VIA_LB};
pub use scale::Scale;

/// The weight of a service instance without `--weight`.
pub const DEFAULT_WEIGHT: u32 = 10;
/// The port that the frontend listens on in its container.
pub const FRONTEND_PORT: u16 = 8080;
/// The ports that a load balancer listens on in its container, each with its service.
pub const LB_PORTS: [(u16, &str); 2] = [(8081, "a"), (8082, "b")];
/// Those on which it balances HTTP requests.
pub const HTTP_LB_PORTS: [(u16, &str); 2] = [(8083, "a"), (8084, "b")];
/// The variables of the Compose file for the ports on the host.
pub const PORT_VARIABLES: [&str; 5] = [
    "FRONTEND_PORT",
    "LB_A_PORT",
    "LB_B_PORT",
    "LB_A_HTTP_PORT",
    "LB_B_HTTP_PORT",
];

/// The role of a container in the mesh, from its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A sidecar with the program `frontend`.
    Frontend,
    /// A sidecar with the program `service NAME`.
    Service {
        /// The service's short name, for instance `a`.
        name: String,
        /// Its weight in balancing.
        weight: u32,
    },
    /// A sidecar without a program.
    LoadBalancer,
}

/// One container of the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The service's key in the Compose file, followed by the number from 2 on, as in `service-a2-3`.
    name: String,
    /// The number of the service's container, from 1.
    pub number: u32,
    /// Whether the Compose file gives its container a name, which only one can have.
    named: bool,
    /// Its description in the Compose file.
    pub service: Service,
    /// Its role.
    pub role: Role,
    /// The port of its sidecar's status listener.
    pub status_port: u16,
}

impl Member {
    /// Its name in messages, unique in the mesh: the service's key in the Compose file, followed by the number from 2 on.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The order of members: by service, then by number.
    pub(super) fn by_name(&self, other: &Self) -> Ordering {
        (&self.service.name, self.number).cmp(&(&other.service.name, other.number))
    }
}

/// The whole mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The Compose project that its containers belong to.
    pub project: String,
    /// The file that describes it.
    pub file: PathBuf,
    /// Files that override parts of it.
    pub overrides: Vec<PathBuf>,
    /// The network's key in the Compose file.
    pub network: String,
    /// The image of all containers.
    pub image: String,
    /// Its containers, sorted by service and number.
    pub members: Vec<Member>,
    /// Variables of the file that are not set and have no default, sorted.
    pub unset: BTreeSet<String>,
}

/// The reasons that a Compose file does not describe a mesh, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct TopologyError(pub Vec<String>);

impl From<TopologyError> for Error {
    fn from(error: TopologyError) -> Self {
        Self::environment(error.to_string(), "correct the Compose file")
    }
}

impl Topology {
    /// The mesh that `file` describes, as `project`.
    ///
    /// # Errors
    /// The file does not describe a mesh that can be checked on all routes.
    pub fn new(project: &str, file: ComposeFile) -> Result<Self, TopologyError> {
        let mut faults = Vec::new();
        let network = single(file.services.iter().flat_map(|service| &service.networks));
        if network.is_none() || network.as_ref().is_some_and(|name| !file.networks.contains(name)) {
            faults.push("expected every service on one network that `networks` declares".to_owned());
        }
        let image = single(file.services.iter().map(|service| &service.image));
        if image.is_none() {
            faults.push("expected one image for all services".to_owned());
        }
        let mut members = Vec::new();
        for service in file.services {
            match member(project, service) {
                Ok(member) => members.push(member),
                Err(fault) => faults.push(fault),
            }
        }
        duplicates(&members, &mut faults);
        let topology = Self {
            project: project.to_owned(),
            file: file.path,
            overrides: Vec::new(),
            network: network.unwrap_or_default(),
            image: image.unwrap_or_default(),
            members,
            unset: file.unset,
        };
        if faults.is_empty() {
            topology.coverage(&mut faults);
        }
        let in_file = |fault| format!("{}: {fault}", topology.file.display());
        if faults.is_empty() {
            Ok(topology)
        } else {
            Err(TopologyError(faults.into_iter().map(in_file).collect()))
        }
    }

    /// The topology with other weights for the named members. Adds `--weight` to their commands.
    pub fn with_weights(mut self, weights: &[(&str, u32)]) -> Self {
        for member in &mut self.members {
            let wanted = weights.iter().find(|(name, _)| *name == member.service.name);
            if let (Some((_, wanted)), Role::Service { weight, .. }) = (wanted, &mut member.role) {
                *weight = *wanted;
                member
                    .service
                    .command
                    .extend(["--weight".to_owned(), wanted.to_string()]);
            }
        }
        self
    }

    /// The topology as another project, with its containers named after that.
    pub fn with_project(mut self, project: &str) -> Self {
        for member in &mut self.members {
            let name = &mut member.service.container_name;
            let rest = name.strip_prefix(&self.project);
            let rest = rest.map_or_else(|| format!("-{}", member.name), str::to_owned);
            *name = format!("{project}{rest}");
        }
        project.clone_into(&mut self.project);
        self
    }

    /// The topology with free host ports, so that the mesh can run at the same time as any other.
    pub fn with_free_ports(mut self) -> Self {
        for port in self
            .members
            .iter_mut()
            .flat_map(|member| &mut member.service.ports)
        {
            port.host_port = None;
        }
        self
    }

    /// The topology with all containers from `image`.
    pub fn with_image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        for member in &mut self.members {
            image.clone_into(&mut member.service.image);
        }
        self
    }

    /// The member with this name in the Compose file.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name() == name)
    }

    /// The names of the services that have instances.
    pub fn services(&self) -> BTreeSet<&str> {
        self.members
            .iter()
            .filter_map(|member| member.role.service())
            .collect()
    }

    /// The network's name in the engine.
    pub fn network_name(&self) -> String {
        format!("{}_{}", self.project, self.network)
    }

    /// All routes from the host to a service.
    pub fn routes(&self) -> Vec<Route> {
        route::all(self)
    }

    fn coverage(&self, faults: &mut Vec<String>) {
        if !self.members.iter().any(|member| member.role == Role::Frontend) {
            faults.push("expected a service that runs `frontend`".to_owned());
        }
        for service in self.services() {
            for entry_point in ENTRY_POINTS {
                if !self
                    .routes()
                    .iter()
                    .any(|route| route.entry_point == entry_point && route.service == service)
                {
                    faults.push(format!(
                        "service {service} is not reachable through {entry_point}: its port is not published"
                    ));
                }
            }
        }
    }
}

impl Role {
    /// The service of which it is an instance, if any.
    pub fn service(&self) -> Option<&str> {
        match self {
            Self::Service { name, .. } => Some(name),
            Self::Frontend | Self::LoadBalancer => None,
        }
    }

    /// Whether its sidecar balances connections to services.
    pub fn balances(&self) -> bool {
        !matches!(self, Self::Service { .. })
    }
}

/// The name that Compose gives to a container for which the file has none.
fn container_name(project: &str, service: &str, number: u32) -> String {
    format!("{project}-{service}-{number}")
}

fn member(project: &str, mut service: Service) -> Result<Member, String> {
    let named = !service.container_name.is_empty();
    if !named {
        service.container_name = container_name(project, &service.name, 1);
    }
    let in_service = |fault: String| format!("service `{}`: {fault}", service.name);
    let (sidecar, program) = match service.command.iter().position(|word| word == "--") {
        Some(at) => (&service.command[..at], &service.command[at + 1..]),
        None => (&service.command[..], &[][..]),
    };
    let role = role(program).map_err(in_service)?;
    let status_port = sidecar
        .windows(2)
        .find(|pair| pair[0] == "--status")
        .and_then(|pair| pair[1].rsplit_once(':')?.1.parse().ok())
        .ok_or_else(|| in_service("expected `--status ADDRESS:PORT` in its command".to_owned()))?;
    if !service
        .ports
        .iter()
        .any(|port| port.container_port == status_port)
    {
        return Err(in_service(format!(
            "expected its status port {status_port} among its `ports`"
        )));
    }
    Ok(Member {
        name: service.name.clone(),
        number: 1,
        named,
        service,
        role,
        status_port,
    })
}

fn role(program: &[String]) -> Result<Role, String> {
    let words: Vec<&str> = program.iter().map(String::as_str).collect();
    match words[..] {
        [] => Ok(Role::LoadBalancer),
        ["frontend", ..] => Ok(Role::Frontend),
        ["service", name, ref rest @ ..] => {
            let weight = match rest.iter().position(|word| *word == "--weight") {
                Some(at) => rest
                    .get(at + 1)
                    .and_then(|weight| weight.parse().ok())
                    .ok_or("expected a number after `--weight`")?,
                None => DEFAULT_WEIGHT,
            };
            Ok(Role::Service {
                name: name.to_owned(),
                weight,
            })
        }
        [other, ..] => Err(format!(
            "`{other}` after `--`: expected `frontend`, `service NAME` or nothing"
        )),
    }
}

fn duplicates(members: &[Member], faults: &mut Vec<String>) {
    let mut names = BTreeMap::new();
    let mut ports = BTreeMap::new();
    for member in members {
        if let Some(other) = names.insert(&member.service.container_name, member.name()) {
            let name = &member.service.container_name;
            faults.push(format!(
                "container name {name} is given to both `{other}` and `{}`",
                member.name()
            ));
        }
        for port in member.service.ports.iter().filter_map(|port| port.host_port) {
            if let Some(other) = ports.insert(port, member.name()) {
                faults.push(format!(
                    "host port {port} is given to both `{other}` and `{}`",
                    member.name()
                ));
            }
        }
    }
}

/// The value that all items have; `None` if there is no item or they differ.
fn single<'a>(mut items: impl Iterator<Item = &'a String>) -> Option<String> {
    let first = items.next()?;
    items.all(|item| item == first).then(|| first.clone())
}
