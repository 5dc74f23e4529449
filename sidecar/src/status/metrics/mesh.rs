//! What discovery has counted.

use crate::mesh::{DatagramKind, ExchangeKind, Health, Outcome};
use crate::status::MeshStatus;
use crate::status::exposition::{Kind, Page};

pub(super) fn nodes(page: &mut Page, mesh: &MeshStatus) {
    let view = mesh.view.borrow().clone();
    let up = view.nodes.iter().filter(|n| n.health == Health::Up).count();
    page.metric(
        "sidecar_mesh_nodes",
        Kind::Gauge,
        "Sidecars that are known, this one included, by state.",
    )
    .sample(&[("state", "up")], up)
    .sample(&[("state", "down")], view.nodes.len() - up);
    let instances: usize = view.services.iter().map(|s| s.instances.len()).sum();
    page.metric(
        "sidecar_mesh_services",
        Kind::Gauge,
        "Services that the mesh offers.",
    )
    .sample(&[], view.services.len());
    page.metric(
        "sidecar_mesh_instances",
        Kind::Gauge,
        "Instances of all services that the mesh offers.",
    )
    .sample(&[], instances);
}

pub(super) fn traffic(page: &mut Page, mesh: &MeshStatus) {
    let counters = &mesh.counters;
    let mut metric = page.metric(
        "sidecar_mesh_datagrams_total",
        Kind::Counter,
        "Discovery datagrams, by type and what became of them.",
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
    let help = "Exchanges that this sidecar asked others for, by type and outcome.";
    let mut metric = page.metric("sidecar_mesh_exchanges_total", Kind::Counter, help);
    for kind in ExchangeKind::ALL {
        for outcome in Outcome::ALL {
            let labels = [("type", kind.name()), ("outcome", outcome.name())];
            metric.sample(&labels, counters.made(kind, outcome));
        }
    }
    let help = "Exchanges that others asked this sidecar for and were answered, by type.";
    let mut metric = page.metric("sidecar_mesh_served_total", Kind::Counter, help);
    for kind in ExchangeKind::ALL {
        metric.sample(&[("type", kind.name())], counters.served(kind));
    }
    let help = "Requests to the discovery port that were rejected: not of the protocol, or malformed.";
    page.metric("sidecar_mesh_rejected_total", Kind::Counter, help)
        .sample(&[], counters.rejected());
}
