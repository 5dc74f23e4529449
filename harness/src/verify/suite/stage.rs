//! What a scenario works on and with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::OwnedMutexGuard;

use crate::cluster::mesh::{Mesh, Ownership};
use crate::cluster::topology::{Route, Topology};
use crate::engine::{Engine, Image};
use crate::error::Error;
use crate::report::Progress;
use crate::timeline::{Chronicle, Suspect};
use crate::verify::objectives::{Measurements, Promise, Value};
use crate::verify::traffic::{Pace, Recording, Traffic};

/// Time that a mesh may take to be ready.
pub const READY_LIMIT: Duration = Duration::from_secs(30);

/// A mesh in the hands of a scenario: it can be used while the stage is, and goes back when this is dropped.
pub type Held = OwnedMutexGuard<Mesh>;

type Kept = Arc<tokio::sync::Mutex<Mesh>>;

/// What a scenario works on and with.
#[derive(Debug)]
pub struct Stage {
    engine: Engine,
    topology: Topology,
    image: Image,
    ownership: Ownership,
    progress: Progress,
    chronicle: Chronicle,
    shared: Option<Kept>,
    own: Vec<Kept>,
    /// The projects of the meshes that scenarios of now have for their own, those that did not come up included.
    own_projects: Vec<String>,
    /// The name of the scenario that runs.
    scenario: String,
    /// The projects that were removed, and when: what their containers wrote while they were killed is of no interest.
    removed: BTreeMap<String, SystemTime>,
    /// Since when the time until the first mesh is ready counts.
    up_since: Option<Instant>,
    notes: Mutex<Notes>,
}

/// What was noted since the last look.
#[derive(Debug, Default)]
struct Notes {
    measured: Measurements,
    recordings: Vec<Recording>,
    /// When the first line was written that nothing explains.
    trouble: Option<SystemTime>,
}

impl Stage {
    /// A stage for meshes like `topology`, of `image`; all that is made on it belongs to `ownership`.
    pub fn new(
        engine: Engine,
        topology: Topology,
        image: Image,
        ownership: Ownership,
        progress: Progress,
    ) -> Self {
        Self {
            chronicle: Chronicle::start(&engine, &ownership.run, &topology),
            engine,
            topology,
            image,
            ownership,
            progress,
            shared: None,
            own: Vec::new(),
            own_projects: Vec::new(),
            scenario: String::new(),
            removed: BTreeMap::new(),
            up_since: None,
            notes: Mutex::default(),
        }
    }

    /// Measures [`Promise::Up`] from `begun` until the first shared mesh is ready.
    pub fn measure_up(&mut self, begun: Instant) {
        self.up_since = Some(begun);
    }

    /// What runs the containers.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What the meshes are to be.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The image of all containers.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// What all that is made on this stage belongs to.
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// The mesh that scenarios share, which a scenario leaves as it found it; made where there is none, and ready.
    ///
    /// # Errors
    /// It cannot be made, is not ready in time, or is held already.
    pub async fn mesh(&mut self) -> Result<Held, Error> {
        let mesh = match &self.shared {
            Some(mesh) => mesh.clone(),
            None => {
                let (mesh, took) = self.launch(self.topology.clone(), &self.progress).await?;
                self.measure(Promise::Ready, took);
                if let Some(begun) = self.up_since.take() {
                    self.measure(Promise::Up, begun.elapsed());
                }
                let mesh = Arc::new(tokio::sync::Mutex::new(mesh));
                self.shared.insert(mesh).clone()
            }
        };
        hold(mesh)
    }

    /// A mesh of the scenario's own, ready, beside the shared one; `suffix` tells its project apart. It goes when the
    /// scenario is over.
    ///
    /// # Errors
    /// It cannot be made, or is not ready in time.
    pub async fn own_mesh(
        &mut self,
        suffix: &str,
        change: impl FnOnce(Topology) -> Topology,
    ) -> Result<Held, Error> {
        let mut topology = change(self.topology.clone());
        topology.project = format!("{}-{suffix}", topology.project);
        for member in &mut topology.members {
            member.service.container_name = format!("{}-{}", topology.project, member.service.name);
        }
        self.own_projects.push(topology.project.clone());
        let (mesh, took) = self.launch(topology, &Progress::silent()).await?;
        self.measure(Promise::Ready, took);
        let mesh = Arc::new(tokio::sync::Mutex::new(mesh));
        self.own.push(mesh.clone());
        hold(mesh)
    }

    /// Constant traffic on every route of a mesh. Its failures are told when the scenario fails.
    ///
    /// # Errors
    /// A port is not published.
    pub fn traffic(&self, mesh: &Mesh) -> Result<Traffic, Error> {
        Ok(self.traffic_on(&mesh.routes()?, Pace::default()))
    }

