//! A schedule of faults and its file format.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, FaultKind, MAX_SLOW_MS};

/// Version of the file format.
pub const VERSION: u32 = 1;
/// Maximum duration of a schedule, in milliseconds.
pub const MAX_DURATION_MS: u64 = 24 * 60 * 60 * 1000;

/// Faults for one mesh, sorted by start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Version of the file format: [`VERSION`].
    pub version: u32,
    /// The seed that it was generated from.
    pub seed: u64,
    /// Milliseconds until every fault is healed.
    pub duration_ms: u64,
    /// The members of the mesh, each with the service of which it is an instance.
    pub members: BTreeMap<String, Option<String>>,
    /// The faults.
    pub steps: Vec<Step>,
}

/// One fault with its start and duration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Start of the injection, in milliseconds since the start of the traffic.
    pub at_ms: u64,
    /// The fault.
    pub fault: Fault,
    /// Milliseconds from the end of the injection to the healing.
    pub heal_after_ms: u64,
}

/// Why a file is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It is not JSON, or has a missing or an unknown key.
    #[error("{0}")]
    Format(String),
    /// It has another version.
    #[error("version {found}: expected {VERSION}")]
    Version {
        /// The file's version.
        found: u64,
    },
    /// It violates rules, one line each.
    #[error("{}", .0.join("\n"))]
    Rules(Vec<String>),
}

impl Step {
    /// Time of the healing, in milliseconds since the start of the traffic.
    pub fn end_ms(&self) -> u64 {
        self.at_ms
            .saturating_add(self.fault.takes_ms())
            .saturating_add(self.heal_after_ms)
    }

    /// From the start of the injection to the healing.
    pub fn span(&self) -> Range<u64> {
        self.at_ms..self.end_ms()
    }
}

impl Schedule {
    /// Parses and validates a schedule file.
    ///
    /// # Errors
    /// The text is not a schedule, or the schedule cannot be executed.
    pub fn from_json(text: &str) -> Result<Self, ScheduleError> {
        /// The key that all versions have in common.
        #[derive(Deserialize)]
        struct Any {
            version: u64,
        }
        let form = |error: serde_json::Error| ScheduleError::Format(error.to_string());
        let Any { version } = serde_json::from_str(text).map_err(form)?;
        if version != u64::from(VERSION) {
            return Err(ScheduleError::Version { found: version });
        }
        let schedule: Self = serde_json::from_str(text).map_err(form)?;
        let violations = schedule.violations();
        if violations.is_empty() {
            Ok(schedule)
        } else {
            Err(ScheduleError::Rules(violations))
        }
    }

    /// The schedule as a file.
    pub fn to_json(&self) -> String {
        // Serialising strings and numbers does not fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The kinds of faults that occur.
    pub fn kinds(&self) -> BTreeSet<FaultKind> {
        self.steps.iter().map(|step| step.fault.kind()).collect()
    }

    /// Time of the last healing, in milliseconds since the start of the traffic.
    pub fn healed_ms(&self) -> u64 {
        self.steps.iter().map(Step::end_ms).max().unwrap_or(0)
    }

    /// The violated rules, one line each: faults sorted by start, known members, at most one fault at a time on a
    /// member, every fault healed within the duration, at least one instance of some service available.
    pub fn violations(&self) -> Vec<String> {
        let mut violations = Vec::new();
        if self.duration_ms > MAX_DURATION_MS {
            violations.push(format!(
                "duration_ms {}: at most {MAX_DURATION_MS}",
                self.duration_ms
            ));
        }
        if !self.steps.is_sorted_by_key(|step| step.at_ms) {
            violations.push("steps: expected in the order of their at_ms".to_owned());
        }
        violations.extend((0..self.steps.len()).flat_map(|at| self.violations_of(at)));
        violations
    }

    /// The rules violated by one step.
    pub(super) fn violations_of(&self, at: usize) -> Vec<String> {
        let Some(step) = self.steps.get(at) else {
            return Vec::new();
        };
        let mut violations = self.invalid(step);
        violations.extend(self.overlap(at, step));
        violations
            .into_iter()
            .map(|what| format!("step {at}: {what}"))
            .collect()
    }

    /// Rules that a step violates by itself.
    fn invalid(&self, step: &Step) -> Vec<String> {
        let mut wrong = Vec::new();
        let members = step.fault.members();
        for member in &members {
            if !self.members.contains_key(*member) {
                wrong.push(format!("there is no member `{member}`"));
            }
        }
        if let [a, b] = members[..]
            && a == b
        {
            wrong.push(format!("expected two members, not `{a}` twice"));
        }
        match step.fault {
            Fault::Lose { percent, .. } if !(1..=100).contains(&percent) => {
                wrong.push(format!("percent {percent}: expected 1 to 100"));
            }
            Fault::Slow { ms, .. } if !(1..=MAX_SLOW_MS).contains(&ms) => {
                wrong.push(format!("ms {ms}: expected 1 to {MAX_SLOW_MS}"));
            }
            _ => {}
        }
        if step.end_ms() > self.duration_ms {
            wrong.push(format!(
                "it is healed at {} ms, after the end at {} ms",
                step.end_ms(),
                self.duration_ms
            ));
        }
        wrong
    }

    /// Rules that a step violates together with the faults that are active at its start.
    fn overlap(&self, at: usize, step: &Step) -> Vec<String> {
        let mut wrong = Vec::new();
        let members = step.fault.members();
        let mut unavailable: BTreeSet<&str> = step.fault.silences().into_iter().collect();
        for (other, earlier) in self.steps.iter().enumerate().take(at) {
            if earlier.end_ms() <= step.at_ms {
                continue;
            }
            unavailable.extend(earlier.fault.silences());
            for member in earlier.fault.members() {
                if members.contains(&member) {
                    wrong.push(format!("step {other} is still active for `{member}`"));
                }
            }
        }
        let instances = self.members.iter().filter(|(_, service)| service.is_some());
        let mut instances = instances.map(|(member, _)| member.as_str()).peekable();
        if step.fault.silences().is_some()
            && instances.peek().is_some()
            && instances.all(|member| unavailable.contains(member))
        {
            wrong.push("no instance of any service would be available".to_owned());
        }
        wrong
    }
}

#[cfg(test)]
pub(super) mod tests;
