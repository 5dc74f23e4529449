//! The changes between two views of one sidecar, as text. Pure.

use std::collections::BTreeMap;

use crate::cluster::mesh_view::View;

/// Describes each difference between two views of one sidecar; without `before`, everything in `after`. `name` returns
/// the display name of a node.
pub(super) fn changes(before: Option<&View>, after: &View, name: impl Fn(&str) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    let none = BTreeMap::new();
    let (known, now) = (before.map(nodes), nodes(after));
    compare(known.as_ref().unwrap_or(&none), &now, |node, from, to| {
        let node = name(node);
        lines.push(match (from, to) {
            (_, None) => format!("forgets {node}"),
            (None, Some(to)) => format!("knows {node}: {to}"),
            (Some(from), Some(to)) => format!("{node}: {from} -> {to}"),
        });
    });
    let (known, now) = (before.map(instances), instances(after));
    let none = BTreeMap::new();
    compare(known.as_ref().unwrap_or(&none), &now, |key, from, to| {
        let (service, node, address) = key;
        let what = format!("{service} on {} at {address}", name(node));
        lines.push(match (from, to) {
            (_, None) => format!("drops {what}"),
            (None, Some(to)) => format!("offers {what}: {to}"),
            (Some(from), Some(to)) => format!("{what}: {from} -> {to}"),
        });
    });
    let (known, now) = (before.map(servers), servers(after));
    let none = BTreeMap::new();
    compare(
        known.as_ref().unwrap_or(&none),
        &now,
        |(group, server), from, to| {
            let what = format!("server {server} of {group}");
            lines.push(match (from, to) {
                (_, None) => format!("drops {what}"),
                (None, Some(to)) => format!("uses {what}: {to}"),
                (Some(from), Some(to)) => format!("{what}: {from} -> {to}"),
            });
        },
    );
    lines
}

/// The health of each node.
fn nodes(view: &View) -> BTreeMap<String, String> {
    let nodes = view.nodes.iter();
    nodes
        .map(|node| (node.node_name.clone(), node.health.clone()))
        .collect()
}

/// State and weight of each instance, by service, node, and address.
fn instances(view: &View) -> BTreeMap<(String, String, String), String> {
    let mut all = BTreeMap::new();
    for service in &view.services {
        for instance in &service.instances {
            let address = format!("{}:{}", instance.address, instance.port);
            let key = (service.service.clone(), instance.node_name.clone(), address);
            all.insert(key, format!("{} weight {}", instance.state, instance.weight));
        }
    }
    all
}

/// State and weight of each server, by group and address.
fn servers(view: &View) -> BTreeMap<(String, String), String> {
    let mut all = BTreeMap::new();
    for group in &view.groups {
        for server in &group.servers {
            let key = (group.name.clone(), server.address.to_string());
            all.insert(key, format!("{} weight {}", server.state, server.weight));
        }
    }
    all
}

/// Calls `differs` for each key whose value differs: first the keys of `before` in order, then those only in `after`.
fn compare<K: Ord>(
    before: &BTreeMap<K, String>,
    after: &BTreeMap<K, String>,
    mut differs: impl FnMut(&K, Option<&str>, Option<&str>),
) {
    for (key, value) in before {
        let now = after.get(key);
        if now != Some(value) {
            differs(key, Some(value), now.map(String::as_str));
        }
    }
    for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
        differs(key, None, Some(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(nodes: &[(&str, &str)], instance: Option<&str>, server: Option<&str>) -> View {
        let nodes: Vec<String> = nodes
            .iter()
            .map(|(name, health)| {
                format!(r#"{{"nodeName":"{name}","address":"10.0.0.1","health":"{health}"}}"#)
            })
            .collect();
        let instance = instance.map(|state| {
            format!(r#"{{"nodeName":"n2","address":"10.0.0.2","port":80,"weight":10,"state":"{state}"}}"#)
        });
        let server =
            server.map(|state| format!(r#"{{"address":"10.0.0.2:80","weight":10,"state":"{state}"}}"#));
        let text = format!(
            r#"{{"node":{{"nodeName":"n1","address":"10.0.0.1"}},"hash":"h","nodes":[{}],
            "services":[{{"service":"my-service-a","instances":[{}]}}],
            "groups":[{{"name":"a:80","servers":[{}]}}]}}"#,
            nodes.join(","),
            instance.unwrap_or_default(),
            server.unwrap_or_default(),
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn each_difference_is_described_by_node_name() {
        let name = |node: &str| format!("<{node}>");
        let first = view(&[("n1", "UP"), ("n2", "UP")], Some("UP"), Some("UP"));
        assert_eq!(
            changes(None, &first, name),
            [
                "knows <n1>: UP",
                "knows <n2>: UP",
                "offers my-service-a on <n2> at 10.0.0.2:80: UP weight 10",
                "uses server 10.0.0.2:80 of a:80: UP weight 10"
            ]
        );
        assert!(changes(Some(&first), &first, name).is_empty());
        let down = view(&[("n1", "UP"), ("n2", "DOWN")], Some("DOWN"), Some("DOWN"));
        assert_eq!(
            changes(Some(&first), &down, name),
            [
                "<n2>: UP -> DOWN",
                "my-service-a on <n2> at 10.0.0.2:80: UP weight 10 -> DOWN weight 10",
                "server 10.0.0.2:80 of a:80: UP weight 10 -> DOWN weight 10"
            ]
        );
        let gone = view(&[("n1", "UP"), ("n3", "UP")], None, None);
        assert_eq!(
            changes(Some(&down), &gone, name),
            [
                "forgets <n2>",
                "knows <n3>: UP",
                "drops my-service-a on <n2> at 10.0.0.2:80",
                "drops server 10.0.0.2:80 of a:80"
            ]
        );
    }
}
