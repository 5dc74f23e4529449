//! The containers and networks of a Compose project: which of them are a mesh's. Another project may have the same name,
//! because Compose names a project after its directory. What is not a mesh's is named in messages and never touched.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::topology::Topology;
use crate::engine::{Container, Engine, EngineError, Network, label};

/// Resources that a message names at most.
const NAMED: usize = 6;

/// The containers and networks that have the label of a mesh's project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// The mesh's containers, sorted by name. The harness created them, or Compose from the mesh's own file.
    pub containers: Vec<Container>,
    /// The mesh's networks.
    pub networks: Vec<Network>,
    /// The containers of another project.
    pub other_containers: Vec<Container>,
    /// The networks that are not known to be the mesh's.
    pub other_networks: Vec<Network>,
}

impl Resources {
    /// Lists those of the topology's project.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn of(engine: &Engine, topology: &Topology) -> Result<Self, EngineError> {
        let filter = format!("{}={}", label::PROJECT, topology.project);
        let (containers, networks) = tokio::join!(engine.containers(&filter), engine.networks(&filter));
        Ok(Self::sorted(topology, containers?, networks?))
    }

    fn sorted(topology: &Topology, containers: Vec<Container>, networks: Vec<Network>) -> Self {
        let of_mesh = |container: &Container| is_of_mesh(topology, container);
        let (containers, other_containers): (Vec<_>, Vec<_>) = containers.into_iter().partition(of_mesh);
        let by_compose = containers.iter().any(|container| !is_ours(&container.labels));
        // Compose does not note on a network from which file it made it.
        let of_mesh = |network: &Network| {
            is_ours(&network.labels)
                || by_compose && network.labels.get(label::NETWORK) == Some(&topology.network)
        };
        let (networks, other_networks) = networks.into_iter().partition(of_mesh);
        Self {
            containers,
            networks,
            other_containers,
            other_networks,
        }
    }

    /// Whether nothing of a mesh exists.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.networks.is_empty()
    }

    /// What is not a mesh's, as a list in a sentence; `None` if there is nothing.
    pub fn others(&self) -> Option<String> {
        let containers = self.other_containers.iter().map(|container| {
            let Container { name, image, .. } = container;
            format!("container {name} (image {image})")
        });
        let networks = self
            .other_networks
            .iter()
            .map(|network| format!("network {}", network.name));
        let mut named: Vec<String> = containers.chain(networks).collect();
        let more = named.len().saturating_sub(NAMED);
        if more > 0 {
            named.truncate(NAMED);
            named.push(format!("and {more} more"));
        }
        (!named.is_empty()).then(|| named.join(", "))
    }
}

/// Whether the harness created a resource with these labels.
pub fn is_ours(labels: &BTreeMap<String, String>) -> bool {
    labels.contains_key(label::RUN)
}

/// The names of the meshes that have containers among `all`.
pub fn meshes<'a>(topology: &Topology, all: &'a [Container]) -> BTreeSet<&'a str> {
    let of_mesh = all.iter().filter(|container| is_of_mesh(topology, container));
    let names = of_mesh.map(|container| container.label(label::PROJECT));
    names.filter(|name| !name.is_empty()).collect()
}

