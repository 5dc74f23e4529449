//! The state of one node: what the engine says of its container, and its sidecar of itself.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;

use crate::cluster::convergence::NodeView;
use crate::cluster::mesh::{Mesh, Node};
use crate::cluster::topology::{Member, Role};
use crate::engine::Container;
use crate::http;

const READINESS_PAGE: &str = "/readyz";
/// Timeout for a sidecar's readiness page.
const LIMIT: Duration = Duration::from_secs(1);

/// The state of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its sidecar serves, and its program's instance, if it has one, is announced.
    Ready,
    /// Its sidecar or its program is starting.
    Starting,
    /// Its sidecar finishes its connections before it stops.
    Draining,
    /// Its sidecar serves, but other nodes cannot reach it.
    NotReady,
    /// Its container is running, and its sidecar does not answer.
    NoAnswer,
    /// Its container is paused.
    Paused,
    /// Its container has ended, or was never started.
    Stopped,
    /// It has no container.
    Missing,
}

/// A member of the mesh and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Its name in the Compose file.
    pub name: String,
    /// The first 12 digits of its container's id, which is its host name.
    pub id: Option<String>,
    /// Its state.
    pub state: State,
    /// Why it is not ready.
    pub reason: Option<String>,
    /// Its address on the mesh's network.
    pub address: Option<IpAddr>,
    /// The address on this machine of its sidecar's status listener.
    pub status_page: Option<SocketAddr>,
    /// The digest of the healthy nodes that its sidecar knows.
    pub hash: Option<String>,
}

impl State {
    /// The state in a table, at most 10 characters.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::NotReady => "not ready",
            Self::NoAnswer => "no answer",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Missing => "missing",
        }
    }
}

impl NodeStatus {
    /// What is wrong with it, as a sentence; `None` if it is ready, or if it does not answer, which is reported as the
    /// deviation of its view.
    pub(super) fn problem(&self) -> Option<String> {
        let (name, reason) = (&self.name, self.reason.as_deref().unwrap_or_default());
        match self.state {
            State::Ready | State::NoAnswer => None,
            State::Missing => Some(format!("{name} has no container")),
            State::Paused => Some(format!("{name} is paused")),
            State::Stopped => Some(format!("{name} {reason}")),
            state => Some(format!("{name} is {}: {reason}", state.word())),
        }
    }
}

/// The answer of a node's readiness page: its status and first line, or why there is none.
type ReadinessPage = Result<(u16, String), String>;

/// The readiness pages of all running nodes, by the nodes' names.
pub(super) async fn readiness_pages(mesh: &Mesh) -> Vec<(String, ReadinessPage)> {
    let running = mesh.nodes().iter().filter(|node| node.container.running());
    join_all(running.map(|node| async {
        let page = match node.container.endpoint(node.member.status_port) {
            Some(address) => http::get(address, READINESS_PAGE, LIMIT)
                .await
                .map_err(|error| error.cause()),
            None => Err("its status port is not published".to_owned()),
        };
        let read = page.map(|page| {
            let text = String::from_utf8_lossy(&page.body);
            (page.status, text.lines().next().unwrap_or_default().to_owned())
        });
        (node.member.name().to_owned(), read)
    }))
    .await
}

/// The statuses of all members.
pub(super) fn statuses(
    mesh: &Mesh,
    views: &[NodeView],
    pages: &[(String, ReadinessPage)],
) -> Vec<NodeStatus> {
    let of_member = |member: &Member| {
        let name = member.name();
        let node = mesh
            .nodes()
            .iter()
            .find(|node: &&Node| node.member.name() == name);
        let view = views.iter().find(|view| view.name == name);
        let page = pages.iter().find(|(of, _)| of == name).map(|(_, page)| page);
        status(member, node.map(|node| &node.container), view, page)
    };
    mesh.topology().members.iter().map(of_member).collect()
}

fn status(
    member: &Member,
    container: Option<&Container>,
    view: Option<&NodeView>,
    page: Option<&ReadinessPage>,
) -> NodeStatus {
    let (state, reason) = state(&member.role, container, view, page);
    let view = view.and_then(|view| view.view.as_ref().ok());
    NodeStatus {
        name: member.name().to_owned(),
        id: container.map(|container| container.short_id().to_owned()),
        state,
        reason,
        address: container.and_then(|container| container.address),
        status_page: container.and_then(|container| container.published(member.status_port)),
        hash: view.map(|view| view.hash.clone()),
    }
}