    /// The same on some routes, at another pace.
    pub fn traffic_on(&self, routes: &[(Route, SocketAddr)], pace: Pace) -> Traffic {
        let traffic = Traffic::start(routes, pace);
        self.note(|notes| notes.recordings.push(traffic.recording()));
        traffic
    }

    /// Notes a value of what is promised: a `Duration`, a count of requests, or KiB.
    pub fn measure(&self, promise: Promise, value: impl Into<Value>) {
        self.note(|notes| notes.measured.add(promise, value));
    }

    /// Notes failed requests that were under way on a killed or frozen instance.
    pub fn in_flight(&self, failed: usize) {
        self.note(|notes| notes.measured.in_flight += failed);
    }

    /// Notes what the scenario does, with the time.
    pub fn say(&self, text: impl Into<String>) {
        self.chronicle.say(&self.scenario, text);
    }

    /// What was measured since the last look.
    pub fn measured(&self) -> Measurements {
        self.note(|notes| std::mem::take(&mut notes.measured))
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(super) fn chronicle(&self) -> &Chronicle {
        &self.chronicle
    }

    pub(super) fn own_meshes(&self) -> impl Iterator<Item = Kept> {
        self.own.clone().into_iter()
    }

    pub(super) fn shared_mesh(&self) -> Option<Kept> {
        self.shared.clone()
    }

    pub(super) fn begin(&mut self, scenario: &str) {
        scenario.clone_into(&mut self.scenario);
        self.say("begins");
    }

    /// Answers with what its traffic recorded.
    pub(super) fn end(&mut self) -> Vec<Recording> {
        self.say("ends");
        self.note(|notes| std::mem::take(&mut notes.recordings))
    }

    /// The projects that are to be removed: those of the scenario's own meshes, and with `all` the shared one's.
    pub(super) fn take_projects(&mut self, all: bool) -> Vec<String> {
        self.own.clear();
        let mut projects = std::mem::take(&mut self.own_projects);
        if all {
            self.shared = None;
            projects.push(self.topology.project.clone());
        }
        projects
    }

    /// The WARN and ERROR lines that the meshes of now have written since they were judged last.
    pub(super) async fn suspects(&self) -> Vec<Suspect> {
        self.chronicle.catch_up().await;
        let mut suspects = self.chronicle.suspects();
        suspects.retain(|suspect| of_interest(suspect, &self.removed));
        suspects
    }

    pub(super) fn note_trouble(&self, at: Option<SystemTime>) {
        self.note(|notes| notes.trouble = at);
    }

    /// When the first line was written that nothing explains; asked once.
    pub(super) fn take_trouble(&self) -> Option<SystemTime> {
        self.note(|notes| notes.trouble.take())
    }

    /// A project's containers are gone.
    pub(super) fn removed(&mut self, project: String) {
        self.removed.insert(project, SystemTime::now());
    }

    async fn launch(&self, topology: Topology, progress: &Progress) -> Result<(Mesh, Duration), Error> {
        let mesh = Mesh::start(&self.engine, topology, &self.image, &self.ownership, progress).await?;
        progress.stage("converging");
        let took = mesh.ready(READY_LIMIT, progress).await?;
        progress.done("all sidecars agree and every path has answered");
        Ok((mesh, took))
    }

    fn note<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        change(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn hold(mesh: Kept) -> Result<Held, Error> {
    mesh.try_lock_owned().map_err(|_| {
        Error::environment(
            "the scenario asks for a mesh that it holds already",
            "this is a bug in the scenario: keep what `mesh` gave, or drop it first",
        )
    })
}

/// Whether a line is from a container that is there, or that was there until its scenario was over.
fn of_interest(suspect: &Suspect, removed: &BTreeMap<String, SystemTime>) -> bool {
    removed.iter().all(|(project, at)| {
        let name = suspect.container.strip_prefix(project.as_str());
        suspect.at > *at || !name.is_some_and(|name| name.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mesh_writes_while_it_is_removed_is_of_no_interest() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let removed = BTreeMap::from([("mesh-1-own".to_owned(), at(10))]);
        let interesting = |container: &str, seconds| {
            let suspect = Suspect {
                at: at(seconds),
                container: container.to_owned(),
                line: String::new(),
            };
            of_interest(&suspect, &removed)
        };
        assert!(!interesting("mesh-1-own-lb", 9));
        assert!(interesting("mesh-1-own-lb", 11), "a later mesh of that name");
        assert!(interesting("mesh-1-lb", 9), "the mesh beside it");
        assert!(interesting("mesh-1-owner-lb", 9), "another mesh beside it");
    }
}
