//! What changed from one status to the next. Pure.

use harness::cluster::status::{InstanceStatus, MeshStatus, NodeStatus, State};

/// The changes, one line each; empty if nothing changed that a line would say.
pub(super) fn changes(before: &MeshStatus, after: &MeshStatus) -> Vec<String> {
    let mut lines = Vec::new();
    for node in &after.nodes {
        let known = before.nodes.iter().find(|known| known.name == node.name);
        lines.extend(known.and_then(|known| of_node(known, node)));
    }
    let same = |one: &InstanceStatus, other: &InstanceStatus| {
        (&one.service, &one.node, one.address) == (&other.service, &other.node, other.address)
    };
    let named = |at: &InstanceStatus| {
        format!(
            "instance of service {} on {} at {}",
            at.service, at.node, at.address
        )
    };
    for (from, to, word) in [(after, before, "new"), (before, after, "gone")] {
        let only = from
            .instances
            .iter()
            .filter(|one| !to.instances.iter().any(|other| same(one, other)));
        lines.extend(only.map(|at| format!("{word}: {}", named(at))));
    }
    for (from, to, word) in [(before, after, "solved: "), (after, before, "")] {
        let only = from
            .problems
            .iter()
            .filter(|problem| !to.problems.contains(problem));
        lines.extend(only.map(|problem| format!("{word}{problem}")));
    }
    if after.problems.is_empty() && !before.problems.is_empty() {
        lines.push("All sidecars see the same mesh.".to_owned());
    }
    lines
}

/// A node that became ready, or has another container. Other states are problems.
fn of_node(before: &NodeStatus, after: &NodeStatus) -> Option<String> {
    let name = &after.name;
    match &after.id {
        Some(id) if before.id.as_ref() != Some(id) => Some(format!("{name} has a new container: {id}")),
        _ if after.state == State::Ready && before.state != State::Ready => Some(format!("{name} is ready")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::example;
    use super::*;

    #[test]
    fn only_what_changed_is_said() {
        let before = example();
        assert_eq!(changes(&before, &before), [""; 0]);

        let mut after = example();
        after.nodes[1].state = State::Ready;
        after.nodes[2].id = Some("9b8fb0b2892c".to_owned());
        after.problems = vec!["lb lacks service-b".to_owned()];
        after.instances[0].address.set_port(1);
        assert_eq!(
            changes(&before, &after),
            [
                "service-a is ready",
                "service-b has a new container: 9b8fb0b2892c",
                "new: instance of service a on service-a at 172.18.0.3:1",
                "gone: instance of service a on service-a at 172.18.0.3:27247",
                "solved: service-b has no container",
                "solved: service-a gives no answer: connection refused",
                "lb lacks service-b",
            ]
        );
        let mut well = after.clone();
        well.problems.clear();
        let expected = ["solved: lb lacks service-b", "All sidecars see the same mesh."];
        assert_eq!(changes(&after, &well), expected);
    }
}
