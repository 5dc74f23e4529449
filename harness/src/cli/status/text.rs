//! The status as text for a terminal of 80 columns. Pure.

use harness::cluster::status::{InstanceStatus, MeshStatus};
use harness::console::{table, wrapped};

use super::super::listing;

/// Width of a line, in columns.
const WIDTH: usize = 80;

/// The whole status. `id` is the header of the column with the nodes' ids.
pub(super) fn status(status: &MeshStatus, id: &str) -> String {
    let verdict = if status.problems.is_empty() {
        "All sidecars see the same mesh.".to_owned()
    } else {
        listed("Problems:", &status.problems)
    };
    let mut parts = vec![
        format!(
            "Mesh `{}` (runtime {}): {} of {} nodes ready.",
            status.mesh,
            status.runtime,
            status.ready(),
            status.nodes.len()
        ),
        listing::nodes(&status.nodes, id),
        instances(status),
    ];
    if !status.foreign.is_empty() {
        let nodes: Vec<String> = status.foreign.iter().map(ToString::to_string).collect();
        parts.push(listed("Nodes that are not in the Compose file:", &nodes));
    }
    parts.push(verdict);
    parts.join("\n\n")
}

fn instances(status: &MeshStatus) -> String {
    if status.instances.is_empty() {
        return "No sidecar knows an instance of any service.".to_owned();
    }
    let views = status.nodes.iter().filter(|node| node.hash.is_some()).count();
    let row = |at: &InstanceStatus| {
        vec![
            at.service.clone(),
            at.node.clone(),
            at.address.to_string(),
            at.weight.to_string(),
            match at.up_for.len() {
                all if all == views => "all sidecars".to_owned(),
                some => format!("{some} of {views} sidecars"),
            },
        ]
    };
    let header = ["SERVICE", "INSTANCE", "ADDRESS", "WEIGHT", "UP FOR"];
    table::plain(&header, status.instances.iter().map(row))
}

fn listed(title: &str, lines: &[String]) -> String {
    let lines: Vec<String> = lines
        .iter()
        .map(|line| wrapped(&format!("  {line}"), WIDTH, 2))
        .collect();
    format!("{title}\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::example;
    use super::*;

    #[test]
    fn the_instances_are_listed_once_by_name_within_80_columns() {
        let expected = "\
Mesh `example` (runtime docker): 1 of 3 nodes ready.

NAME        STATE       ADDRESS      STATUS PAGE       CONTAINER ID
lb          ready       172.18.0.2   127.0.0.1:49153   6e809c34621a
service-a   no answer   172.18.0.3   127.0.0.1:49154   208955b57fbc
service-b   missing     -            -                 -

SERVICE   INSTANCE    ADDRESS            WEIGHT   UP FOR
a         service-a   172.18.0.3:27247   10       all sidecars

Nodes that are not in the Compose file:
  more at 172.18.0.9, offers service c

Problems:
  service-b has no container
  service-a gives no answer: connection refused";
        let mut example = example();
        assert_eq!(status(&example, "CONTAINER ID"), expected);

        // The longest names of the shipped file, addresses and problems.
        example.problems = vec!["service-a2 leaves service-a out of group a.my.service.com:80 ".repeat(3)];
        for node in &mut example.nodes {
            node.name = "service-a2".to_owned();
            node.address = Some([127, 255, 255, 254].into());
            node.status_page = Some(([127, 255, 255, 254], 65535).into());
            node.id = Some("208955b57fbc".to_owned());
        }
        example.instances[0].node = "service-a2".to_owned();
        example.instances[0].address = ([127, 255, 255, 254], 65535).into();
        let text = status(&example, "CONTAINER ID");
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }

    #[test]
    fn a_complete_mesh_has_no_problems() {
        let mut example = example();
        example.problems.clear();
        example.instances.clear();
        let text = status(&example, "NODE ID");
        assert!(text.ends_with("\n\nAll sidecars see the same mesh."), "{text}");
        assert!(text.contains("No sidecar knows an instance"), "{text}");
    }
}
