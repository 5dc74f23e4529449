//! `/metrics`, for Prometheus. Names and labels follow its conventions: base units, `_total` on counters.

mod http;
mod mesh;

use std::time::Duration;

use super::MeshStatus;
use super::exposition::{MetricType, Page};
use super::process::Process;
use crate::balance::{Connects, ServerView, Totals};
use crate::control::{Controller, GroupView, ListenerView};
use crate::limits::BUDGET;

/// Maximum number of listeners, groups and servers that are shown individually, which bounds the page.
const MAX_SHOWN: usize = 512;

/// The page.
pub(super) fn page(controller: &Controller, mesh: Option<&MeshStatus>) -> String {
    let mut page = Page::default();
    page.metric("sidecar_build_info", MetricType::Gauge, "The sidecar's version.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let help = "Lines of the log that were dropped, because standard error was not read.";
    page.metric("sidecar_log_lines_dropped_total", MetricType::Counter, help)
        .sample(&[], crate::log::dropped_lines());
    let help = "Connections that waited, because all file descriptors for connections were in use.";
    page.metric("sidecar_descriptors_used_up_total", MetricType::Counter, help)
        .sample(&[], BUDGET.times_used_up());
    let help = "Instances from the mesh that were dropped, because their address leads to a listener of this sidecar.";
    page.metric("sidecar_own_instances_dropped_total", MetricType::Counter, help)
        .sample(&[], controller.own_listeners().dropped());
    let all = controller.listeners();
    let all = &all[..all.len().min(MAX_SHOWN)];
    listeners(&mut page, all);
    http::listeners(&mut page, all);
    let groups = controller.groups();
    let shown = &groups[..groups.len().min(MAX_SHOWN)];
    self::groups(&mut page, shown);
    http::groups(&mut page, shown);
    servers(&mut page, &groups);
    http::servers(&mut page, &groups, MAX_SHOWN);
    registrations(&mut page, controller);
    autosave(&mut page, controller);
    if let Some(mesh) = mesh {
        mesh::nodes(&mut page, mesh);
        mesh::traffic(&mut page, mesh);
    }
    process(&mut page);
    page.into_text()
}

type Labels<'a, const N: usize> = [(&'a str, &'a str); N];

fn listener_labels(l: &ListenerView) -> Labels<'_, 2> {
    [("kind", l.name.resource().word()), ("listener", l.name.name())]
}

fn listeners(page: &mut Page, listeners: &[ListenerView]) {
    let labels = listener_labels;
    let help = "What the connections of a listener carry; 1 for the protocol that it has.";
    let mut metric = page.metric("sidecar_listener_protocol", MetricType::Gauge, help);
    for l in listeners {
        if let Some(protocol) = l.protocol {
            metric.sample(&with(&labels(l), ("protocol", protocol.as_str())), 1);
        }
    }
    let help = "Connections accepted from clients.";
    let mut metric = page.metric("sidecar_listener_accepted_total", MetricType::Counter, help);
    for l in listeners {
        metric.sample(&labels(l), l.totals.connections);
    }
    let help = "Open connections of clients.";
    let mut metric = page.metric("sidecar_listener_active_connections", MetricType::Gauge, help);
    for l in listeners {
        metric.sample(&labels(l), l.totals.active);
    }
    let help = "Connections refused, by reason.";
    let mut metric = page.metric("sidecar_listener_refused_total", MetricType::Counter, help);
    for l in listeners {
        for (reason, count) in l.refusals.iter() {
            metric.sample(&with(&labels(l), ("reason", reason.label())), count);
        }
    }
    let help = "How often connections began to wait, because the listener had as many as it may.";
    let mut metric = page.metric("sidecar_listener_full_total", MetricType::Counter, help);
    for l in listeners {
        metric.sample(&labels(l), l.times_full);
    }
    let help = "Bytes passed on, by direction.";
    let mut metric = page.metric("sidecar_listener_bytes_total", MetricType::Counter, help);
    for l in listeners {
        for (direction, count) in directions(&l.totals) {
            metric.sample(&with(&labels(l), direction), count);
        }
    }
}

/// The figures of a group or server.
struct Row<'a> {
    labels: Vec<(&'a str, &'a str)>,
    totals: &'a Totals,
    connects: &'a Connects,
}

/// Names of the metrics that groups and servers have in common.
struct Names {
    connects: &'static str,
    failures: &'static str,
    failovers: &'static str,
    active: &'static str,
    bytes: &'static str,
}

const GROUP: Names = Names {
    connects: "sidecar_group_connects_total",
    failures: "sidecar_group_connect_failures_total",
    failovers: "sidecar_group_failovers_total",
    active: "sidecar_group_active_connections",
    bytes: "sidecar_group_bytes_total",
};

const SERVER: Names = Names {
    connects: "sidecar_server_connects_total",
    failures: "sidecar_server_connect_failures_total",
    failovers: "sidecar_server_failovers_total",
    active: "sidecar_server_active_connections",
    bytes: "sidecar_server_bytes_total",
};

