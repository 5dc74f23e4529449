//! The checks of a mesh, one file each. Each has a mesh that is ready, and leaves it as it found it.

mod all_gone;
mod alternation;
mod balancers_restart;
mod compose_interop;
mod faulty;
mod freeze;
mod graceful_stop;
mod kill;
mod one_instance;
mod outside;
mod partition;
mod paths;
mod recreate;
mod refusal;
mod rejoin;
mod rolling_restart;
mod scale;
mod side_by_side;
mod topology;
mod unreachable;
mod weights;

use crate::verify::suite::{Needs, Scenario};

/// Every scenario, in the order in which they run.
pub static ALL: &[Scenario] = &[
    Scenario {
        name: "topology",
        about: "five containers from one image, the sidecar as the first process of each, ports as described",
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
        name: "one_instance",
        about: "a service with one instance is answered by it on every path",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(one_instance::run(stage)),
    },
    Scenario {
        name: "all_gone",
        about: "requests to a service without instances fail at once and say why, and the other service is unaffected",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(all_gone::run(stage)),
    },
    Scenario {
        name: "kill",
        about: "an instance is killed under constant traffic and only the requests in flight on it fail",
        needs: Needs::NOTHING,
        allows: &["discovery: lost"],
        run: |stage| Box::pin(kill::run(stage)),
    },
    Scenario {
        name: "freeze",
        about: "an instance freezes under constant traffic and only the requests sent to it before that was noticed fail",
        needs: Needs::NOTHING,
        allows: &["discovery: lost"],
        run: |stage| Box::pin(freeze::run(stage)),
    },
    Scenario {
        name: "recreate",
        about: "a container recreated under its old name takes its turns, and the old one is forgotten",
        needs: Needs::NOTHING,
        allows: &["discovery: lost"],
        run: |stage| Box::pin(recreate::run(stage)),
    },
    Scenario {
        name: "partition",
        about: "each side of a mesh cut in two serves what it has, and the mesh is whole again after the cut",
        needs: Needs::DOCKER,
        allows: &["discovery: lost"],
        run: |stage| Box::pin(partition::run(stage)),
    },
    Scenario {
        name: "unreachable",
        about: "an instance that one member can no longer reach is skipped there, and no request fails",
        needs: Needs::DOCKER,
        allows: &["discovery: lost"],
        run: |stage| Box::pin(unreachable::run(stage)),
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
        about: "the frontend and the load balancer restart, requests in flight finish, and the other paths keep working",
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
        about: "a name or an address outside the mesh is refused at once, with the reason",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(outside::run(stage)),
    },
    Scenario {
        name: "side_by_side",
        about: "two meshes side by side never meet, and each serves only its own instances",
        needs: Needs::NOTHING,
        allows: &[],
        run: |stage| Box::pin(side_by_side::run(stage)),
    },
    Scenario {
        name: "compose_interop",
        about: "the harness and Compose each see and stop what the other started",
        needs: Needs::COMPOSE,
        allows: &[],
        run: |stage| Box::pin(compose_interop::run(stage)),
    },
];
