//! The instances of all services as one list, with the sidecars that use each. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use super::node::NodeStatus;
use crate::cluster::convergence::{NodeView, SERVICE_PREFIX};

/// An instance of a service, as the sidecars report it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceStatus {
    /// The service's short name, for instance `a`.
    pub service: String,
    /// The name of its node in the Compose file; of a node that is not in it, the host name.
    pub node: String,
    /// The address that it listens on.
    pub address: SocketAddr,
    /// Its weight in balancing.
    pub weight: u32,
    /// The nodes whose sidecars report it as up.
    pub up_for: Vec<String>,
    /// The nodes whose sidecars report it as down.
    pub down_for: Vec<String>,
}

/// Every instance in any of the views, sorted by service, node and address.
pub(super) fn listed(views: &[NodeView], nodes: &[NodeStatus]) -> Vec<InstanceStatus> {
    let mut found: BTreeMap<(String, String, SocketAddr), InstanceStatus> = BTreeMap::new();
    let name = |host: &str| {
        let node = nodes.iter().find(|node| node.id.as_deref() == Some(host));
        node.map_or(host, |node| &node.name).to_owned()
    };
    for (seen_by, view) in views
        .iter()
        .filter_map(|node| Some((&node.name, node.view.as_ref().ok()?)))
    {
        for (service, instance) in view.services.iter().flat_map(|known| {
            known
                .instances
                .iter()
                .map(move |instance| (&known.service, instance))
        }) {
            let service = service.strip_prefix(SERVICE_PREFIX).unwrap_or(service).to_owned();
            let node = name(&instance.node_name);
            let address = SocketAddr::new(instance.address, instance.port);
            let key = (service.clone(), node.clone(), address);
            let listed = found.entry(key).or_insert_with(|| InstanceStatus {
                service,
                node,
                address,
                weight: instance.weight,
                up_for: Vec::new(),
                down_for: Vec::new(),
            });
            match instance.state.as_str() {
                "UP" => listed.up_for.push(seen_by.clone()),
                _ => listed.down_for.push(seen_by.clone()),
            }
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::node::State;
    use super::*;
    use crate::cluster::topology::Role;

    fn view(name: &str, host: &str, states: &[(&str, &str)]) -> NodeView {
        let instances: Vec<Value> = states
            .iter()
            .enumerate()
            .map(|(i, (node, state))| {
                json!({"nodeName": node, "address": format!("10.0.0.{i}"), "port": 80, "weight": 10, "state": state})
            })
            .collect();
        NodeView {
            name: name.to_owned(),
            host: host.to_owned(),
            role: Role::LoadBalancer,
            view: serde_json::from_value(json!({
                "node": {"nodeName": host, "address": "10.0.0.1"}, "hash": "h", "nodes": [],
                "services": [{"service": "my-service-a", "instances": instances}]
            }))
            .map_err(|error| error.to_string()),
        }
    }

    #[test]
    fn an_instance_is_listed_once_by_name_with_the_sidecars_that_see_it() {
        let views = [
            view("lb", "h1", &[("h1", "UP"), ("gone", "UP")]),
            view("service-a", "h2", &[("h1", "DOWN")]),
            NodeView {
                view: Err("connection refused".to_owned()),
                ..view("frontend", "h3", &[])
            },
        ];
        let node = NodeStatus {
            name: "lb".to_owned(),
            id: Some("h1".to_owned()),
            state: State::Stopped,
            reason: None,
            address: None,
            status_page: None,
            hash: None,
        };
        let lines: Vec<String> = listed(&views, &[node])
            .iter()
            .map(|at| {
                format!(
                    "{} {} {} {:?} {:?}",
                    at.service, at.node, at.address, at.up_for, at.down_for
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                r#"a gone 10.0.0.1:80 ["lb"] []"#,
                r#"a lb 10.0.0.0:80 ["lb"] ["service-a"]"#
            ]
        );
    }
}
