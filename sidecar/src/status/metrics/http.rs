//! The figures of HTTP requests: of each listener, group and server that has had one.

use std::time::Duration;

use super::with;
use crate::balance::Requests;
use crate::control::{GroupView, ListenerView};
use crate::status::exposition::{MetricType, Page};

/// The requests of a listener, group or server.
struct Row<'a> {
    labels: Vec<(&'a str, &'a str)>,
    requests: &'a Requests,
}

impl Row<'_> {
    /// Whether it has had a request; others are not shown.
    fn is_used(&self) -> bool {
        self.requests.active > 0 || self.requests.times.count() > 0
    }
}

pub(super) fn listeners(page: &mut Page, listeners: &[ListenerView]) {
    let rows: Vec<Row<'_>> = listeners
        .iter()
        .map(|l| Row {
            labels: super::listener_labels(l).to_vec(),
            requests: &l.requests,
        })
        .filter(Row::is_used)
        .collect();
    requests(page, "sidecar_listener_http_requests_total", &rows);
    let help = "HTTP requests that have not ended.";
    let mut metric = page.metric(
        "sidecar_listener_http_requests_in_flight",
        MetricType::Gauge,
        help,
    );
    for row in &rows {
        metric.sample(&row.labels, row.requests.active);
    }
    grpc(page, "sidecar_listener_grpc_calls_total", &rows);
    retries(page, "sidecar_listener_http_retries_total", &rows);
    durations(page, "sidecar_listener_http_request_duration_seconds", &rows);
}

pub(super) fn groups(page: &mut Page, groups: &[GroupView]) {
    let rows: Vec<Row<'_>> = groups
        .iter()
        .map(|g| Row {
            labels: vec![("group", &g.name)],
            requests: &g.requests,
        })
        .filter(Row::is_used)
        .collect();
    requests(page, "sidecar_group_http_requests_total", &rows);
    grpc(page, "sidecar_group_grpc_calls_total", &rows);
    retries(page, "sidecar_group_http_retries_total", &rows);
    durations(page, "sidecar_group_http_request_duration_seconds", &rows);
    let help = "How often a server was ejected for its answers.";
    let mut metric = page.metric("sidecar_group_ejections_total", MetricType::Counter, help);
    for g in groups.iter().filter(|g| g.ejection.is_some() || g.ejections > 0) {
        metric.sample(&[("group", &g.name)], g.ejections);
    }
}

/// The servers of these groups, up to a limit.
pub(super) fn servers(page: &mut Page, groups: &[GroupView], limit: usize) {
    let all = groups.iter().flat_map(|g| g.servers.iter().map(move |s| (g, s)));
    let shown: Vec<_> = all.take(limit).collect();
    let rows: Vec<Row<'_>> = shown
        .iter()
        .map(|(g, s)| Row {
            labels: vec![("group", &g.name), ("server", &s.name)],
            requests: &s.requests,
        })
        .filter(Row::is_used)
        .collect();
    requests(page, "sidecar_server_http_requests_total", &rows);
    grpc(page, "sidecar_server_grpc_calls_total", &rows);
    retries(page, "sidecar_server_http_retries_total", &rows);
    let help = "Whether the server is ejected for its answers.";
    let mut metric = page.metric("sidecar_server_ejected", MetricType::Gauge, help);
    for (g, s) in shown.iter().filter(|(g, _)| g.ejection.is_some()) {
        metric.sample(&[("group", &g.name), ("server", &s.name)], u8::from(s.ejected));
    }
}

fn requests(page: &mut Page, name: &'static str, rows: &[Row<'_>]) {
    let help = "HTTP requests that have ended, by the classes of their method and of the answer's status.";
    let mut metric = page.metric(name, MetricType::Counter, help);
    for row in rows {
        for (method, status, count) in row.requests.iter() {
            let labels = with(&row.labels, ("method", method));
            metric.sample(&with(&labels, ("status", status)), count);
        }
    }
}

/// Of those that have had a call of gRPC.
fn grpc(page: &mut Page, name: &'static str, rows: &[Row<'_>]) {
    let help = "Calls of gRPC that have ended, by the grpc-status of the answer.";
    let mut metric = page.metric(name, MetricType::Counter, help);
    for row in rows {
        if row.requests.grpc().all(|(_, count)| count == 0) {
            continue;
        }
        for (status, count) in row.requests.grpc() {
            metric.sample(&with(&row.labels, ("grpc_status", status)), count);
        }
    }
}

fn retries(page: &mut Page, name: &'static str, rows: &[Row<'_>]) {
    let help = "HTTP requests that were sent again, because the server ended the connection.";
    let mut metric = page.metric(name, MetricType::Counter, help);
    for row in rows {
        metric.sample(&row.labels, row.requests.retries);
    }
}

fn durations(page: &mut Page, name: &'static str, rows: &[Row<'_>]) {
    let help = "Time from the head of an HTTP request to the end of its answer.";
    let mut metric = page.metric(name, MetricType::Histogram, help);
    for row in rows {
        let times = &row.requests.times;
        let buckets = times
            .cumulative()
            .map(|(bound, n)| (bound.as_ref().map(Duration::as_secs_f64), n));
        metric.histogram(&row.labels, buckets, times.sum().as_secs_f64());
    }
}
