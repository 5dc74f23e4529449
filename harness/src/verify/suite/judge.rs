//! One scenario from begin to end: run, looked at afterwards, and told with all that explains a failure.

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;

use super::{Scenario, Stage};
use crate::cluster::checkout::Checkout;
use crate::cluster::cleanup;
use crate::cluster::mesh::Mesh;
use crate::engine::label;
use crate::error::{Error, check};
use crate::report::{Progress, Verdict};
use crate::timeline::{self, Window, unexpected};
use crate::verify::conntrack;
use crate::verify::objectives::Promise;
use crate::verify::traffic::Recording;

/// Time that a scenario may take.
const LIMIT: Duration = Duration::from_secs(180);
/// Time that the views have to agree when a scenario is over.
const AGREEMENT_LIMIT: Duration = Duration::from_secs(10);
/// What is told in full around the first failed request and the first unexpected line: before and after it.
const AROUND: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(5));
/// What is told in full around the moment at which the check failed.
const AT_THE_END: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

impl Stage {
    /// Runs one scenario, which progress calls `title`, and then looks whether all meshes are as they should be. Its own meshes go. After a failure
    /// the shared one goes too, and the next scenario gets a new one; with `keep` all stay, and no other scenario can
    /// be run.
    pub async fn run(&mut self, scenario: &Scenario, title: &str, keep: bool) -> Verdict {
        let begun = SystemTime::now();
        self.begin(scenario.name);
        let mut result = self.attempt(scenario, title).await;
        if result.is_ok() {
            result = self.look_after(scenario).await;
        }
        let ended = SystemTime::now();
        let recordings = self.end();
        let verdict = match result {
            Ok(()) => Verdict::Held,
            Err(error) => {
                let at_fault = matches!(error, Error::Check(_));
                let message = self.told(scenario, error, &recordings, begun, ended).await;
                if at_fault {
                    Verdict::Failed { message }
                } else {
                    Verdict::Broken { message }
                }
            }
        };
        if keep && verdict != Verdict::Held {
            return verdict;
        }
        match (self.clear(verdict != Verdict::Held).await, verdict) {
            (Ok(()), verdict) => verdict,
            (Err(error), Verdict::Failed { message }) => Verdict::Failed {
                message: format!("{message}\n  not everything could be removed: {error}"),
            },
            (Err(error), _) => Verdict::Broken {
                message: error.to_string(),
            },
        }
    }

    async fn attempt(&mut self, scenario: &Scenario, title: &str) -> Result<(), Error> {
        conntrack::check()?;
        // Made beforehand, under stages of progress of its own.
        drop(self.mesh().await?);
        self.progress().stage(title);
        self.progress().note(scenario.about);
        let work = AssertUnwindSafe((scenario.run)(self)).catch_unwind();
        match tokio::time::timeout(LIMIT, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::environment(
                "the harness itself failed, see above",
                "this is a bug in the harness: please report it with this output",
            )),
            Err(_) => check(
                false,
                format!("the scenario ends within {LIMIT:?}"),
                "it is still running",
            ),
        }
    }

    /// What must hold after every scenario.
    async fn look_after(&self, scenario: &Scenario) -> Result<(), Error> {
        for mesh in self.own_meshes() {
            mesh.lock().await.agreed(AGREEMENT_LIMIT).await?;
        }
        if let Some(mesh) = self.shared_mesh() {
            let mesh = mesh.lock().await;
            as_found(&mesh, self.topology())?;
            mesh.ready(AGREEMENT_LIMIT, &Progress::silent()).await?;
        }
        let unexpected = unexpected(self.suspects().await, scenario.allows);
        self.note_trouble(unexpected.first().map(|suspect| suspect.at));
        let lines: Vec<String> = unexpected
            .into_iter()
            .map(|suspect| format!("{}: {}", suspect.container, suspect.line))
            .collect();
        check(
            lines.is_empty(),
            format!(
                "no WARN or ERROR in any log, except lines with {:?}",
                scenario.allows
            ),
            lines.join("\n"),
        )
    }

    /// The whole of a failure: what was expected, the logs, the failed requests, and where there is more.
    async fn told(
        &self,
        scenario: &Scenario,
        mut error: Error,
        recordings: &[Recording],
        begun: SystemTime,
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
        self.chronicle().catch_up().await;
        let mut windows = vec![Window::around(ended, AT_THE_END.0, AT_THE_END.1)];
        let first = timeline::first_failure(recordings, begun);
        let known = first.into_iter().chain(self.take_trouble());
        windows.extend(known.map(|at| Window::around(at, AROUND.0, AROUND.1)));
        let about = format!("{} does not hold: {}\n{message}", scenario.name, scenario.about);
        let written = async {
            let directory = timeline::directory(&Checkout::find()?);
            let path = timeline::file(&directory, ended, scenario.name);
            let written = self.chronicle().write(&path, &about, &windows, recordings).await;
            let advice = "check for free space and who owns the directory";
            written.map_err(|error| Error::environment(format!("{}: {error}", path.display()), advice))?;
            Ok::<_, Error>(path)
        };
        let _ = match written.await {
            Ok(path) => write!(message, "\n  timeline: harness why {}", path.display()),
            Err(error) => write!(message, "\n  the timeline could not be written: {error}"),
        };
        message
    }

    /// Ends a run of all scenarios: reads the memory of the shared mesh's idle sidecars, and with `remove` removes it,
    /// so that the next run has a new one.
    ///
    /// # Errors
    /// The engine's.
    pub async fn finish(&mut self, remove: bool) -> Result<(), Error> {
        if let Some(mesh) = self.shared_mesh() {
            self.progress().stage("memory");
            for (_, kib) in mesh.lock().await.sidecar_memory().await? {
                self.measure(Promise::Memory, kib);
            }
            self.progress().done("read");
        }
        if remove {
            self.clear(true).await?;
        }
        Ok(())
    }

    /// Removes the scenario's own meshes, and with `all` the shared one.
    async fn clear(&mut self, all: bool) -> Result<(), Error> {
        for project in self.take_projects(all) {
            cleanup::remove_labelled(self.engine(), label::PROJECT, &project).await?;
            self.removed(project);
        }
        Ok(())
    }
}

/// Whether a scenario left the shared mesh as it found it.
fn as_found(mesh: &Mesh, topology: &crate::cluster::topology::Topology) -> Result<(), Error> {
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
        format!("the shared mesh as it was found: {}", found.join(", ")),
        left.join(", "),
    )
}
