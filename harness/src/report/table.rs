//! Tables without borders, as `docker ps` prints them.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::figures::Figures;
use crate::runtime::Container;
use crate::topology::{Role, Topology};

/// The mesh's containers in the manner of `docker ps`.
pub fn containers(containers: &[Container]) -> String {
    let rows = containers.iter().map(|container| {
        let ports = container
            .ports
            .iter()
            .map(|(port, bound)| format!("{bound}->{port}/tcp"));
        vec![
            container.short_id().to_owned(),
            container.image.clone(),
            shortened(&container.command, 44),
            container.status.clone(),
            ports.collect::<Vec<_>>().join(", "),
            container.name.clone(),
        ]
    });
    plain(
        &["CONTAINER ID", "IMAGE", "COMMAND", "STATUS", "PORTS", "NAMES"],
        rows,
    )
}

/// What was measured.
pub fn figures(figures: &Figures) -> String {
    let rows = figures.0.iter().map(|figure| {
        vec![
            figure.what.clone(),
            figure.measured.clone(),
            figure.promised.to_owned(),
            if figure.kept { "kept" } else { "BROKEN" }.to_owned(),
            figure.reference.to_owned(),
        ]
    });
    plain(&["FIGURE", "MEASURED", "PROMISED", "", "REFERENCE"], rows)
}

/// What to ask of the mesh, as commands.
pub fn curl_lines(topology: &Topology, containers: &[Container]) -> Vec<String> {
    let mut lines = Vec::new();
    for route in topology.routes() {
        let member = containers.iter().find(|container| {
            topology
                .member(&route.member)
                .is_some_and(|member| member.service.container_name == container.name)
        });
        if let Some(address) = member.and_then(|container| container.endpoint(route.container_port)) {
            let quote = if route.target.contains('?') { "'" } else { "" };
            let line = format!("curl {quote}http://{}{}{quote}", localhost(address), route.target);
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

/// A table of any columns.
pub fn plain(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
        column.set_cell_alignment(CellAlignment::Left);
    }
    table.trim_fmt()
}

fn localhost(address: std::net::SocketAddr) -> String {
    if address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

fn shortened(text: &str, length: usize) -> String {
    let quoted = format!("\"{text}\"");
    if quoted.chars().count() <= length {
        return quoted;
    }
    let start: String = quoted.chars().take(length - 2).collect();
    format!("{start}…\"")
}
