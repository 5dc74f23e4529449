//! The checks of a mesh, one file each. Each has a mesh that is ready, and leaves it as it found it.

mod alternation;
mod balancers_restart;
mod compose_interop;
mod graceful_stop;
mod outside;
mod paths;
mod rejoin;
mod rolling_restart;
mod scale;
mod side_by_side;
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
    Scenario {
        name: "rolling_restart",
        about: "every service container is restarted under constant traffic and no request fails",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(rolling_restart::run(stage)),
    },
    Scenario {
        name: "balancers_restart",
        about: "the frontend and the load balancer restart, requests under way finish, the other ways go on",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(balancers_restart::run(stage)),
    },
    Scenario {
        name: "scale",
        about: "an instance is added and removed under constant traffic, takes strict turns, and no request fails",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(scale::run(stage)),
    },
    Scenario {
        name: "outside",
        about: "a destination that is no server group is refused at once, and the reason is told",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(outside::run(stage)),
    },
    Scenario {
        name: "side_by_side",
        about: "two meshes side by side never meet, and each serves its own instances only",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(side_by_side::run(stage)),
    },
    Scenario {
        name: "compose_interop",
        about: "the harness and Compose see and stop what the other started",
        needs: Needs::COMPOSE,
        allows: &[],
        run: |stage| Box::pin(compose_interop::run(stage)),
    },
];
