//! Runs an experiment: executes a schedule on a mesh under traffic, and checks the recovery.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::execute::{FaultEvent, InjectedFault, execute};
use super::experiment::Experiment;
use super::failure_count::{FailureCount, RECOVERY_GRACE};
use super::fault::{Fault, FaultKind};
use super::injector::MeshInjector;
use super::network_faults::NetworkFaults;
use super::retry::Retry;
use super::schedule::Schedule;
use crate::cluster::checkout::Checkout;
use crate::cluster::cleanup;
use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Member;
use crate::console::{Progress, seconds};
use crate::engine::label;
use crate::error::{CheckFailure, Error, check};
use crate::timeline::{self, Timeline, Window, unexpected};
use crate::verify::traffic::{Clients, Pace, Traffic};

/// Limit from the last fault's healing until all views agree and every instance answers on every path.
pub const CONVERGENCE_LIMIT: Duration = Duration::from_secs(3);
/// Duration of the traffic at the end, after [`RECOVERY_GRACE`], in which no request may fail.
const FINAL_TRAFFIC: Duration = Duration::from_secs(2);
/// Fewer clients than in scenarios: requests last longer during faults.
const PACE: Pace = Pace {
    clients: 2,
    period: Duration::from_millis(40),
};
/// Substrings of the WARN and ERROR lines that faults provoke.
const ALLOWED: [&str; 2] = ["discovery: lost", "no my-service-"];
/// An injection that takes at least this long is reported again when it is complete.
const SLOW_INJECTION: Duration = Duration::from_millis(300);

/// The result of an experiment that the mesh recovered from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentResult {
    /// The injected faults, on the traffic's clock.
    pub injected: Vec<InjectedFault>,
    /// The requests, classified.
    pub failures: FailureCount,
    /// Time from the last fault's healing until all views agreed and every instance answered.
    pub converged: Duration,
    /// Engine calls that failed and were repeated.
    pub repeated: usize,
}

impl Experiment {
    /// Executes `schedule` on `mesh` under traffic, checks the recovery, and removes the mesh. Calls `on_line` with a
    /// line for each phase of a fault.
    ///
    /// # Errors
    /// [`Error::Check`] with the last log lines if the mesh did not recover, or the engine fails.
    pub async fn run(
        &self,
        mesh: Mesh,
        schedule: &Schedule,
        on_line: impl Fn(&str),
    ) -> Result<ExperimentResult, Error> {
        let project = mesh.topology().project.clone();
        let timeline = Timeline::start(&self.engine, &self.ownership.run, &self.topology);
        let traffic = Traffic::start(&mesh.routes()?, &[Clients::New], PACE);
        let (recording, started_at) = (traffic.recording(), SystemTime::now());
        let mut labels = self.ownership.labels();
        labels.insert(label::PROJECT.to_owned(), project.clone());
        let names = mesh.topology().members.iter().map(Member::name);
        let (repeated, mut repeated_calls) = tokio::sync::mpsc::unbounded_channel();
        let retry = Retry::new(repeated);
        let network_faults = NetworkFaults::new(
            self.engine.clone(),
            self.netcut.clone(),
            labels,
            names,
            retry.clone(),
        );
        let injector = MeshInjector::new(self.engine.clone(), mesh, traffic, network_faults, retry);
        let log_line = |line: &str| {
            timeline.say("chaos", line);
            on_line(line);
        };
        let begun = Instant::now();
        let mut repeated = 0;
        let mut result = {
            let executed = self.execute_and_check(&injector, &timeline, schedule, log_line);
            let mut executed = std::pin::pin!(executed);
            loop {
                tokio::select! {
                    // A call is reported before the result that follows from it.
                    biased;
                    Some(call) = repeated_calls.recv() => {
                        repeated += 1;
                        log_line(&timed(begun.elapsed(), &call));
                    }
                    result = &mut executed => break result,
                }
            }
        };
        if let Err(Error::Check(failure)) = &mut result {
            failure.logs = injector.mesh().await.logs().await;
            let window = Window {
                from: started_at,
                to: SystemTime::now(),
            };
            let about = format!("chaos: seed {}\n{failure}", schedule.seed);
            timeline.catch_up().await;
            let path = timeline::file(&timeline::directory(&Checkout::find()?), started_at, "chaos");
            let written = timeline
                .write(&path, &about, &[window], recording.timeline_entries())
                .await;
            let note = match written {
                Ok(()) => format!("timeline: {}", path.display()),
                Err(error) => format!("the timeline could not be written: {error}"),
            };
            failure.seen = format!("{}\n{note}", failure.seen);
        }
        drop(injector);
        let removed = cleanup::remove_labelled(&self.engine, label::PROJECT, &project).await;
        // A failed check takes precedence over a failed removal.
        let result = result?;
        removed?;
        Ok(ExperimentResult { repeated, ..result })
    }

