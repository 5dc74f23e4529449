//! Publishes what a node knows to the balancer and the status page.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::counters::Counters;
use super::left_out::LeftOut;
use super::protocol::Protocol;
use super::view::View;
use super::wire::Node;
use crate::balance::service::{Instance, Instances, LastChoice, ServiceId};

/// Publishing takes at most 1 / this of the time: a large mesh that starts changes hundreds of times, and the cost of
/// publishing a change grows with the mesh.
const PUBLISHING_SHARE: u32 = 10;
/// The longest delay before a change is published.
const PUBLISHING_LATEST: Duration = Duration::from_millis(250);
/// The least pause between two publications, in times of what one takes: a table that others have filled leaves most of the
/// time to the protocol, although changes are published later than that.
const PUBLISHING_PAUSE: u32 = 2;

/// Instances logged one by one of those that a change brings, and of those that it takes.
const MAX_LOGGED: usize = 16;

/// The published state, and when to publish next.
pub(super) struct Publishing {
    instances: watch::Sender<Arc<Instances>>,
    view: watch::Sender<Arc<View>>,
    /// The nodes that were up when last published.
    up: BTreeSet<Node>,
    due: bool,
    not_before: Instant,
    left_out: LeftOut,
    counters: Arc<Counters>,
}

impl Publishing {
    pub(super) fn new(
        instances: watch::Sender<Arc<Instances>>,
        view: watch::Sender<Arc<View>>,
        protocol: &Protocol,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            instances,
            view,
            up: protocol.membership().healthy().clone(),
            due: false,
            not_before: Instant::now(),
            left_out: LeftOut::default(),
            counters,
        }
    }

    /// Notes that there is a change to publish.
    pub(super) fn want(&mut self) {
        self.due = true;
    }

    /// When to publish, if there is a change.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due.then_some(self.not_before)
    }

    pub(super) fn publish_if_due(&mut self, protocol: &Protocol) {
        let begin = Instant::now();
        if !self.due || begin < self.not_before {
            return;
        }
        self.publish(protocol);
        let took = begin.elapsed();
        let pause = (took * (PUBLISHING_SHARE - 1)).min(PUBLISHING_LATEST);
        self.due = false;
        self.not_before = Instant::now() + pause.max(took * PUBLISHING_PAUSE);
    }

    fn publish(&mut self, protocol: &Protocol) {
        let up = protocol.membership().healthy();
        let own = protocol.membership().own();
        for node in up.difference(&self.up).filter(|node| *node != own) {
            tracing::info!(%node, "discovery: up");
        }
        self.up.clone_from(up);
        self.view.send_replace(Arc::new(View::of(protocol)));
        self.left_out.report(protocol, &self.counters);
        let instances = protocol.instances();
        self.instances.send_if_modified(|held| {
            let changed = **held != instances;
            if changed {
                log_changes(held, &instances);
                *held = Arc::new(instances);
            }
            changed
        });
    }
}

/// Logs the instances that come and go.
fn log_changes(before: &Instances, after: &Instances) {
    let came = difference(after, before);
    let went = difference(before, after);
    for (what, instances) in [
        ("discovery: instance up", came),
        ("discovery: instance gone", went),
    ] {
        for (id, instance) in instances.iter().take(MAX_LOGGED) {
            let ServiceId { service, zone } = id;
            tracing::info!(service, zone, address = %instance.address, weight = instance.weight, "{what}");
        }
        if let Some(further @ 1..) = instances.len().checked_sub(MAX_LOGGED) {
            tracing::info!(further, "{what}");
        }
    }
}

/// The instances of `of` at addresses at which `other` has none of the same service, not even of a node that is said to
/// leave.
fn difference<'a>(of: &'a Instances, other: &Instances) -> Vec<(&'a ServiceId, &'a Instance)> {
    let offered = of.offered.iter();
    let new = offered.flat_map(|(id, instances)| {
        let held = other.offered.get(id).map(Vec::as_slice).unwrap_or_default();
        let mut held: BTreeSet<_> = held.iter().map(|instance| instance.address).collect();
        let leaving = other.last_choice.get(id).into_iter().flatten();
        held.extend(
            leaving
                .filter(|(_, why)| *why == LastChoice::LeaveClaimed)
                .map(|(instance, _)| instance.address),
        );
        let new = instances
            .iter()
            .filter(move |instance| !held.contains(&instance.address));
        new.map(move |instance| (id, instance))
    });
    new.collect()
}
