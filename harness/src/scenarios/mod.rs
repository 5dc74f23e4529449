//! The checks of a mesh, one file each. Each has a mesh that is ready, and leaves it as it found it.

mod alternation;
mod graceful_stop;
mod paths;
mod rejoin;
mod topology;
mod weights;

use crate::suite::{Needs, Scenario};

/// Every scenario, in the order in which they run.
pub static ALL: &[Scenario] = &[
    Scenario {
        name: "topology",
        about: "five containers from one image, a sidecar as each one's first process, ports as described",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(topology::run(stage)),
    },
    Scenario {
        name: "paths",
        about: "every path answers with the service that was asked for, from one of its containers",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(paths::run(stage)),
    },
    Scenario {
        name: "alternation",
        about: "two equal instances take turns on every path",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(alternation::run(stage)),
    },
    Scenario {
        name: "weights",
        about: "instances of weight 15 and 10 get exactly 15 and 10 of 25 requests, interleaved",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(weights::run(stage)),
    },
    Scenario {
        name: "graceful_stop",
        about: "an instance is stopped under constant traffic and no request fails",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(graceful_stop::run(stage)),
    },
    Scenario {
        name: "rejoin",
        about: "a stopped instance comes back under constant traffic, takes its turns, and no request fails",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(rejoin::run(stage)),
    },
];
