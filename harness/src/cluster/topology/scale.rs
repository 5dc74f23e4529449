//! Several containers of one service.

use std::str::FromStr;

use super::{Member, Topology, container_name};
use crate::error::Error;

/// Highest number of containers of one service: two services of that size fit into the smallest network that a sidecar
/// searches, a /24.
const MAX_COUNT: u32 = 100;

/// The number of containers that a service is to have, written `SERVICE=NUMBER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// The service's key in the Compose file.
    pub service: String,
    /// The number of its containers, 1 to 100.
    pub count: u32,
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('=').and_then(|(service, count)| {
            let count = count
                .parse()
                .ok()
                .filter(|count| (1..=MAX_COUNT).contains(count))?;
            let service = service.to_owned();
            Some(Self { service, count })
        });
        parsed.ok_or_else(|| {
            format!("expected SERVICE=NUMBER with a number from 1 to {MAX_COUNT}, such as service-a2=3")
        })
    }
}

impl Member {
    /// A container of the same service with another number.
    pub(in crate::cluster) fn replica(&self, project: &str, number: u32) -> Self {
        let mut replica = self.clone();
        replica.service.container_name = container_name(project, &self.service.name, number);
        replica.number = number;
        replica.name = match number {
            1 => self.service.name.clone(),
            _ => format!("{}-{number}", self.service.name),
        };
        replica
    }
}

impl Topology {
    /// The topology with these numbers of containers. If a service is named twice, the later number counts.
    ///
    /// # Errors
    /// As [`Topology::scalable`].
    pub fn scaled(mut self, scales: &[Scale]) -> Result<Self, Error> {
        for Scale { service, count } in scales {
            let member = self.scalable(service)?.clone();
            self.members.retain(|member| member.service.name != *service);
            let replicas = (1..=*count).map(|number| member.replica(&self.project, number));
            self.members.extend(replicas);
        }
        self.members.sort_by(Member::by_name);
        Ok(self)
    }

    /// A member of the service, which may have several containers.
    ///
    /// # Errors
    /// There is no such service, or only one container can have its name or its host port.
    pub fn scalable(&self, service: &str) -> Result<&Member, Error> {
        let found = self.members.iter().find(|member| member.service.name == service);
        let what = match found.map(|member| (member, obstacle(member))) {
            Some((member, None)) => return Ok(member),
            Some((_, Some(obstacle))) => format!("`{service}` cannot have several containers: {obstacle}"),
            None => format!("the Compose file has no service `{service}`"),
        };
        let members = self.members.iter().filter(|member| obstacle(member).is_none());
        let mut names: Vec<&str> = members.map(|member| member.service.name.as_str()).collect();
        names.dedup();
        let advice = format!("scale one of {}", names.join(", "));
        Err(Error::environment(what, advice))
    }
}

/// Why the member's service cannot have a second container.
fn obstacle(member: &Member) -> Option<String> {
    let service = &member.service;
    let port = service.ports.iter().find_map(|port| port.host_port);
    if let Some(port) = port {
        return Some(format!("it publishes the host's port {port}"));
    }
    member
        .named
        .then(|| format!("its container is always named {}", service.container_name))
}
