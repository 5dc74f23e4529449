//! The sidecar's failpoints, the scenarios that must detect each, and whether they did. Pure.

use crate::verify::suite::{ScenarioResult, Verdict};

#[cfg(test)]
mod tests;

/// Environment variable that activates a failpoint of a sidecar built with the feature `failpoints`.
pub const VARIABLE: &str = "SIDECAR_FAILPOINT";
/// Part of the warning that such a sidecar logs at its start.
pub const WARNING: &str = "FAILPOINT ACTIVE";
/// The scenario that must pass with every failpoint: if the mesh does not work at all, a failed scenario proves
/// nothing.
pub const CONTROL: &str = "paths";

/// Maximum length of a scenario's message in the table, in characters.
const MESSAGE_LENGTH: usize = 150;

/// A failpoint and the scenarios that detect it.
#[derive(Debug, PartialEq, Eq)]
pub struct Failpoint {
    /// Its name in [`VARIABLE`].
    pub name: &'static str,
    /// Scenarios of which at least one must fail.
    pub detected_by: &'static [&'static str],
}

/// Every failpoint of the sidecar that the suite must detect.
pub static FAILPOINTS: [Failpoint; 13] = [
    Failpoint {
        name: "ignore-weights",
        detected_by: &["weights"],
    },
    Failpoint {
        name: "no-failover",
        detected_by: &["kill", "unreachable"],
    },
    Failpoint {
        name: "skip-drain",
        detected_by: &["graceful_stop", "balancers_restart"],
    },
    Failpoint {
        name: "keep-dead-instances",
        detected_by: &["freeze"],
    },
    Failpoint {
        name: "stale-port",
        detected_by: &["rejoin"],
    },
    Failpoint {
        name: "stale-node",
        detected_by: &["graceful_stop"],
    },
    Failpoint {
        name: "any-destination",
        detected_by: &["outside"],
    },
    Failpoint {
        name: "no-leave",
        detected_by: &["graceful_stop"],
    },
    Failpoint {
        name: "thread-local-balancing",
        detected_by: &["alternation"],
    },
    Failpoint {
        name: "balance-connections",
        detected_by: &["alternation", "scale"],
    },
    Failpoint {
        name: "keep-withdrawn",
        detected_by: &["graceful_stop"],
    },
    Failpoint {
        name: "unannounced-end",
        detected_by: &["balancers_restart"],
    },
    Failpoint {
        name: "no-retry",
        detected_by: &["kill", "freeze"],
    },
];

/// The results of scenarios with one failpoint active, or with none.
#[derive(Debug)]
pub struct Trial {
    /// The active failpoint.
    pub failpoint: Option<&'static Failpoint>,
    /// The scenarios' results.
    pub results: Vec<ScenarioResult>,
}

/// The conclusion about the suite from a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The failpoint was detected; without one, every scenario passed.
    Good,
    /// The suite is deficient, with the reason.
    Bad(String),
    /// The environment failed.
    Unknown(String),
}

impl Trial {
    /// The scenarios to run: those that detect `failpoint`, or without one all that detect any, each once.
    pub fn scenarios(failpoint: Option<&Failpoint>) -> Vec<&'static str> {
        let detecting = match failpoint {
            Some(failpoint) => failpoint.detected_by.to_vec(),
            None => FAILPOINTS.iter().flat_map(|b| b.detected_by).copied().collect(),
        };
        let mut names = vec![CONTROL];
        for name in detecting {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Evaluates the trial.
    pub fn finding(&self) -> Finding {
        let broken = self.results.iter().find_map(|outcome| match &outcome.verdict {
            Verdict::Error { message } => Some(format!("{}: {}", outcome.name, line(message))),
            _ => None,
        });
        if let Some(message) = broken {
            return Finding::Unknown(message);
        }
        let failed = |outcome: &&ScenarioResult| matches!(outcome.verdict, Verdict::Failed { .. });
        let Some(failpoint) = self.failpoint else {
            return match self.results.iter().find(failed) {
                Some(outcome) => Finding::Bad(format!("{} does not hold without a failpoint", outcome.name)),
                None => self.held(CONTROL),
            };
        };
        match self.held(CONTROL) {
            Finding::Good => {}
            other => return other,
        }
        let detected = |outcome: &&ScenarioResult| {
            failed(outcome) && failpoint.detected_by.contains(&outcome.name.as_str())
        };
        if self.results.iter().any(|outcome| detected(&outcome)) {
            Finding::Good
        } else {
            Finding::Bad(format!("not detected by {}", failpoint.detected_by.join(", ")))
        }
    }

    /// A table row for each scenario: failpoint, scenario, verdict, message.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let failpoint = self.failpoint.map_or("none", |failpoint| failpoint.name);
        let row = |outcome: &ScenarioResult| {
            let (verdict, message) = match &outcome.verdict {
                Verdict::Held => ("green", String::new()),
                Verdict::Failed { message } => ("red", line(message)),
                Verdict::Skipped { reason } => ("skipped", line(reason)),
                Verdict::Error { message } => ("unknown", line(message)),
            };
            [failpoint, &outcome.name, verdict, &message]
                .map(str::to_owned)
                .to_vec()
        };
        self.results.iter().map(row).collect()
    }

    fn held(&self, name: &str) -> Finding {
        let outcome = self.results.iter().find(|outcome| outcome.name == name);
        if outcome.is_some_and(|outcome| outcome.verdict == Verdict::Held) {
            Finding::Good
        } else {
            Finding::Bad(format!(
                "{name} does not hold, so that the other failures prove nothing"
            ))
        }
    }
}

/// The exit code for the worst finding.
pub fn exit_code<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> u8 {
    let code = |finding: &Finding| match finding {
        Finding::Good => 0,
        Finding::Bad(_) => 1,
        Finding::Unknown(_) => 2,
    };
    findings.into_iter().map(code).max().unwrap_or_default()
}

/// The expectation and the observation of a failure, or the first line of another message, shortened for the table.
fn line(message: &str) -> String {
    let part = |mark: &str| message.lines().map(str::trim).find(|line| line.starts_with(mark));
    let text = match (part("expected:"), part("seen:")) {
        (Some(expected), Some(seen)) => format!("{seen} ({expected})"),
        _ => message.lines().next().unwrap_or_default().trim().to_owned(),
    };
    let mut short: String = text.chars().take(MESSAGE_LENGTH).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