fn state(
    role: &Role,
    container: Option<&Container>,
    view: Option<&NodeView>,
    page: Option<&ReadinessPage>,
) -> (State, Option<String>) {
    let Some(container) = container else {
        return (State::Missing, None);
    };
    if !container.running() {
        return match container.state.as_str() {
            "paused" => (State::Paused, None),
            _ => (State::Stopped, Some(container.failure())),
        };
    }
    match page {
        None => (State::NoAnswer, None),
        Some(Err(reason)) => (State::NoAnswer, Some(reason.clone())),
        Some(Ok((200, _))) => match view.and_then(|view| waits_for(role, view)) {
            None => (State::Ready, None),
            Some(reason) => (State::Starting, Some(reason)),
        },
        Some(Ok((_, text))) => match text.as_str() {
            "starting" => {
                let reason = "its sidecar has not bound its listeners yet";
                (State::Starting, Some(reason.to_owned()))
            }
            "draining" => {
                let reason = "its sidecar finishes its connections and stops";
                (State::Draining, Some(reason.to_owned()))
            }
            other => (State::NotReady, Some(other.to_owned())),
        },
    }
}

/// What a service's program has not done yet; `None` if its instance is announced.
fn waits_for(role: &Role, view: &NodeView) -> Option<String> {
    let (Some(service), Ok(view)) = (role.service(), &view.view) else {
        return None;
    };
    if view.announced().is_some() {
        return None;
    }
    Some(match view.registrations.first() {
        None => format!("its program has not registered an instance of service {service}"),
        Some(known) => format!(
            "its program does not accept connections at {}:{}, the address of its registration",
            known.address, known.port
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn container(state: &str, status: &str) -> Container {
        Container {
            state: state.to_owned(),
            status: status.to_owned(),
            ..Container::default()
        }
    }

    fn view(registrations: &Value) -> NodeView {
        NodeView {
            name: "service-a".to_owned(),
            host: "h".to_owned(),
            role: service(),
            view: serde_json::from_value(json!({
                "node": {"nodeName": "h", "address": "10.0.0.1"}, "hash": "h", "nodes": [], "services": [],
                "registrations": registrations
            }))
            .map_err(|error| error.to_string()),
        }
    }

    fn service() -> Role {
        Role::Service {
            name: "a".to_owned(),
            weight: 10,
        }
    }

    #[test]
    fn a_running_node_is_ready_or_says_what_is_missing() {
        let up = container("running", "Up Less than a second (health: starting)");
        let of = |role: Role, registrations: Value, page: ReadinessPage| {
            let (state, reason) = state(&role, Some(&up), Some(&view(&registrations)), Some(&page));
            (state.word(), reason.unwrap_or_default())
        };
        let ready = || Ok((200, "ready".to_owned()));
        let waits = |text: &str| Ok((503, text.to_owned()));
        let registered =
            |state: &str| json!([{"name": "a", "address": "10.0.0.1", "port": 80, "state": state}]);
        assert_eq!(of(Role::Frontend, json!([]), ready()), ("ready", String::new()));
        assert_eq!(of(service(), registered("UP"), ready()), ("ready", String::new()));
        let expected =
            "its program does not accept connections at 10.0.0.1:80, the address of its registration";
        assert_eq!(
            of(service(), registered("DOWN"), ready()),
            ("starting", expected.to_owned())
        );
        let expected = "its program has not registered an instance of service a";
        assert_eq!(
            of(service(), json!([]), ready()),
            ("starting", expected.to_owned())
        );
        assert_eq!(of(Role::Frontend, json!([]), waits("starting")).0, "starting");
        assert_eq!(of(Role::Frontend, json!([]), waits("draining")).0, "draining");
        let unreachable = "no other node of the mesh can reach this one: no answer";
        assert_eq!(
            of(Role::Frontend, json!([]), waits(unreachable)),
            ("not ready", unreachable.to_owned())
        );
        assert_eq!(
            of(Role::Frontend, json!([]), Err("connection refused".to_owned())),
            ("no answer", "connection refused".to_owned())
        );
    }

    #[test]
    fn a_node_without_a_running_container_is_a_problem() {
        let problem = |container: Option<&Container>| {
            let (state, reason) = state(&service(), container, None, None);
            let status = NodeStatus {
                name: "service-a".to_owned(),
                id: None,
                state,
                reason,
                address: None,
                status_page: None,
                hash: None,
            };
            status.problem().unwrap()
        };
        assert_eq!(problem(None), "service-a has no container");
        let ended = container("exited", "Exited (137) 2 seconds ago");
        assert_eq!(problem(Some(&ended)), "service-a has ended (exit code 137)");
        let paused = container("paused", "Up 2 seconds (Paused)");
        assert_eq!(problem(Some(&paused)), "service-a is paused");
    }
}
