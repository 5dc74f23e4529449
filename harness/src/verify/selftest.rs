//! Which scenarios must notice that the sidecar is broken, and whether they did. Pure.

use crate::verify::suite::{ScenarioResult, Verdict};

#[cfg(test)]
mod tests;

/// Names what is broken, in the environment of a sidecar that can be.
pub const VARIABLE: &str = "SIDECAR_FAILPOINT";
/// Part of the warning that a broken sidecar begins with.
pub const WARNING: &str = "FAILPOINT ACTIVE";
/// The scenario that must hold whatever is broken: a mesh that does not even come up proves nothing of the others.
pub const CONTROL: &str = "paths";

/// How much of what a scenario said goes into a line, in characters.
const SAID: usize = 150;

/// One thing that can be broken, and who must notice.
#[derive(Debug, PartialEq, Eq)]
pub struct Failpoint {
    /// What the sidecar calls it.
    pub name: &'static str,
    /// Scenarios of which at least one must turn red.
    pub noticed_by: &'static [&'static str],
}

/// Everything that can be broken.
pub static FAILPOINTS: [Failpoint; 9] = [
    Failpoint {
        name: "ignore-weights",
        noticed_by: &["weights"],
    },
    Failpoint {
        name: "no-failover",
        noticed_by: &["kill", "unreachable"],
    },
    Failpoint {
        name: "skip-drain",
        noticed_by: &["graceful_stop", "balancers_restart"],
    },
    Failpoint {
        name: "keep-dead-instances",
        noticed_by: &["freeze"],
    },
    Failpoint {
        name: "stale-port",
        noticed_by: &["rejoin"],
    },
    Failpoint {
        name: "stale-node",
        noticed_by: &["graceful_stop"],
    },
    Failpoint {
        name: "any-destination",
        noticed_by: &["outside"],
    },
    Failpoint {
        name: "no-leave",
        noticed_by: &["graceful_stop"],
    },
    Failpoint {
        name: "thread-local-balancing",
        noticed_by: &["alternation"],
    },
];

/// What scenarios came to on a mesh that is broken in one way, or in none.
#[derive(Debug)]
pub struct Trial {
    /// What was broken.
    pub failpoint: Option<&'static Failpoint>,
    /// What became of the scenarios.
    pub outcomes: Vec<ScenarioResult>,
}

/// What a trial shows of the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is as it should be.
    Good,
    /// The suite is at fault: why.
    Bad(String),
    /// The machine or the engine was in the way.
    Unknown(String),
}

impl Trial {
    /// The scenarios to run: where something is broken those that must notice, else all of these, each once.
    pub fn scenarios(failpoint: Option<&Failpoint>) -> Vec<&'static str> {
        let noticing = match failpoint {
            Some(failpoint) => failpoint.noticed_by.to_vec(),
            None => FAILPOINTS.iter().flat_map(|b| b.noticed_by).copied().collect(),
        };
        let mut names = vec![CONTROL];
        for name in noticing {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// What it shows.
    pub fn finding(&self) -> Finding {
        let broken = self.outcomes.iter().find_map(|outcome| match &outcome.verdict {
            Verdict::Broken { message } => Some(format!("{}: {}", outcome.name, line(message))),
            _ => None,
        });
        if let Some(message) = broken {
            return Finding::Unknown(message);
        }
        let failed = |outcome: &&ScenarioResult| matches!(outcome.verdict, Verdict::Failed { .. });
        let Some(failpoint) = self.failpoint else {
            return match self.outcomes.iter().find(failed) {
                Some(outcome) => Finding::Bad(format!(
                    "{} does not hold although nothing is broken",
                    outcome.name
                )),
                None => self.held(CONTROL),
            };
        };
        match self.held(CONTROL) {
            Finding::Good => {}
            other => return other,
        }
        let noticed = |outcome: &&ScenarioResult| {
            failed(outcome) && failpoint.noticed_by.contains(&outcome.name.as_str())
        };
        if self.outcomes.iter().any(|outcome| noticed(&outcome)) {
            Finding::Good
        } else {
            Finding::Bad(format!("none of {} noticed", failpoint.noticed_by.join(", ")))
        }
    }

    /// A line for each scenario: what was broken, the scenario, what became of it, and what it said.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let broken = self.failpoint.map_or("nothing", |failpoint| failpoint.name);
        let row = |outcome: &ScenarioResult| {
            let (verdict, said) = match &outcome.verdict {
                Verdict::Held => ("green", String::new()),
                Verdict::Failed { message } => ("red", line(message)),
                Verdict::Skipped { reason } => ("skipped", line(reason)),
                Verdict::Broken { message } => ("unknown", line(message)),
            };
            [broken, &outcome.name, verdict, &said]
                .map(str::to_owned)
                .to_vec()
        };
        self.outcomes.iter().map(row).collect()
    }

    fn held(&self, name: &str) -> Finding {
        let outcome = self.outcomes.iter().find(|outcome| outcome.name == name);
        if outcome.is_some_and(|outcome| outcome.verdict == Verdict::Held) {
            Finding::Good
        } else {
            Finding::Bad(format!("{name} does not hold, so the others prove nothing"))
        }
    }
}

/// The exit code of a command that made these findings.
pub fn exit_code<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> u8 {
    let code = |finding: &Finding| match finding {
        Finding::Good => 0,
        Finding::Bad(_) => 1,
        Finding::Unknown(_) => 2,
    };
    findings.into_iter().map(code).max().unwrap_or_default()
}

/// What was expected and what was seen of a failure, else its first line; cut to what fits a table.
fn line(message: &str) -> String {
    let part = |mark: &str| message.lines().map(str::trim).find(|line| line.starts_with(mark));
    let said = match (part("expected:"), part("seen:")) {
        (Some(expected), Some(seen)) => format!("{seen} ({expected})"),
        _ => message.lines().next().unwrap_or_default().trim().to_owned(),
    };
    let mut cut: String = said.chars().take(SAID).collect();
    if cut.len() < said.len() {
        cut.push('…');
    }
    cut
}
