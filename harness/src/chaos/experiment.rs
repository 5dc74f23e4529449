//! The setup of an experiment, and which schedules its mesh and engine support.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fault::FaultKind;
use super::generate::ScheduleSpec;
use super::schedule::Schedule;
use crate::cluster::mesh::{Mesh, Ownership};
use crate::cluster::topology::{Member, Topology};
use crate::console::Progress;
use crate::engine::{Engine, Image};
use crate::error::Error;
use crate::verify::suite::READY_LIMIT;

/// Everything that an experiment needs to start its mesh.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The engine that runs all containers.
    pub engine: Engine,
    /// The mesh's topology.
    pub topology: Topology,
    /// The image of all containers.
    pub image: Image,
    /// The image of the netcut helper; `None` if the engine does not support network faults.
    pub netcut: Option<Image>,
    /// Labels of everything that is started.
    pub ownership: Ownership,
    /// Progress output.
    pub progress: Progress,
}

/// The constraints of a schedule for a mesh of `topology`.
pub fn schedule_spec(engine: &Engine, topology: &Topology, duration: Duration) -> ScheduleSpec {
    ScheduleSpec {
        members: members(topology),
        kinds: kinds(engine),
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Checks that `schedule` can be executed on a mesh of `topology`, before the mesh is started.
///
/// # Errors
/// It was made for another mesh, or has faults that the engine does not support.
pub fn accepts(engine: &Engine, topology: &Topology, schedule: &Schedule) -> Result<(), Error> {
    match refusal(schedule, &members(topology), &kinds(engine)) {
        None => Ok(()),
        Some(why) => Err(Error::environment(
            format!(
                "the schedule cannot be replayed on the runtime `{}`: {why}",
                engine.name()
            ),
            "replay it with the topology and the --runtime that it was made for",
        )),
    }
}

/// The kinds of faults that the engine supports.
fn kinds(engine: &Engine) -> BTreeSet<FaultKind> {
    let mut kinds = BTreeSet::from(FaultKind::ALL);
    kinds.retain(|kind| !kind.needs_network() || engine.can_cut_network());
    kinds
}

impl Experiment {
    /// Starts a mesh and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time.
    pub async fn launch(&self, progress: &Progress) -> Result<Mesh, Error> {
        let topology = self.topology.clone();
        let mesh = Mesh::start(&self.engine, topology, &self.image, &self.ownership, progress).await?;
        progress.stage("converging");
        mesh.ready(READY_LIMIT, progress).await?;
        progress.done("all sidecars agree and every path has answered");
        Ok(mesh)
    }
}

/// The members of a topology, each with the service of which it is an instance.
fn members(topology: &Topology) -> BTreeMap<String, Option<String>> {
    let member = |member: &Member| {
        let service = member.role.service().map(str::to_owned);
        (member.name().to_owned(), service)
    };
    topology.members.iter().map(member).collect()
}

/// Why a schedule cannot be executed on a mesh of `members` with faults of `kinds`; `None` if it can.
fn refusal(
    schedule: &Schedule,
    members: &BTreeMap<String, Option<String>>,
    kinds: &BTreeSet<FaultKind>,
) -> Option<String> {
    if schedule.members != *members {
        let (expected, actual) = (describe(&schedule.members), describe(members));
        return Some(format!(
            "it is for a mesh of {expected}, and this one has {actual}"
        ));
    }
    let missing = schedule.kinds();
    let missing: Vec<String> = missing.difference(kinds).map(ToString::to_string).collect();
    (!missing.is_empty()).then(|| format!("it does not support {}", missing.join(", ")))
}

fn describe(members: &BTreeMap<String, Option<String>>) -> String {
    let one = |(name, service): (&String, &Option<String>)| match service {
        Some(service) => format!("{name} (service {service})"),
        None => name.clone(),
    };
    members.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::Fault;
    use crate::cluster::checkout::Checkout;

    #[test]
    fn a_schedule_for_another_mesh_or_runtime_is_refused_with_the_reason() {
        let members = BTreeMap::from([("lb".to_owned(), None), ("one".to_owned(), Some("a".to_owned()))]);
        let member = "lb".to_owned();
        let step = crate::chaos::Step {
            at_ms: 0,
            fault: Fault::CutNode { member },
            heal_after_ms: 1,
        };
        let schedule = Schedule {
            version: 1,
            seed: 0,
            duration_ms: 10,
            members: members.clone(),
            steps: vec![step],
        };
        let all = FaultKind::ALL.into();
        assert_eq!(refusal(&schedule, &members, &all), None);
        let local = BTreeSet::from([FaultKind::Stop]);
        assert_eq!(
            refusal(&schedule, &members, &local).unwrap(),
            "it does not support cut-node"
        );
        let fewer = BTreeMap::from([("lb".to_owned(), None)]);
        assert_eq!(
            refusal(&schedule, &fewer, &all).unwrap(),
            "it is for a mesh of lb, one (service a), and this one has lb"
        );
    }

    #[test]
    fn members_are_listed_with_their_services() {
        let checkout = Checkout::find().unwrap();
        let members = members(&checkout.topology("example").unwrap());
        assert_eq!(
            describe(&members),
            "frontend, lb, service-a (service a), service-a2 (service a), service-b (service b)"
        );
    }
}
