//! One scenario from start to end: the run, the checks after it, and the failure message.

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;

use super::{Context, Scenario, Verdict};
use crate::cluster::checkout::Checkout;
use crate::cluster::cleanup;
use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Topology;
use crate::console::Progress;
use crate::engine::label;
use crate::error::{Error, check};
use crate::invocation::command_line;
use crate::timeline::{self, Window, unexpected};
use crate::verify::conntrack;
use crate::verify::objectives::Objective;
use crate::verify::traffic::Recording;

/// Timeout for one scenario.
const LIMIT: Duration = Duration::from_secs(180);
/// Timeout for the views to converge after a scenario.
const CONVERGENCE_LIMIT: Duration = Duration::from_secs(10);
/// Timeline shown around the first failed request and the first unexpected log line: before and after.
const AROUND_PROBLEM: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(5));
/// Timeline shown around the failed check: before and after.
const AROUND_CHECK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

impl Context {
    /// Runs one scenario, shown as `title` in the progress, and checks that all meshes are healthy afterwards. Removes
    /// its private meshes. After a failure removes the shared mesh too, so that the next scenario starts a new one;
    /// with `keep`, leaves all meshes running, and no other scenario can run.
    pub async fn run(&mut self, scenario: &Scenario, title: &str, keep: bool) -> Verdict {
        let started_at = SystemTime::now();
        self.begin(scenario.name);
        let mut result = self.attempt(scenario, title).await;
        if result.is_ok() {
            result = self.check_afterwards(scenario).await;
        }
        let ended = SystemTime::now();
        let recordings = self.end();
        let verdict = match result {
            Ok(()) => Verdict::Held,
            Err(error) => {
                let mesh_failed = matches!(error, Error::Check(_));
                let message = self
                    .failure_message(scenario, error, &recordings, started_at, ended)
                    .await;
                if mesh_failed {
                    Verdict::Failed { message }
                } else {
                    Verdict::Error { message }
                }
            }
        };
        if keep && verdict != Verdict::Held {
            return verdict;
        }
        match (self.clear(verdict != Verdict::Held).await, verdict) {
            (Ok(()), verdict) => verdict,
            (Err(error), Verdict::Failed { message }) => Verdict::Failed {
                message: format!("{message}\n  some resources could not be removed: {error}"),
            },
            (Err(error), _) => Verdict::Error {
                message: error.to_string(),
            },
        }
    }

    async fn attempt(&mut self, scenario: &Scenario, title: &str) -> Result<(), Error> {
        conntrack::check()?;
        // Starts the shared mesh first, because its start has its own progress stages.
        drop(self.mesh().await?);
        self.progress().stage(title);
        self.progress().note(scenario.about);
        let work = AssertUnwindSafe((scenario.run)(self)).catch_unwind();
        match tokio::time::timeout(LIMIT, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::environment(
                "the harness panicked, see above",
                "this is a bug in the harness: please report it with this output",
            )),
            Err(_) => check(
                false,
                format!("the scenario ends within {LIMIT:?}"),
                "it is still running",
            ),
        }
    }

    /// The checks after every scenario: the views converge, the shared mesh is unchanged, no unexpected log line.
    async fn check_afterwards(&self, scenario: &Scenario) -> Result<(), Error> {
        for mesh in self.own_meshes() {
            mesh.lock().await.converged(CONVERGENCE_LIMIT).await?;
        }
        if let Some(mesh) = self.shared_mesh() {
            let mesh = mesh.lock().await;
            has_members_of(&mesh, self.topology())?;
            mesh.ready(CONVERGENCE_LIMIT, &Progress::silent()).await?;
        }
        let unexpected = unexpected(self.take_problem_lines().await, scenario.allows);
        self.note_first_problem(unexpected.first().map(|problem| problem.at));
        let lines: Vec<String> = unexpected
            .into_iter()
            .map(|problem| format!("{}: {}", problem.container, problem.line))
            .collect();
        check(
            lines.is_empty(),
            format!(
                "no WARN or ERROR line in any log except those containing {:?}",
                scenario.allows
            ),
            lines.join("\n"),
        )
    }

    /// The complete failure message: what was expected, the logs, the failed requests, and the timeline's file.
    async fn failure_message(
        &self,
        scenario: &Scenario,
        mut error: Error,
        recordings: &[Recording],
        started_at: SystemTime,
        ended: SystemTime,
    ) -> String {
        for mesh in self.own_meshes().chain(self.shared_mesh()) {
            error = mesh.lock().await.with_logs(error).await;
        }
        let mut message = match error {
            Error::Check(failure) => failure.to_string(),
            other => other.to_string(),
        };
        // Writing to a String does not fail.
        for summary in recordings
            .iter()
            .map(|recording| recording.read(|record| record.summary()))
        {
            let _ = write!(message, "\n  traffic: {}", summary.replace('\n', "\n    "));
        }
        self.timeline().catch_up().await;
        let mut windows = vec![Window::around(ended, AROUND_CHECK.0, AROUND_CHECK.1)];
        let first_failure = recordings
            .iter()
            .filter_map(|recording| recording.first_failure(started_at))
            .min();
        let moments = first_failure.into_iter().chain(self.take_first_problem());
        windows.extend(moments.map(|at| Window::around(at, AROUND_PROBLEM.0, AROUND_PROBLEM.1)));
        let about = format!("{} does not hold: {}\n{message}", scenario.name, scenario.about);
        let written = async {
            let directory = timeline::directory(&Checkout::find()?);
            let path = timeline::file(&directory, ended, scenario.name);
            let requests = recordings.iter().flat_map(Recording::timeline_entries).collect();
            let written = self.timeline().write(&path, &about, &windows, requests).await;
            let advice = "check the directory's owner and the free space";
            written.map_err(|error| Error::environment(format!("{}: {error}", path.display()), advice))?;
            Ok::<_, Error>(path)
        };
        let _ = match written.await {
            Ok(path) => {
                let why = command_line(["why", &path.to_string_lossy()]);
                write!(message, "\n  timeline: {why}")
            }
            Err(error) => write!(message, "\n  the timeline could not be written: {error}"),
        };
        message
    }

    /// Ends one run of the suite: measures the memory of the shared mesh's idle sidecars and, if `remove`, removes the
    /// mesh, so that the next run starts a new one.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn finish(&mut self, remove: bool) -> Result<(), Error> {
        if let Some(mesh) = self.shared_mesh() {
            self.progress().stage("memory");
            for (_, kib) in mesh.lock().await.sidecar_memory().await? {
                self.measure(Objective::Memory, kib);
            }
            self.progress().done("read");
        }
        if remove {
            self.clear(true).await?;
        }
        Ok(())
    }

    /// Removes the scenario's private meshes and, if `all`, the shared mesh.
    async fn clear(&mut self, all: bool) -> Result<(), Error> {
        for project in self.take_projects(all) {
            cleanup::remove_labelled(self.engine(), label::PROJECT, &project).await?;
            self.removed(project);
        }
        Ok(())
    }
}

/// Checks that the shared mesh has exactly the members of `topology`.
fn has_members_of(mesh: &Mesh, topology: &Topology) -> Result<(), Error> {
    let left: Vec<&str> = mesh
        .nodes()
        .iter()
        .filter(|node| node.wanted)
        .map(|node| node.member.name())
        .collect();
    let found: Vec<&str> = topology.members.iter().map(|member| member.name()).collect();
    let same = left.len() == found.len() && found.iter().all(|name| left.contains(name));
    check(
        same,
        format!(
            "the scenario leaves the shared mesh as it found it: {}",
            found.join(", ")
        ),
        left.join(", "),
    )
}
