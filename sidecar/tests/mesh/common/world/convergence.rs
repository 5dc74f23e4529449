//! Convergence: whether all nodes know the same.

use std::collections::BTreeSet;
use std::time::Duration;

use sidecar::mesh::wire::Node;

use super::{Place, World};

impl World {
    /// Runs until all nodes that are not frozen know exactly each other and all lists; panics after the given
    /// simulated time.
    pub(crate) fn converge_within(&mut self, time: Duration) {
        let end = self.now + time;
        self.changed = true;
        loop {
            if std::mem::take(&mut self.changed) && self.converged().is_ok() {
                return;
            }
            if !self.step(end) {
                let why = self
                    .converged()
                    .expect_err("it was checked after the last change");
                panic!(
                    "seed {}: no convergence {time:?} later, at {:?}: {why}",
                    self.seed, self.now
                );
            }
        }
    }

    /// Runs until the nodes of each side of a partition have converged. Returns the time that took, to a tenth of a
    /// second, or what is missing at the limit.
    pub(crate) fn converged_after(&mut self, limit: Duration) -> Result<Duration, String> {
        const STEP: Duration = Duration::from_millis(100);
        let begin = self.now;
        loop {
            let Err(why) = self.sides_converged() else {
                return Ok(self.now - begin);
            };
            if self.now - begin >= limit {
                return Err(why);
            }
            self.run_for(STEP);
        }
    }

    /// Average number of nodes that a node knows and has as up, itself included.
    #[allow(dead_code, reason = "the mesh-scale example uses it")]
    pub(crate) fn progress(&self) -> (usize, usize) {
        let memberships = || self.living.values().map(|living| living.protocol.membership());
        let known: usize = memberships().map(|membership| membership.peers().len() + 1).sum();
        let up: usize = memberships().map(|membership| membership.healthy().len()).sum();
        let nodes = self.living.len().max(1);
        (known / nodes, up / nodes)
    }

    /// Checks that the nodes of each side of a partition have converged.
    pub(crate) fn assert_converged_per_side(&self) {
        if let Err(why) = self.sides_converged() {
            panic!("seed {}: one side has not converged: {why}", self.seed);
        }
    }

    fn sides_converged(&self) -> Result<(), String> {
        [true, false].into_iter().try_for_each(|side| {
            let of_side = |place: &Place| self.one_side.contains(place) == side;
            self.converged_among(&self.awake().filter(of_side).collect())
        })
    }

    /// Panics if any node still knows one at this place.
    pub(crate) fn assert_forgotten(&self, place: Place) {
        for (witness, living) in &self.living {
            let mut members = living.protocol.membership().peers();
            let known = members.find(|member| member.node.address() == place);
            assert!(
                known.is_none(),
                "seed {}: {witness} still knows {known:?} at {:?}",
                self.seed,
                self.now
            );
        }
    }

    /// Number of nodes known at a place, itself included, whatever their health.
    pub(crate) fn known_names(&self, place: Place) -> usize {
        self.living[&place].protocol.membership().peers().count() + 1
    }

    fn awake(&self) -> impl Iterator<Item = Place> {
        self.living
            .iter()
            .filter(|(_, living)| !living.frozen)
            .map(|(place, _)| *place)
    }

    fn converged(&self) -> Result<(), String> {
        self.converged_among(&self.awake().collect())
    }

    fn converged_among(&self, places: &BTreeSet<Place>) -> Result<(), String> {
        let nodes: BTreeSet<&Node> = places
            .iter()
            .map(|p| self.living[p].protocol.membership().own())
            .collect();
        let lists: Vec<_> = places
            .iter()
            .map(|place| self.living[place].protocol.directory().local())
            .collect();
        for place in places {
            let protocol = &self.living[place].protocol;
            if !protocol.membership().healthy().iter().eq(nodes.iter().copied()) {
                let seen: BTreeSet<&Node> = protocol.membership().healthy().iter().collect();
                let lacks: Vec<_> = nodes.difference(&seen).collect();
                let stale: Vec<_> = seen.difference(&nodes).collect();
                let known: Vec<_> = protocol.membership().peers().filter(|m| !m.is_up()).collect();
                return Err(format!(
                    "{place} lacks {lacks:?}, has stale {stale:?}, has as down {known:?}"
                ));
            }
            for own in &lists {
                let held = protocol.directory().services(&own.node);
                if held != Some(&own.khala_nodes) {
                    return Err(format!("{place} has a wrong list of {}: {held:?}", own.node));
                }
            }
        }
        Ok(())
    }
}