fn rows(page: &mut Page, names: &Names, rows: &[Row<'_>]) {
    let mut metric = page.metric(
        names.connects,
        MetricType::Counter,
        "Connections established for clients.",
    );
    for row in rows {
        metric.sample(&row.labels, row.totals.connections);
    }
    let mut metric = page.metric(
        names.failures,
        MetricType::Counter,
        "Attempts to connect that failed, by reason.",
    );
    for row in rows {
        for (reason, count) in row.connects.failed.iter() {
            metric.sample(&with(&row.labels, ("reason", reason)), count);
        }
    }
    let help = "Failed attempts after which the connection went on to another server.";
    let mut metric = page.metric(names.failovers, MetricType::Counter, help);
    for row in rows {
        metric.sample(&row.labels, row.connects.failovers);
    }
    let mut metric = page.metric(names.active, MetricType::Gauge, "Open connections.");
    for row in rows {
        metric.sample(&row.labels, row.totals.active);
    }
    let mut metric = page.metric(names.bytes, MetricType::Counter, "Bytes passed on, by direction.");
    for row in rows {
        for (direction, count) in directions(row.totals) {
            metric.sample(&with(&row.labels, direction), count);
        }
    }
}

fn groups(page: &mut Page, groups: &[GroupView]) {
    let all: Vec<Row<'_>> = groups
        .iter()
        .map(|g| Row {
            labels: vec![("group", &g.name)],
            totals: &g.totals,
            connects: &g.connects,
        })
        .collect();
    rows(page, &GROUP, &all);
    let help = "Latency of successful attempts to connect to a server.";
    let mut metric = page.metric(
        "sidecar_group_connect_duration_seconds",
        MetricType::Histogram,
        help,
    );
    for g in groups {
        let buckets = g
            .connect_times
            .cumulative()
            .map(|(bound, n)| (bound.as_ref().map(Duration::as_secs_f64), n));
        metric.histogram(
            &[("group", &g.name)],
            buckets,
            g.connect_times.sum().as_secs_f64(),
        );
    }
}

fn servers(page: &mut Page, groups: &[GroupView]) {
    let all = groups.iter().flat_map(|g| g.servers.iter().map(move |s| (g, s)));
    let shown: Vec<(&GroupView, &ServerView)> = all.take(MAX_SHOWN).collect();
    let all: Vec<Row<'_>> = shown
        .iter()
        .map(|(g, s)| Row {
            labels: vec![("group", &g.name), ("server", &s.name)],
            totals: &s.totals,
            connects: &s.connects,
        })
        .collect();
    rows(page, &SERVER, &all);
    let mut metric = page.metric(
        "sidecar_server_up",
        MetricType::Gauge,
        "Whether the server may take connections.",
    );
    for (row, (_, s)) in all.iter().zip(&shown) {
        metric.sample(&row.labels, u8::from(s.up));
    }
    let mut metric = page.metric(
        "sidecar_server_checks_total",
        MetricType::Counter,
        "Health checks, by outcome.",
    );
    for (row, (_, s)) in all.iter().zip(&shown) {
        metric.sample(&with(&row.labels, ("outcome", "passed")), s.checks.passed);
        metric.sample(&with(&row.labels, ("outcome", "failed")), s.checks.failed);
        let labels = with(&row.labels, ("outcome", "not_made"));
        metric.sample(&labels, s.checks.not_made);
    }
    let count: usize = groups.iter().map(|g| g.servers.len()).sum();
    page.metric(
        "sidecar_servers",
        MetricType::Gauge,
        "Servers of all groups, including those that are not shown.",
    )
    .sample(&[], count);
}

fn registrations(page: &mut Page, controller: &Controller) {
    let all = controller.registrations();
    let announced = all.iter().filter(|r| r.announced).count();
    page.metric(
        "sidecar_registrations",
        MetricType::Gauge,
        "Local instances, by whether they are announced to the mesh.",
    )
    .sample(&[("state", "up")], announced)
    .sample(&[("state", "down")], all.len() - announced);
}

fn autosave(page: &mut Page, controller: &Controller) {
    let Some(state) = controller.save_state() else {
        return;
    };
    let help = "Whether the latest configuration could not be saved.";
    page.metric("sidecar_autosave_unsaved", MetricType::Gauge, help)
        .sample(&[], u8::from(state.unsaved.is_some()));
    let help = "Attempts to save the configuration that failed.";
    page.metric("sidecar_autosave_failures_total", MetricType::Counter, help)
        .sample(&[], state.failures);
}

fn process(page: &mut Page) {
    let process = Process::read();
    let mut gauge = |name, help, value: Option<u64>| {
        if let Some(value) = value {
            page.metric(name, MetricType::Gauge, help).sample(&[], value);
        }
    };
    gauge(
        "process_resident_memory_bytes",
        "Resident memory.",
        process.resident_bytes,
    );
    gauge(
        "process_virtual_memory_bytes",
        "Virtual memory.",
        process.virtual_bytes,
    );
    gauge(
        "process_virtual_memory_max_bytes",
        "Maximum amount of virtual memory.",
        process.max_virtual_bytes,
    );
    gauge("process_threads", "Threads.", process.threads);
    gauge("process_open_fds", "Open file descriptors.", process.open_files);
    gauge(
        "process_max_fds",
        "Maximum number of open file descriptors.",
        process.max_open_files,
    );
    if let Some(seconds) = process.start_seconds {
        let help = "Start of the process since the Unix epoch.";
        page.metric("process_start_time_seconds", MetricType::Gauge, help)
            .sample(&[], seconds);
    }
    if let Some(seconds) = process.cpu_seconds {
        page.metric(
            "process_cpu_seconds_total",
            MetricType::Counter,
            "User and system CPU time.",
        )
        .sample(&[], seconds);
    }
}

fn directions(totals: &Totals) -> [((&'static str, &'static str), u64); 2] {
    [
        (("direction", "to_instance"), totals.to_instance),
        (("direction", "to_client"), totals.to_client),
    ]
}

fn with<'a>(labels: &[(&'a str, &'a str)], label: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    labels.iter().copied().chain([label]).collect()
}
