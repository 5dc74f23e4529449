//! Metrics of discovery.

use super::{MeshStatus, MetricType, Page};
use crate::mesh::directory::acceptance::Exclusion;
use crate::mesh::key::Refusal;
use crate::mesh::{DatagramKind, ExchangeKind, Health, Outcome};

pub(super) fn nodes(page: &mut Page, mesh: &MeshStatus) {
    let view = mesh.view.borrow().clone();
    let up = view.nodes.iter().filter(|n| n.health == Health::Up).count();
    page.metric(
        "sidecar_mesh_nodes",
        MetricType::Gauge,
        "Known sidecars, including this one, by state.",
    )
    .sample(&[("state", "up")], up)
    .sample(&[("state", "down")], view.nodes.len() - up);
    let instances: usize = view.services.iter().map(|s| s.instances.len()).sum();
    page.metric(
        "sidecar_mesh_services",
        MetricType::Gauge,
        "Services that the mesh offers.",
    )
    .sample(&[], view.services.len());
    page.metric(
        "sidecar_mesh_instances",
        MetricType::Gauge,
        "Instances of all services that the mesh offers.",
    )
    .sample(&[], instances);
}

pub(super) fn traffic(page: &mut Page, mesh: &MeshStatus) {
    let counters = &mesh.counters;
    let mut metric = page.metric(
        "sidecar_mesh_datagrams_total",
        MetricType::Counter,
        "Discovery datagrams, by type and outcome.",
    );
    for kind in DatagramKind::ALL {
        metric.sample(&[("type", kind.name()), ("outcome", "sent")], counters.sent(kind));
        metric.sample(
            &[("type", kind.name()), ("outcome", "received")],
            counters.received(kind),
        );
    }
    metric.sample(&[("type", "unknown"), ("outcome", "dropped")], counters.dropped());
    metric.sample(&[("type", "unknown"), ("outcome", "unsent")], counters.unsent());
    let help = "Exchanges that this sidecar requested from peers, by type and outcome.";
    let mut metric = page.metric("sidecar_mesh_exchanges_total", MetricType::Counter, help);
    for kind in ExchangeKind::ALL {
        for outcome in Outcome::ALL {
            let labels = [("type", kind.name()), ("outcome", outcome.name())];
            metric.sample(&labels, counters.made(kind, outcome));
        }
    }
    let help = "Exchanges that peers requested and this sidecar answered, by type.";
    let mut metric = page.metric("sidecar_mesh_served_total", MetricType::Counter, help);
    for kind in ExchangeKind::ALL {
        metric.sample(&[("type", kind.name())], counters.served(kind));
    }
    let help = "Requests to the discovery port that were rejected: not of the protocol, or malformed.";
    page.metric("sidecar_mesh_rejected_total", MetricType::Counter, help)
        .sample(&[], counters.rejected());
    let help = "Discovery messages that were refused because of the mesh key, or the lack of one, by reason.";
    let mut metric = page.metric("sidecar_mesh_key_refused_total", MetricType::Counter, help);
    for why in Refusal::ALL {
        metric.sample(&[("reason", why.name())], counters.refusals.count(why));
    }
    let help = "Nodes and instances in messages of peers that were left out, because they cannot be used.";
    page.metric("sidecar_mesh_unusable_total", MetricType::Counter, help)
        .sample(&[], counters.unusable());
    let help = "Datagrams of type leave that the node in whose name they came has refuted.";
    page.metric("sidecar_mesh_refuted_leaves_total", MetricType::Counter, help)
        .sample(&[], counters.refuted_leaves());
    let help = "Instances offered by other sidecars that do not count, by reason.";
    let mut metric = page.metric("sidecar_mesh_excluded_instances_total", MetricType::Counter, help);
    for why in Exclusion::ALL {
        metric.sample(&[("reason", why.name())], counters.excluded(why));
    }
    let help = "Instances of other sidecars that were dropped because there were too many.";
    page.metric("sidecar_mesh_cut_instances_total", MetricType::Counter, help)
        .sample(&[], counters.cut_instances());
    let help = "Nodes that were forgotten, because there were too many, for one at an address with fewer.";
    page.metric("sidecar_mesh_evicted_nodes_total", MetricType::Counter, help)
        .sample(&[], counters.evicted_nodes());
    let help = "Instances offered by other sidecars whose weight was cut to the maximum.";
    page.metric("sidecar_mesh_cut_weights_total", MetricType::Counter, help)
        .sample(&[], counters.cut_weights());
}
