//! The context of a scenario: meshes, traffic, measurements, and the timeline.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tokio::sync::OwnedMutexGuard;

use crate::cluster::mesh::{Mesh, Ownership};
use crate::cluster::topology::{Route, Topology};
use crate::console::Progress;
use crate::engine::{Engine, Image};
use crate::error::Error;
use crate::timeline::{ProblemLine, Timeline};
use crate::verify::objectives::{Measurements, Objective, Value};
use crate::verify::traffic::{Clients, Pace, Recording, Traffic};

/// Timeout for a started mesh to become ready.
pub const READY_LIMIT: Duration = Duration::from_secs(30);

/// Exclusive access to a mesh, held by the scenario until it is dropped.
pub type MeshGuard = OwnedMutexGuard<Mesh>;

type SharedMesh = Arc<tokio::sync::Mutex<Mesh>>;

/// The context of a scenario. Everything that it starts carries the run's labels and is removed with the run.
#[derive(Debug)]
pub struct Context {
    engine: Engine,
    topology: Topology,
    image: Image,
    ownership: Ownership,
    progress: Progress,
    timeline: Timeline,
    shared: Option<SharedMesh>,
    own: Vec<SharedMesh>,
    /// Projects of the scenario's own meshes, including those that failed to start.
    own_projects: Vec<String>,
    /// Directories of the scenario's files.
    directories: Vec<TempDir>,
    /// Name of the current scenario.
    scenario: String,
    /// Removed projects and the time of their removal: log lines written during the removal are ignored.
    removed: BTreeMap<String, SystemTime>,
    /// Start of the measurement of [`Objective::Up`].
    up_since: Option<Instant>,
    notes: Mutex<Notes>,
}

/// What the current scenario recorded.
#[derive(Debug, Default)]
struct Notes {
    measured: Measurements,
    recordings: Vec<Recording>,
    /// Time of the first unexpected log line.
    first_problem: Option<SystemTime>,
}

impl Context {
    /// A context for meshes of `topology`, whose containers run `image` and carry the labels of `ownership`.
    pub fn new(
        engine: Engine,
        topology: Topology,
        image: Image,
        ownership: Ownership,
        progress: Progress,
    ) -> Self {
        Self {
            timeline: Timeline::start(&engine, &ownership.run, &topology),
            engine,
            topology,
            image,
            ownership,
            progress,
            shared: None,
            own: Vec::new(),
            own_projects: Vec::new(),
            directories: Vec::new(),
            scenario: String::new(),
            removed: BTreeMap::new(),
            up_since: None,
            notes: Mutex::default(),
        }
    }

    /// Measures [`Objective::Up`] from `started_at` until the shared mesh is ready.
    pub fn measure_up(&mut self, started_at: Instant) {
        self.up_since = Some(started_at);
    }

    /// The engine that runs all containers.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The topology of the shared mesh, and the base of the scenarios' own.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The image of all containers.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The run's labels.
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// The mesh shared by all scenarios, ready; started on first use. A scenario must leave it as it found it.
    ///
    /// # Errors
    /// It cannot be started, is not ready in time, or is already held.
    pub async fn mesh(&mut self) -> Result<MeshGuard, Error> {
        let mesh = match &self.shared {
            Some(mesh) => mesh.clone(),
            None => {
                let (mesh, took) = self.launch(self.topology.clone(), &self.progress).await?;
                self.measure(Objective::Ready, took);
                if let Some(started_at) = self.up_since.take() {
                    self.measure(Objective::Up, started_at.elapsed());
                }
                let mesh = Arc::new(tokio::sync::Mutex::new(mesh));
                self.shared.insert(mesh).clone()
            }
        };
        hold(mesh)
    }

    /// A second, private mesh, ready, with the topology that `change` returns. Its project's name ends with `suffix`.
    /// It is removed after the scenario.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time.
    pub async fn own_mesh(
        &mut self,
        suffix: &str,
        change: impl FnOnce(Topology) -> Topology,
    ) -> Result<MeshGuard, Error> {
        let topology = change(self.topology.clone());
        let project = format!("{}-{suffix}", topology.project);
        let topology = topology.with_project(&project);
        self.own_projects.push(topology.project.clone());
        let (mesh, took) = self.launch(topology, &Progress::silent()).await?;
        self.measure(Objective::Ready, took);
        let mesh = Arc::new(tokio::sync::Mutex::new(mesh));
        self.own.push(mesh.clone());
        hold(mesh)
    }

