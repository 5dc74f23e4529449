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

/// One line for each command and its comment, with the comments below each other.
fn aligned(commands: &[(String, String)]) -> Vec<String> {
    let width = commands
        .iter()
        .map(|(command, _)| command.len())
        .max()
        .unwrap_or_default();
    let line = |(command, comment): &(String, String)| format!("{command:<width$} {comment}");
    commands.iter().map(line).collect()
}

/// A `curl` command for each published route. It has the address, because `localhost` may be ::1, or nothing.
pub(super) fn curl_lines(topology: &Topology, containers: &[Container]) -> Vec<String> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for route in topology.routes() {
        let member = containers.iter().find(|container| {
            topology
                .member(&route.member)
                .is_some_and(|member| member.service.container_name == container.name)
        });
        if let Some(address) = member.and_then(|container| container.published(route.container_port)) {
            let quote = if route.target.contains('?') { "'" } else { "" };
            let command = format!("curl {quote}http://{address}{}{quote}", route.target);
            let alternates = topology
                .members
                .iter()
                .filter(|member| matches!(&member.role, Role::Service { name, .. } if *name == route.service))
                .count()
                > 1;
            let what = if alternates { ", in turn" } else { "" };
            commands.push((command, format!("# service {}{what}", route.service)));
        }
    }
    aligned(&commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comments_of_the_longest_commands_stand_within_80_columns() {
        let command = |text: &str, comment: &str| (text.to_owned(), comment.to_owned());
        let lines = aligned(&[
            command("curl http://127.0.0.1:8082/", "# service b"),
            command(
                "curl 'http://127.255.255.254:65535/service-a?via=lb'",
                "# service a, in turn",
            ),
        ]);
        assert!(lines.iter().all(|line| line.len() <= 80), "{lines:#?}");
        assert_eq!(lines[0].find('#'), lines[1].find('#'));
    }
}