/// Whether the harness created the container, or Compose for one of the topology's services from a mesh's image. If the
/// image's name has moved to a later image since, the container still has the image's label.
fn is_of_mesh(topology: &Topology, container: &Container) -> bool {
    let untagged = |name: &'_ str| name.strip_suffix(":latest").unwrap_or(name).to_owned();
    let on_image = untagged(&container.image) == untagged(&topology.image)
        || container.labels.contains_key(label::IMAGE);
    let service = container.label(label::SERVICE);
    let in_file = topology
        .members
        .iter()
        .any(|member| member.service.name == service);
    is_ours(&container.labels) || in_file && on_image
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::compose::ComposeFile;

    fn topology() -> Topology {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/compose.yaml");
        let file = ComposeFile::read(&path, &|_| None).unwrap();
        Topology::new("example", file).unwrap()
    }

    fn labels(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        all.iter().map(owned).collect()
    }

    fn container(name: &str, image: &str, of: &[(&str, &str)]) -> Container {
        Container {
            name: name.to_owned(),
            image: image.to_owned(),
            labels: labels(of),
            ..Container::default()
        }
    }

    fn network(name: &str, of: &[(&str, &str)]) -> Network {
        Network {
            id: name.to_owned(),
            name: name.to_owned(),
            labels: labels(of),
        }
    }

    const RUN: (&str, &str) = (label::RUN, "r1");
    const LB: (&str, &str) = (label::SERVICE, "lb");
    const MESH: (&str, &str) = (label::NETWORK, "mesh");

    #[test]
    fn a_container_of_compose_needs_a_service_of_the_file_on_the_image() {
        let topology = topology();
        let by_label = (label::IMAGE, "example");
        for (holds, container) in [
            (true, container("ours", "other", &[RUN])),
            (true, container("theirs", "service-mesh-example", &[LB])),
            (true, container("theirs", "service-mesh-example:latest", &[LB])),
            (
                true,
                container("the image was rebuilt", "sha256:77af", &[LB, by_label]),
            ),
            (false, container("another image", "haproxy", &[LB])),
            (
                false,
                container(
                    "another service",
                    "service-mesh-example",
                    &[(label::SERVICE, "web")],
                ),
            ),
            (false, container("no service", "service-mesh-example", &[])),
        ] {
            assert_eq!(is_of_mesh(&topology, &container), holds, "{}", container.name);
        }
    }

    #[test]
    fn a_project_of_the_same_name_is_named_and_no_mesh() {
        let found = Resources::sorted(
            &topology(),
            vec![container("other_web_1", "nginx", &[(label::SERVICE, "web")])],
            vec![network("example_default", &[]), network("example_mesh", &[MESH])],
        );
        assert!(found.is_empty(), "{found:?}");
        let named = "container other_web_1 (image nginx), network example_default, network example_mesh";
        assert_eq!(found.others().as_deref(), Some(named));
        assert_eq!(Resources::default().others(), None);
    }

    #[test]
    fn a_network_of_compose_is_the_meshs_if_compose_made_a_container_of_the_mesh() {
        let networks = || {
            vec![
                network("one", &[MESH]),
                network("two", &[(label::NETWORK, "default")]),
                network("three", &[RUN]),
            ]
        };
        let sorted = |containers| Resources::sorted(&topology(), containers, networks());
        let names = |found: &Resources| -> Vec<String> {
            found
                .networks
                .iter()
                .map(|network| network.name.clone())
                .collect()
        };
        let by_compose = sorted(vec![container("lb", "service-mesh-example", &[LB])]);
        assert_eq!(names(&by_compose), ["one", "three"]);
        let by_harness = sorted(vec![container("lb", "service-mesh-example", &[LB, RUN])]);
        assert_eq!(names(&by_harness), ["three"]);
    }

    #[test]
    fn many_other_resources_are_named_in_part() {
        let many = (0..9).map(|n| container(&format!("c{n}"), "i", &[])).collect();
        let named = Resources::sorted(&topology(), many, Vec::new()).others().unwrap();
        assert!(named.ends_with("container c5 (image i), and 3 more"), "{named}");
    }

    #[test]
    fn meshes_are_found_by_their_containers() {
        let project = |name| (label::PROJECT, name);
        let all = [
            container("a", "service-mesh-example", &[LB, project("one")]),
            container("b", "nginx", &[LB, project("two")]),
            container("c", "nginx", &[RUN, project("three")]),
            container("a helper", "netcut", &[RUN]),
        ];
        assert_eq!(meshes(&topology(), &all), BTreeSet::from(["one", "three"]));
    }
}