    async fn execute_and_check(
        &self,
        injector: &MeshInjector,
        timeline: &Timeline,
        schedule: &Schedule,
        on_line: impl Fn(&str),
    ) -> Result<ExperimentResult, Error> {
        let started_at = injector.traffic().now();
        let injected = execute(injector, schedule, |at, event, fault| {
            if let Some(line) = line(at, event, fault) {
                on_line(&line);
            }
        });
        let mut injected = injected.await?;
        for fault in &mut injected {
            fault.from += started_at;
            fault.until += started_at;
        }
        let healed = Instant::now();
        on_line("all faults are healed");
        let converged = injector
            .mesh()
            .await
            .ready(CONVERGENCE_LIMIT, &Progress::silent())
            .await
            .map(|_| healed.elapsed());
        let mut failed: Vec<CheckFailure> = Vec::new();
        let converged = match converged {
            Ok(took) => took,
            Err(Error::Check(failure)) => {
                failed.push(CheckFailure {
                    expected: format!("after the last fault, {}", failure.expected),
                    ..*failure
                });
                CONVERGENCE_LIMIT
            }
            Err(other) => return Err(other),
        };
        tokio::time::sleep_until(healed + RECOVERY_GRACE + FINAL_TRAFFIC).await;
        let failures = injector
            .traffic()
            .read(|record| FailureCount::new(record, &injected));
        self.checked(injector, timeline, &failures, failed).await?;
        Ok(ExperimentResult {
            injected,
            failures,
            converged,
            repeated: 0,
        })
    }

    /// Checks failures, answers, containers, and logs at the end. Merges all failed checks, including `failed`, into
    /// one.
    async fn checked(
        &self,
        injector: &MeshInjector,
        timeline: &Timeline,
        failures: &FailureCount,
        mut failed: Vec<CheckFailure>,
    ) -> Result<(), Error> {
        let mut expect = |holds: bool, expected: String, seen: String| {
            if let Err(Error::Check(failure)) = check(holds, expected, seen) {
                failed.push(*failure);
            }
        };
        expect(
            failures.unexcused == 0,
            format!("no failed request later than {RECOVERY_GRACE:?} after a fault"),
            format!("{failures}\n{}", failures.lines.join("\n")),
        );
        expect(
            failures.sent > 0 && failures.unanswered.is_empty(),
            "answers to the traffic on every path after the last fault".to_owned(),
            format!("{failures}; routes without an answer: {:?}", failures.unanswered),
        );
        let ended = injector.mesh().await.ended().await;
        expect(
            ended.is_empty(),
            "every container running".to_owned(),
            ended.join("\n"),
        );
        timeline.catch_up().await;
        let lines: Vec<String> = unexpected(timeline.take_problem_lines(), &ALLOWED)
            .into_iter()
            .map(|problem| format!("{}: {}", problem.container, problem.line))
            .collect();
        expect(
            lines.is_empty(),
            format!("no WARN or ERROR line in any log except those containing {ALLOWED:?}"),
            lines.join("\n"),
        );
        let Some(mut first) = failed.pop() else {
            return Ok(());
        };
        for other in failed.into_iter().rev() {
            first.expected = format!("{}\nand {}", other.expected, first.expected);
            first.seen = format!("{}\n{}", other.seen, first.seen);
            first.logs.extend(other.logs);
        }
        Err(Error::Check(Box::new(first)))
    }
}

/// The progress line for a phase of a fault; `None` if it adds nothing to the line before.
fn line(at: Duration, event: FaultEvent, fault: &Fault) -> Option<String> {
    match event {
        FaultEvent::Injecting => Some(timed(at, &fault.to_string())),
        FaultEvent::Active { after } if after >= SLOW_INJECTION => {
            Some(timed(at, &format!("… done: {fault} ({})", seconds(after))))
        }
        FaultEvent::Active { .. } => None,
        FaultEvent::Healed if fault.kind() == FaultKind::Restart => None,
        FaultEvent::Healed => Some(timed(at, &format!("healed: {fault}"))),
    }
}

/// A line with its time since the start of the faults.
fn timed(at: Duration, text: &str) -> String {
    format!("{:>8.3} s  {text}", at.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_of_the_suites_objective() {
        use crate::verify::objectives::Objective;
        assert_eq!(Objective::HealToConvergence.limit(), CONVERGENCE_LIMIT.into());
    }

    #[test]
    fn each_phase_of_a_fault_is_reported_once() {
        let member = || "lb".to_owned();
        let (pause, restart) = (
            Fault::Pause { member: member() },
            Fault::Restart { member: member() },
        );
        let at = Duration::from_millis(12_345);
        let on = |millis| FaultEvent::Active {
            after: Duration::from_millis(millis),
        };
        let text = |phase, fault: &Fault| line(at, phase, fault).unwrap_or_default();
        assert_eq!(text(FaultEvent::Injecting, &pause), "  12.345 s  pause lb");
        assert_eq!(text(on(20), &pause), "");
        assert_eq!(text(FaultEvent::Healed, &pause), "  12.345 s  healed: pause lb");
        assert_eq!(
            text(on(2_100), &restart),
            "  12.345 s  … done: restart lb (2.10 s)"
        );
        assert_eq!(text(FaultEvent::Healed, &restart), "");
    }
}