    /// A directory for files of the scenario's own meshes, which stays until they are removed.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn directory(&mut self) -> Result<PathBuf, Error> {
        let created = tempfile::tempdir().map_err(|error| {
            let what = format!("cannot create a temporary directory: {error}");
            Error::environment(
                what,
                "make room in the directory that TMPDIR names, by default /tmp",
            )
        })?;
        let path = created.path().to_owned();
        self.directories.push(created);
        Ok(path)
    }

    /// Starts constant traffic of these kinds of clients on every route of a mesh. If the scenario fails, its failed requests
    /// are reported.
    ///
    /// # Errors
    /// A route's port is not published.
    pub fn traffic(&self, mesh: &Mesh, kinds: &[Clients]) -> Result<Traffic, Error> {
        Ok(self.traffic_on(&mesh.routes()?, kinds, Pace::default()))
    }

    /// Starts constant traffic on the given routes.
    pub fn traffic_on(&self, routes: &[(Route, SocketAddr)], kinds: &[Clients], pace: Pace) -> Traffic {
        let traffic = Traffic::start(routes, kinds, pace);
        self.note(|notes| notes.recordings.push(traffic.recording()));
        traffic
    }

    /// Records a value of an objective: a `Duration`, a number of requests, or KiB.
    pub fn measure(&self, objective: Objective, value: impl Into<Value>) {
        self.note(|notes| notes.measured.add(objective, value));
    }

    /// Counts failed requests that were in flight on a killed or frozen instance; no objective covers them.
    pub fn count_in_flight(&self, failed: usize) {
        self.note(|notes| notes.measured.in_flight += failed);
    }

    /// Adds a line about the scenario's progress to the timeline.
    pub fn say(&self, text: impl Into<String>) {
        self.timeline.say(&self.scenario, text);
    }

    /// Takes the values measured since the last call.
    pub fn take_measured(&self) -> Measurements {
        self.note(|notes| std::mem::take(&mut notes.measured))
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(super) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    pub(super) fn own_meshes(&self) -> impl Iterator<Item = SharedMesh> {
        self.own.clone().into_iter()
    }

    pub(super) fn shared_mesh(&self) -> Option<SharedMesh> {
        self.shared.clone()
    }

    pub(super) fn begin(&mut self, scenario: &str) {
        scenario.clone_into(&mut self.scenario);
        // Of the scenario before, whose meshes have been removed.
        self.directories.clear();
        self.say("begins");
    }

    /// Ends the scenario and returns the recordings of its traffic.
    pub(super) fn end(&mut self) -> Vec<Recording> {
        self.say("ends");
        self.note(|notes| std::mem::take(&mut notes.recordings))
    }

    /// The projects to remove: those of the scenario's own meshes and, if `all`, that of the shared mesh.
    pub(super) fn take_projects(&mut self, all: bool) -> Vec<String> {
        self.own.clear();
        let mut projects = std::mem::take(&mut self.own_projects);
        if all {
            self.shared = None;
            projects.push(self.topology.project.clone());
        }
        projects
    }

    /// Takes the WARN and ERROR lines written by existing meshes since the last call.
    pub(super) async fn take_problem_lines(&self) -> Vec<ProblemLine> {
        self.timeline.catch_up().await;
        let mut problem_lines = self.timeline.take_problem_lines();
        problem_lines.retain(|problem| is_relevant(problem, &self.removed));
        problem_lines
    }

    pub(super) fn note_first_problem(&self, at: Option<SystemTime>) {
        self.note(|notes| notes.first_problem = at);
    }

    /// Takes the time of the first unexpected log line.
    pub(super) fn take_first_problem(&self) -> Option<SystemTime> {
        self.note(|notes| notes.first_problem.take())
    }

    /// Notes that a project's containers have been removed.
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

fn hold(mesh: SharedMesh) -> Result<MeshGuard, Error> {
    mesh.try_lock_owned().map_err(|_| {
        Error::environment(
            "the scenario requested a mesh that it already holds",
            "this is a bug in the scenario: keep the guard that `mesh` returned, or drop it first",
        )
    })
}

/// Whether the line was written before its project's removal began. Projects are matched by container name.
fn is_relevant(problem: &ProblemLine, removed: &BTreeMap<String, SystemTime>) -> bool {
    removed.iter().all(|(project, at)| {
        let name = problem.container.strip_prefix(project.as_str());
        problem.at > *at || !name.is_some_and(|name| name.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_written_while_a_mesh_is_removed_are_ignored() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let removed = BTreeMap::from([("mesh-1-own".to_owned(), at(10))]);
        let relevant = |container: &str, seconds| {
            let problem = ProblemLine {
                at: at(seconds),
                container: container.to_owned(),
                line: String::new(),
            };
            is_relevant(&problem, &removed)
        };
        assert!(!relevant("mesh-1-own-lb", 9));
        assert!(relevant("mesh-1-own-lb", 11), "a later mesh of the same name");
        assert!(relevant("mesh-1-lb", 9), "the shared mesh");
        assert!(
            relevant("mesh-1-owner-lb", 9),
            "a mesh whose name only begins like it"
        );
    }
}
