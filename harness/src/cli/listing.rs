//! The output of several commands about a running mesh: its nodes and the URLs to try.

use harness::cluster::status::NodeStatus;
use harness::cluster::topology::{Role, Topology};
use harness::console::table;
use harness::engine::Container;

/// A table of the nodes, names first. `id` is the header of the ID column.
pub(super) fn nodes(nodes: &[NodeStatus], id: &str) -> String {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let rows = nodes.iter().map(|node| {
        vec![
            node.name.clone(),
            node.state.word().to_owned(),
            shown(node.address.map(|address| address.to_string())),
            shown(node.status_page.map(|page| page.to_string())),
            shown(node.id.clone()),
        ]
    });
    table::plain(&["NAME", "STATE", "ADDRESS", "STATUS PAGE", id], rows)
}

/// A `curl` command for each published route. It has the address, because `localhost` may be ::1, or nothing.
pub(super) fn curl_lines(topology: &Topology, containers: &[Container]) -> Vec<String> {
    let mut lines = Vec::new();
    for route in topology.routes() {
        let member = containers.iter().find(|container| {
            topology
                .member(&route.member)
                .is_some_and(|member| member.service.container_name == container.name)
        });
        if let Some(address) = member.and_then(|container| container.endpoint(route.container_port)) {
            let quote = if route.target.contains('?') { "'" } else { "" };
            let line = format!("curl {quote}http://{address}{}{quote}", route.target);
            let alternates = topology
                .members
                .iter()
                .filter(|member| matches!(&member.role, Role::Service { name, .. } if *name == route.service))
                .count()
                > 1;
            let what = if alternates {
                "instances in turn"
            } else {
                "one instance"
            };
            lines.push(format!("{line:<46} # service {}: {what}", route.service));
        }
    }
    lines
}
