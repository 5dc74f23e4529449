//! Whether all nodes see the same.

use std::collections::BTreeSet;
use std::time::Duration;

use sidecar::mesh::wire::Node;

use super::{Place, World};

impl World {
    /// Runs until all that live and are not frozen agree, and that they know exactly one another; fails
    /// after the given simulated time.
    pub(crate) fn agree_within(&mut self, time: Duration) {
        let end = self.now + time;
        self.changed = true;
        loop {
            if std::mem::take(&mut self.changed) && self.agree().is_ok() {
                return;
            }
            if !self.step(end) {
                let why = self.agree().expect_err("it was looked at after the last change");
                panic!(
                    "seed {}: no agreement {time:?} later, at {:?}: {why}",
                    self.seed, self.now
                );
            }
        }
    }

    /// Checks that each side of a partition agrees in itself.
    pub(crate) fn agree_per_side(&self) {
        for side in [true, false] {
            let places = self
                .awake()
                .filter(|place| self.one_side.contains(place) == side)
                .collect();
            if let Err(why) = self.agree_among(&places) {
                panic!("seed {}: one side disagrees: {why}", self.seed);
            }
        }
    }

    /// Fails where any node still knows one at this place.
    pub(crate) fn assert_forgotten(&self, place: Place) {
        for (witness, living) in &self.living {
            let mut members = living.protocol.membership().members();
            let known = members.find(|member| member.node.address() == place);
            assert!(
                known.is_none(),
                "seed {}: {witness} still knows {known:?} at {:?}",
                self.seed,
                self.now
            );
        }
    }

    /// How many nodes are known at a place, whatever their health.
    pub(crate) fn known_names(&self, place: Place) -> usize {
        self.living[&place].protocol.membership().members().count() + 1
    }

    fn awake(&self) -> impl Iterator<Item = Place> {
        self.living
            .iter()
            .filter(|(_, living)| !living.frozen)
            .map(|(place, _)| *place)
    }

    fn agree(&self) -> Result<(), String> {
        self.agree_among(&self.awake().collect())
    }

    fn agree_among(&self, places: &BTreeSet<Place>) -> Result<(), String> {
        let nodes: BTreeSet<&Node> = places
            .iter()
            .map(|p| self.living[p].protocol.membership().own())
            .collect();
        for place in places {
            let protocol = &self.living[place].protocol;
            let seen: BTreeSet<&Node> = protocol.membership().healthy().iter().collect();
            if seen != nodes {
                let lacks: Vec<_> = nodes.difference(&seen).collect();
                let ghosts: Vec<_> = seen.difference(&nodes).collect();
                let known: Vec<_> = protocol.membership().members().filter(|m| !m.up).collect();
                return Err(format!(
                    "{place} lacks {lacks:?}, has ghosts {ghosts:?}, holds as down {known:?}"
                ));
            }
            for other in places {
                let own = self.living[other].protocol.directory().local();
                let held = protocol.directory().services(&own.node);
                if held != Some(&own.khala_nodes) {
                    return Err(format!("{place} has a wrong list of {other}: {held:?}"));
                }
            }
        }
        Ok(())
    }
}
