//! The order in which targets that are not near are searched.
//!
//! Every second visit goes to the nearest target left, because peers are near. The visits between leap further, and
//! each node leaps to other targets: through nodes that know some far away, all of a large mesh soon know all. With
//! the nearest targets alone, news would travel from neighbour to neighbour.

use std::net::SocketAddr;
use std::ops::Range;

use rand::RngExt;
use rand::rngs::StdRng;

use super::targets::Search;

/// One visit of each target of a range; it can be restarted.
#[derive(Debug)]
pub(super) struct Sweep {
    search: Search,
    targets: Range<u64>,
    /// Ranges left, the nearest first.
    left: Vec<Range<u64>>,
    visits: usize,
}

impl Sweep {
    /// A sweep of targets that begin with the first port of an address.
    pub(super) fn new(search: Search, targets: Range<u64>, rng: &mut StdRng) -> Self {
        let mut sweep = Self {
            search,
            targets,
            left: Vec::new(),
            visits: 0,
        };
        sweep.restart(rng);
        sweep
    }

    /// Divides the targets into parts, each ending at most twice as far away as it begins. Leaps take the parts in
    /// turn, so that each order of magnitude of distance gets as many.
    pub(super) fn restart(&mut self, rng: &mut StdRng) {
        self.visits = 0;
        self.left.clear();
        let ports = self.search.ports();
        let Range { mut start, end } = self.targets;
        while start < end {
            let addresses = rng.random_range(1..=(start / ports).max(1));
            let part = start..end.min(start + addresses * ports);
            start = part.end;
            self.left.push(part);
        }
    }

    /// Skips the targets before this one, unless no other would be left.
    pub(super) fn leave_out_before(&mut self, target: u64) {
        if self.targets.end <= target {
            return;
        }
        for part in &mut self.left {
            part.start = part.start.max(target);
        }
        self.left.retain(|part| !part.is_empty());
    }

    /// Whether no target before this one is left.
    pub(super) fn has_only_from(&self, target: u64) -> bool {
        self.left.first().is_none_or(|nearest| nearest.start >= target)
    }

    /// The next targets: those of one address, at most `most`. None once the sweep is over.
    pub(super) fn take(&mut self, most: usize) -> Vec<SocketAddr> {
        let leaps = self.visits % 2 == 1 && self.left.len() > 1;
        let part = if leaps {
            1 + self.visits / 2 % (self.left.len() - 1)
        } else {
            0
        };
        self.visits += 1;
        let Some(part) = self.left.get_mut(part) else {
            return Vec::new();
        };
        let search = self.search;
        let targets = part
            .filter_map(|number| search.target(number))
            .take(search.ports_at_once(most))
            .collect();
        self.left.retain(|part| !part.is_empty());
        targets
    }
}
