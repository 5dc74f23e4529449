//! The result of one scenario.

use std::time::Duration;

/// The result of one scenario in one run of the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioResult {
    /// The scenario's name.
    pub name: String,
    /// The property that the scenario checks.
    pub about: String,
    /// Number of the run, counted from 1.
    pub run: usize,
    /// Time from its start to its verdict.
    pub took: Duration,
    /// Whether the property held.
    pub verdict: Verdict,
}

/// Whether a scenario's property held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The property held.
    Held,
    /// The property did not hold.
    Failed {
        /// What was expected, what was seen, and the logs.
        message: String,
    },
    /// The scenario did not run.
    Skipped {
        /// Why it did not run.
        reason: String,
    },
    /// The machine or the engine prevented the check: nothing is known about the mesh.
    Error {
        /// The environment's error.
        message: String,
    },
}

impl Verdict {
    /// The verdict's name in every report format.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Error { .. } => "broken",
        }
    }

    /// The failure message, or the reason for skipping.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Held => None,
            Self::Failed { message } | Self::Error { message } => Some(message),
            Self::Skipped { reason } => Some(reason),
        }
    }
}

/// A scenario's name, followed by the run's number if the suite runs more than once.
pub fn name_in_run(name: &str, run: usize, runs: usize) -> String {
    if runs > 1 {
        format!("{name} (run {run})")
    } else {
        name.to_owned()
    }
}
