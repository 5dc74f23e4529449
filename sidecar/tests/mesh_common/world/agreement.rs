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

    /// Runs until all that live and are not frozen agree, each side of a partition in itself. The time that
    /// took, to a tenth of a second; none where it took longer than the limit.
    pub(crate) fn agreed_after(&mut self, limit: Duration) -> Result<Duration, String> {
        const STEP: Duration = Duration::from_millis(100);
        let begin = self.now;
        loop {
            let Err(why) = self.sides_agree() else {
                return Ok(self.now - begin);
            };
            if self.now - begin >= limit {
                return Err(why);
            }
            self.run_for(STEP);
        }
    }

    /// How many nodes a node knows and holds to be up, on average, itself included.
    pub(crate) fn progress(&self) -> (usize, usize) {
        let memberships = || self.living.values().map(|living| living.protocol.membership());
        let known: usize = memberships().map(|membership| membership.peers().len() + 1).sum();
        let up: usize = memberships().map(|membership| membership.healthy().len()).sum();
        let nodes = self.living.len().max(1);
        (known / nodes, up / nodes)
    }

    /// Checks that each side of a partition agrees in itself.
    pub(crate) fn agree_per_side(&self) {
        if let Err(why) = self.sides_agree() {
            panic!("seed {}: one side disagrees: {why}", self.seed);
        }
    }

    fn sides_agree(&self) -> Result<(), String> {
        [true, false].into_iter().try_for_each(|side| {
            let of_side = |place: &Place| self.one_side.contains(place) == side;
            self.agree_among(&self.awake().filter(of_side).collect())
        })
    }

    /// Fails where any node still knows one at this place.
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

    /// How many nodes are known at a place, whatever their health.
    pub(crate) fn known_names(&self, place: Place) -> usize {
        self.living[&place].protocol.membership().peers().count() + 1
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
        let lists: Vec<_> = places
            .iter()
            .map(|place| self.living[place].protocol.directory().local())
            .collect();
        for place in places {
            let protocol = &self.living[place].protocol;
            if !protocol.membership().healthy().iter().eq(nodes.iter().copied()) {
                let seen: BTreeSet<&Node> = protocol.membership().healthy().iter().collect();
                let lacks: Vec<_> = nodes.difference(&seen).collect();
                let ghosts: Vec<_> = seen.difference(&nodes).collect();
                let known: Vec<_> = protocol.membership().peers().filter(|m| !m.is_up()).collect();
                return Err(format!(
                    "{place} lacks {lacks:?}, has ghosts {ghosts:?}, holds as down {known:?}"
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
