//! What is done to a mesh and when, as a file that says all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Kind, MAX_SLOW_MS};

/// The form of the file that is read and written.
pub const VERSION: u32 = 1;
/// The longest schedule, in milliseconds.
pub const MAX_DURATION_MS: u64 = 24 * 60 * 60 * 1000;

/// Faults of one mesh, in the order in which they begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The form of the file, [`VERSION`].
    pub version: u32,
    /// What it was generated from.
    pub seed: u64,
    /// Milliseconds within which every fault is healed.
    pub duration_ms: u64,
    /// The members of the mesh, each with the service that it offers an instance of.
    pub members: BTreeMap<String, Option<String>>,
    /// The faults.
    pub steps: Vec<Step>,
}

/// One fault and how long it is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When it begins, in milliseconds from the start of the traffic.
    pub at_ms: u64,
    /// What is broken.
    pub fault: Fault,
    /// Milliseconds from the moment it is on until it is healed.
    pub heal_after_ms: u64,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It is not JSON, lacks a key or has one that is not known.
    #[error("not understood: {0}")]
    Form(String),
    /// It is of another form.
    #[error("version {found} of the file is not known: expected {VERSION}")]
    Version {
        /// What it says.
        found: u64,
    },
    /// What it asks for cannot be done, a line each.
    #[error("{}", .0.join("\n"))]
    Rules(Vec<String>),
}

impl Step {
    /// When it is healed, in milliseconds from the start of the traffic.
    pub fn end_ms(&self) -> u64 {
        self.at_ms
            .saturating_add(self.fault.takes_ms())
            .saturating_add(self.heal_after_ms)
    }

    /// From its beginning to its healing.
    pub fn span(&self) -> Range<u64> {
        self.at_ms..self.end_ms()
    }
}

impl Schedule {
    /// Reads one.
    ///
    /// # Errors
    /// It is not understood, or asks for what cannot be done.
    pub fn from_json(text: &str) -> Result<Self, ScheduleError> {
        /// What every version of the file has.
        #[derive(Deserialize)]
        struct Any {
            version: u64,
        }
        let form = |error: serde_json::Error| ScheduleError::Form(error.to_string());
        let Any { version } = serde_json::from_str(text).map_err(form)?;
        if version != u64::from(VERSION) {
            return Err(ScheduleError::Version { found: version });
        }
        let schedule: Self = serde_json::from_str(text).map_err(form)?;
        let broken = schedule.broken_rules();
        if broken.is_empty() {
            Ok(schedule)
        } else {
            Err(ScheduleError::Rules(broken))
        }
    }

    /// The file.
    pub fn to_json(&self) -> String {
        // Strings and numbers in structs always have a JSON form.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The kinds of fault in it.
    pub fn kinds(&self) -> BTreeSet<Kind> {
        self.steps.iter().map(|step| step.fault.kind()).collect()
    }

    /// When the last fault is healed, in milliseconds from the start of the traffic.
    pub fn healed_ms(&self) -> u64 {
        self.steps.iter().map(Step::end_ms).max().unwrap_or(0)
    }

    /// All that keeps it from being done, a line each: members that are not there, faults out of order, two at a time
    /// on one member, one that outlasts the duration, no instance of any service left.
    pub fn broken_rules(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.duration_ms > MAX_DURATION_MS {
            broken.push(format!(
                "duration_ms {}: at most {MAX_DURATION_MS}",
                self.duration_ms
            ));
        }
        if !self.steps.is_sorted_by_key(|step| step.at_ms) {
            broken.push("steps: expected in the order of their at_ms".to_owned());
        }
        broken.extend((0..self.steps.len()).flat_map(|at| self.broken_by(at)));
        broken
    }

    /// What of that the step at this place is to blame for.
    pub(super) fn broken_by(&self, at: usize) -> Vec<String> {
        let Some(step) = self.steps.get(at) else {
            return Vec::new();
        };
        let mut broken = self.lacking(step);
        broken.extend(self.overlap(at, step));
        broken
            .into_iter()
            .map(|what| format!("step {at}: {what}"))
            .collect()
    }

    /// What is wrong with a step by itself.
    fn lacking(&self, step: &Step) -> Vec<String> {
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

    /// What is wrong with a step beside those that are on when it begins.
    fn overlap(&self, at: usize, step: &Step) -> Vec<String> {
        let mut wrong = Vec::new();
        let members = step.fault.members();
        let mut silent: BTreeSet<&str> = step.fault.silences().into_iter().collect();
        for (other, earlier) in self.steps.iter().enumerate().take(at) {
            if earlier.end_ms() <= step.at_ms {
                continue;
            }
            silent.extend(earlier.fault.silences());
            for member in earlier.fault.members() {
                if members.contains(&member) {
                    wrong.push(format!("step {other} is still on for `{member}`"));
                }
            }
        }
        let instances = self.members.iter().filter(|(_, service)| service.is_some());
        let mut instances = instances.map(|(member, _)| member.as_str()).peekable();
        if step.fault.silences().is_some()
            && instances.peek().is_some()
            && instances.all(|member| silent.contains(member))
        {
            wrong.push("no instance of any service would be left".to_owned());
        }
        wrong
    }
}

#[cfg(test)]
mod tests;
