//! Tables without borders, as `docker ps` prints them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::outcome::Report;
use crate::cluster::topology::{Role, Topology};
use crate::engine::Container;

/// The mesh's containers in the manner of `docker ps`; `id` is the head of the column with their ids.
pub fn containers(id: &str, containers: &[Container]) -> String {
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
    plain(&[id, "IMAGE", "COMMAND", "STATUS", "PORTS", "NAMES"], rows)
}

/// What was measured, beside what is promised.
pub fn promises(report: &Report) -> String {
    let measured = &report.measured;
    let (shown, left_out) = report.shown();
    if shown.is_empty() {
        return super::left_out(left_out);
    }
    let rows = shown.into_iter().map(|promise| {
        let promised = promise.promised();
        let reference = promise.reference().unwrap_or_default().to_owned();
        let name = promise.name().to_owned();
        let Some(summary) = measured.summary(promise) else {
            let nothing = || "-".to_owned();
            return vec![
                name,
                "0".to_owned(),
                nothing(),
                nothing(),
                nothing(),
                promised,
                "not measured".to_owned(),
                reference,
            ];
        };
        let shown = |value| promise.shown(value);
        vec![
            name,
            summary.count.to_string(),
            shown(summary.p50),
            shown(summary.p99),
            shown(summary.max),
            promised,
            if summary.kept() { "kept" } else { "BROKEN" }.to_owned(),
            reference,
        ]
    });
    let table = plain(
        &[
            "PROMISE",
            "COUNT",
            "P50",
            "P99",
            "MAX",
            "PROMISED",
            "",
            "REFERENCE",
        ],
        rows,
    );
    let left_out = match left_out {
        0 => String::new(),
        left_out => format!("\n{}", super::left_out(left_out)),
    };
    format!(
        "{table}{left_out}\nFailed requests that were in flight on a killed or frozen instance: {}.",
        measured.in_flight
    )
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

/// The address as people say it. Other loopback addresses than the usual one are not what `localhost` means.
fn localhost(address: SocketAddr) -> String {
    if [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()].contains(&address.ip()) {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

/// A command line within `length` characters; what the sidecar starts says most, so the sidecar's own arguments go
/// first.
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
    use super::super::outcome::example;
    use super::*;
    use crate::verify::objectives::{Measurements, Promise};

    #[test]
    fn a_long_command_keeps_the_program() {
        assert_eq!(
            shortened("/bin/sidecar -- frontend", 40),
            "\"/bin/sidecar -- frontend\""
        );
        let long = format!("/bin/sidecar --load {} -- service a", "x".repeat(60));
        assert_eq!(shortened(&long, 40), "\"/bin/sidecar … -- service a\"");
        let alone = shortened(&format!("/bin/sidecar --load {}", "é".repeat(60)), 40);
        assert_eq!(alone.chars().count(), 40);
    }

    #[test]
    fn only_the_usual_loopback_address_is_localhost() {
        let said = |address: &str| localhost(address.parse().unwrap());
        assert_eq!(said("127.0.0.1:8080"), "localhost:8080");
        assert_eq!(said("[::1]:8080"), "localhost:8080");
        assert_eq!(said("127.64.167.2:8080"), "127.64.167.2:8080");
    }

    #[test]
    fn a_promise_is_kept_broken_or_not_measured() {
        let mut measured = Measurements::default();
        measured.in_flight = 2;
        measured.add(Promise::Ready, std::time::Duration::from_millis(900));
        measured.add(Promise::FailedOnStop, 1_usize);
        let mut report = example();
        report.measured = measured;
        let text = promises(&report);
        let words = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..]
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            words(Promise::Ready.name()),
            "1 900 ms 900 ms 900 ms at most 2 s kept 11.6 s"
        );
        assert_eq!(words(Promise::FailedOnStop.name()), "1 1 1 1 none BROKEN");
        assert_eq!(words(Promise::Join.name()), "0 - - - at most 500 ms not measured");
        assert!(text.ends_with("frozen instance: 2."));
        report.filtered = true;
        let text = promises(&report);
        assert!(
            text.contains(Promise::Ready.name()) && !text.contains(Promise::Join.name()),
            "{text}"
        );
        assert!(
            text.contains("\nNot measured by these scenarios: 10 of 12 promises.\n"),
            "{text}"
        );
        report.measured = Measurements::default();
        assert_eq!(
            promises(&report),
            "Not measured by these scenarios: 12 of 12 promises."
        );
    }

    #[test]
    fn rows_stand_under_their_header() {
        let rows = [
            vec!["1".to_owned(), "two".to_owned()],
            vec!["longer".to_owned(), "2".to_owned()],
        ];
        assert_eq!(
            plain(&["A", "B"], rows.into_iter()),
            "A        B\n1        two\nlonger   2"
        );
    }
}
