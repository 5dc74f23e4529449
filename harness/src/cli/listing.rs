//! The output of `up` and `test --keep` about a running mesh: its containers and the URLs to try.

use harness::cluster::topology::{Role, Topology};
use harness::console::table;
use harness::engine::Container;

/// A table of containers in the style of `docker ps`. `id` is the header of the ID column.
pub(super) fn containers(id: &str, containers: &[Container]) -> String {
    let rows = containers.iter().map(|container| {
        let ports = container
            .ports
            .iter()
            .map(|(port, bound)| format!("{bound}->{port}/tcp"));
        vec![
            container.short_id().to_owned(),
            container.image.clone(),
            shortened(&container.command, 40),
            container.status.clone(),
            ports.collect::<Vec<_>>().join(", "),
            container.name.clone(),
        ]
    });
    table::plain(&[id, "IMAGE", "COMMAND", "STATUS", "PORTS", "NAMES"], rows)
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
                "one instance, then the other"
            } else {
                "one instance"
            };
            lines.push(format!("{line:<52} # service {}, {what}", route.service));
        }
    }
    lines
}

/// Shortens a command line to `length` characters. The sidecar's own arguments are dropped first: the program that it
/// starts identifies the container.
fn shortened(text: &str, length: usize) -> String {
    let (sidecar, program) = text.split_once(" -- ").unwrap_or((text, ""));
    let whole = text.chars().count() + 2;
    if whole <= length {
        return format!("\"{text}\"");
    }
    if program.is_empty() {
        let start: String = sidecar.chars().take(length - 3).collect();
        return format!("\"{start}…\"");
    }
    let first = sidecar.split(' ').next().unwrap_or_default();
    format!("\"{first} … -- {program}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_command_keeps_the_program() {
        assert_eq!(
            shortened("/bin/sidecar -- frontend", 40),
            "\"/bin/sidecar -- frontend\""
        );
        let long = format!("/bin/sidecar --load {} -- service a", "x".repeat(60));
        assert_eq!(shortened(&long, 40), "\"/bin/sidecar … -- service a\"");
        let alone = shortened(&format!("/bin/sidecar --load {}", "é".repeat(60)), 40);
        assert_eq!(alone.chars().count(), 40);
    }
}
