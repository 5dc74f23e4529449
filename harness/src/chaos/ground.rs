//! What a mesh that is to endure faults is made of, and which schedules can be done to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fault::Kind;
use super::generate::Plan;
use super::schedule::Schedule;
use crate::cluster::mesh::{Mesh, Ownership};
use crate::cluster::topology::{Member, Topology};
use crate::engine::{Engine, Image};
use crate::error::Error;
use crate::report::Progress;
use crate::verify::suite::READY_LIMIT;

/// What meshes are made of.
#[derive(Debug, Clone)]
pub struct Ground {
    /// What runs them.
    pub engine: Engine,
    /// What they are to be.
    pub topology: Topology,
    /// The image of all containers.
    pub image: Image,
    /// The image of what cuts the network; none where that cannot be done.
    pub netcut: Option<Image>,
    /// What they belong to.
    pub ownership: Ownership,
    /// Who hears of it.
    pub progress: Progress,
}

/// What a schedule can be made for on a mesh of `topology`.
pub fn plan(engine: &Engine, topology: &Topology, duration: Duration) -> Plan {
    Plan {
        members: members(topology),
        kinds: kinds(engine),
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Whether `schedule` can be done to a mesh of `topology`, which need not be there yet.
///
/// # Errors
/// It was made for another mesh, or has faults that the runtime does not do.
pub fn accepts(engine: &Engine, topology: &Topology, schedule: &Schedule) -> Result<(), Error> {
    match refusal(schedule, &members(topology), &kinds(engine)) {
        None => Ok(()),
        Some(why) => Err(Error::environment(
            format!(
                "the schedule cannot be replayed on the runtime `{}`: {why}",
                engine.name()
            ),
            "replay it with the mesh and the --runtime that it was made for",
        )),
    }
}

/// The faults that can be done there.
fn kinds(engine: &Engine) -> BTreeSet<Kind> {
    let mut kinds = BTreeSet::from(Kind::ALL);
    kinds.retain(|kind| !kind.needs_network() || engine.can_cut_network());
    kinds
}

impl Ground {
    /// A mesh that is ready.
    ///
    /// # Errors
    /// It cannot be made, or is not ready in time.
    pub async fn launch(&self, progress: &Progress) -> Result<Mesh, Error> {
        let topology = self.topology.clone();
        let mesh = Mesh::start(&self.engine, topology, &self.image, &self.ownership, progress).await?;
        progress.stage("converging");
        mesh.ready(READY_LIMIT, progress).await?;
        progress.done("all sidecars agree and every path has answered");
        Ok(mesh)
    }
}

/// The members of a mesh, each with the service that it offers an instance of.
fn members(topology: &Topology) -> BTreeMap<String, Option<String>> {
    let member = |member: &Member| {
        let service = member.role.service().map(str::to_owned);
        (member.name().to_owned(), service)
    };
    topology.members.iter().map(member).collect()
}

/// Why a schedule cannot be done to a mesh of `members` that can be broken in the ways `kinds`.
fn refusal(
    schedule: &Schedule,
    members: &BTreeMap<String, Option<String>>,
    kinds: &BTreeSet<Kind>,
) -> Option<String> {
    if schedule.members != *members {
        let (theirs, ours) = (told(&schedule.members), told(members));
        return Some(format!("it is for a mesh of {theirs}, and this one is of {ours}"));
    }
    let lacking = schedule.kinds();
    let lacking: Vec<String> = lacking.difference(kinds).map(ToString::to_string).collect();
    (!lacking.is_empty()).then(|| format!("it cannot {}", lacking.join(", ")))
}

fn told(members: &BTreeMap<String, Option<String>>) -> String {
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
    fn a_schedule_for_another_mesh_or_runtime_is_refused_and_says_why() {
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
        let all = Kind::ALL.into();
        assert_eq!(refusal(&schedule, &members, &all), None);
        let local = BTreeSet::from([Kind::Stop]);
        assert_eq!(
            refusal(&schedule, &members, &local).unwrap(),
            "it cannot cut-node"
        );
        let fewer = BTreeMap::from([("lb".to_owned(), None)]);
        assert_eq!(
            refusal(&schedule, &fewer, &all).unwrap(),
            "it is for a mesh of lb, one (service a), and this one is of lb"
        );
    }

    #[test]
    fn the_examples_members_and_their_services_are_known() {
        let checkout = Checkout::find().unwrap();
        let members = members(&checkout.topology("example").unwrap());
        assert_eq!(
            told(&members),
            "frontend, lb, service-a (service a), service-a2 (service a), service-b (service b)"
        );
    }
}
