//! `/mesh`: the mesh as this sidecar sees it, as JSON.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::balance::service::LastChoice;
use crate::control::{Controller, GroupView, RegistrationView};
use crate::mesh;

/// The page of a view.
pub(super) fn page(view: &mesh::View, controller: &Controller) -> Page {
    let groups = controller.groups();
    let learned: HashMap<SocketAddr, State> = groups
        .iter()
        .flat_map(|g| &g.servers)
        .filter(|s| s.learned)
        .map(|s| (s.address, State::of(s.up)))
        .collect();
    // An instance that no group here checks is up, because its own sidecar checks it.
    let state = |i: &mesh::InstanceView| -> State {
        let address = i.address.parse().map(|ip| SocketAddr::new(ip, i.port));
        address
            .ok()
            .and_then(|a| learned.get(&a).copied())
            .unwrap_or(State::Up)
    };
    let services = view.services.iter().map(|s| ServicePage {
        service: s.service.clone(),
        zone: s.zone.clone(),
        instances: s
            .instances
            .iter()
            .map(|i| InstancePage {
                instance: i.clone(),
                state: state(i),
            })
            .collect(),
        last_choice: s.last_choice.clone(),
    });
    Page {
        node: view.node.clone(),
        hash: view.hash.clone(),
        nodes: view.nodes.clone(),
        services: services.collect(),
        groups: groups.into_iter().map(GroupPage::from).collect(),
        registrations: controller
            .registrations()
            .into_iter()
            .map(RegistrationPage::from)
            .collect(),
    }
}

/// `/mesh`: the mesh as this sidecar sees it.
#[derive(Serialize)]
pub(super) struct Page {
    node: mesh::NodeView,
    hash: String,
    nodes: Vec<mesh::NodeHealth>,
    services: Vec<ServicePage>,
    groups: Vec<GroupPage>,
    registrations: Vec<RegistrationPage>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServicePage {
    service: String,
    zone: String,
    instances: Vec<InstancePage>,
    last_choice: Vec<mesh::LastChoiceView>,
}

#[derive(Serialize)]
struct InstancePage {
    #[serde(flatten)]
    instance: mesh::InstanceView,
    state: State,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupPage {
    name: String,
    method: String,
    servers: Vec<ServerPage>,
    last_choice: Vec<LastChoicePage>,
}

/// A server that is the last choice of its group.
#[derive(Serialize)]
struct LastChoicePage {
    name: String,
    address: SocketAddr,
    weight: u32,
    reason: LastChoice,
}

#[derive(Serialize)]
struct ServerPage {
    name: String,
    address: SocketAddr,
    weight: u32,
    state: State,
    learned: bool,
}

#[derive(Serialize)]
struct RegistrationPage {
    name: String,
    service: String,
    zone: String,
    address: IpAddr,
    port: u16,
    weight: u32,
    state: State,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum State {
    Up,
    Down,
}

impl State {
    fn of(up: bool) -> Self {
        if up { Self::Up } else { Self::Down }
    }
}

impl From<GroupView> for GroupPage {
    fn from(group: GroupView) -> Self {
        let (mut servers, mut last_choice) = (Vec::new(), Vec::new());
        for s in group.servers {
            match s.last_choice {
                Some(reason) => last_choice.push(LastChoicePage {
                    name: s.name,
                    address: s.address,
                    weight: s.weight,
                    reason,
                }),
                None => servers.push(ServerPage {
                    name: s.name,
                    address: s.address,
                    weight: s.weight,
                    state: State::of(s.up),
                    learned: s.learned,
                }),
            }
        }
        Self {
            name: group.name,
            method: group.method.to_string(),
            servers,
            last_choice,
        }
    }
}

impl From<RegistrationView> for RegistrationPage {
    fn from(view: RegistrationView) -> Self {
        Self {
            name: view.name,
            service: view.service,
            zone: view.zone,
            address: view.address.ip(),
            port: view.address.port(),
            weight: view.weight,
            state: State::of(view.announced),
        }
    }
}
