//! Convergence times, and their formats as text, Markdown and JSON.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bench::statistics::percentile;
use bench::table;
use serde_json::{Value, json};

use crate::clock;

/// Version of the JSON document. Increased when a key is removed or changes its meaning, not for new keys.
const VERSION: u32 = 1;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A measured interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConvergenceStep {
    /// From the last container's start until every instance has answered on every path.
    Ready,
    /// From a new instance's registration until it is up at every balancing sidecar.
    JoinedUp,
    /// From a new instance's registration until it is up at every balancing sidecar and has answered on every path.
    Joined,
    /// As [`ConvergenceStep::Joined`], of an instance that a known node registers again.
    Registered,
    /// From an instance's SIGKILL until it is up at no balancing sidecar.
    Killed,
    /// From an instance's SIGSTOP until it is up at no balancing sidecar.
    Frozen,
}

/// The goal of a step: a limit for a percentile of its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goal {
    /// The percentile, such as 99.
    pub percent: u8,
    /// Its upper limit.
    pub limit: Duration,
}

impl ConvergenceStep {
    /// Its name in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::JoinedUp => "joined_up",
            Self::Joined => "joined",
            Self::Registered => "registered",
            Self::Killed => "killed",
            Self::Frozen => "frozen",
        }
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "last member started -> every instance answers on every path",
            Self::JoinedUp => "new instance registered -> up at every balancer",
            Self::Joined => "new instance registered -> usable everywhere",
            Self::Registered => "registered on a known node -> usable everywhere",
            Self::Killed => "instance killed -> up at no balancer",
            Self::Frozen => "instance frozen -> up at no balancer",
        }
    }

    /// Its goal. `None` if another step's goal covers it.
    pub fn goal(self) -> Option<Goal> {
        let (percent, limit) = match self {
            Self::JoinedUp => return None,
            Self::Ready => (50, ms(300)),
            Self::Joined | Self::Registered => (99, ms(50)),
            Self::Killed => (99, ms(200)),
            Self::Frozen => (99, ms(1500)),
        };
        Some(Goal { percent, limit })
    }
}

/// Statistics of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepSummary {
    /// Number of measurements, at least one.
    pub count: usize,
    /// Median.
    pub p50: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// Maximum.
    pub max: Duration,
}

/// The results of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvergenceResults {
    /// Start time.
    pub began: SystemTime,
    /// The runtime and the options, as a sentence.
    pub setting: String,
    samples: BTreeMap<ConvergenceStep, Vec<Duration>>,
}

impl ConvergenceResults {
    /// Results without measurements.
    pub fn new(began: SystemTime, setting: String) -> Self {
        Self {
            began,
            setting,
            samples: BTreeMap::new(),
        }
    }

    /// Adds the time of one round.
    pub fn add(&mut self, step: ConvergenceStep, took: Duration) {
        self.samples.entry(step).or_default().push(took);
    }

    /// One step's statistics. `None` if it was not measured.
    pub fn summary(&self, step: ConvergenceStep) -> Option<StepSummary> {
        let mut sorted = self.samples.get(&step)?.clone();
        sorted.sort_unstable();
        Some(StepSummary {
            count: sorted.len(),
            p50: percentile(&sorted, 50.0)?,
            p99: percentile(&sorted, 99.0)?,
            max: *sorted.last()?,
        })
    }

    /// A table as plain text.
    pub fn text(&self) -> String {
        let table = table::plain(&HEADER, self.rows().into_iter());
        format!("{}\n\n{table}\n", self.setting)
    }

    /// The same table in Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let header = HEADER.map(str::to_lowercase);
        let rows: String = self.rows().iter().map(|row| line(row)).collect();
        let rule = format!("|---|{}\n", "---:|".repeat(HEADER.len() - 1));
        format!("{}\n\n{}{rule}{rows}", self.setting, line(&header))
    }

    /// A JSON document with the time of every round.
    pub fn json(&self) -> String {
        let steps: Vec<Value> = self.samples.keys().map(|step| self.step_json(*step)).collect();
        let document = json!({
            "version": VERSION,
            "began": clock::rfc3339(self.began),
            "setting": self.setting,
            "steps": steps,
        });
        format!("{document:#}\n")
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |step: &ConvergenceStep| {
            let StepSummary { count, p50, p99, max } = self.summary(*step)?;
            let goal = step
                .goal()
                .map(|goal| format!("p{} {} ms", goal.percent, goal.limit.as_millis()));
            let name = step.name().to_owned();
            let times = [p50, p99, max].map(formatted);
            let cells = [name, count.to_string()].into_iter().chain(times);
            Some(cells.chain([goal.unwrap_or_default()]).collect())
        };
        self.samples.keys().filter_map(row).collect()
    }

    fn step_json(&self, step: ConvergenceStep) -> Value {
        let summary = self.summary(step);
        let of = |value: fn(StepSummary) -> Duration| summary.map(value).map(micros);
        let goal = step
            .goal()
            .map(|goal| json!({"percent": goal.percent, "limit_us": micros(goal.limit)}));
        let samples = self.samples.get(&step).into_iter().flatten().copied();
        json!({
            "key": step.key(),
            "name": step.name(),
            "count": summary.map(|summary| summary.count),
            "p50_us": of(|summary| summary.p50),
            "p99_us": of(|summary| summary.p99),
            "max_us": of(|summary| summary.max),
            "goal": goal,
            "rounds_us": samples.map(micros).collect::<Vec<_>>(),
        })
    }
}

const HEADER: [&str; 6] = ["STEP", "COUNT", "P50", "P99", "MAX", "GOAL"];

fn formatted(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> ConvergenceResults {
        let mut results = ConvergenceResults::new(SystemTime::UNIX_EPOCH, "3 rounds.".to_owned());
        for sample in [900, 100, 300] {
            results.add(ConvergenceStep::Killed, ms(sample));
        }
        results.add(ConvergenceStep::JoinedUp, Duration::from_micros(12_345));
        results
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let expected = StepSummary {
            count: 3,
            p50: ms(300),
            p99: ms(900),
            max: ms(900),
        };
        assert_eq!(results().summary(ConvergenceStep::Killed), Some(expected));
        assert_eq!(results().summary(ConvergenceStep::Frozen), None);
    }

    #[test]
    fn a_table_has_the_measured_steps_with_their_goals() {
        let text = results().text();
        let line = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let killed = format!(
            "{} 3 300.0 ms 900.0 ms 900.0 ms p99 200 ms",
            ConvergenceStep::Killed.name()
        );
        assert_eq!(line(ConvergenceStep::Killed.name()), killed);
        let up = format!("{} 1 12.3 ms 12.3 ms 12.3 ms", ConvergenceStep::JoinedUp.name());
        assert_eq!(line(ConvergenceStep::JoinedUp.name()), up);
        assert!(!text.contains(ConvergenceStep::Frozen.name()), "{text}");
        let markdown = results().markdown();
        assert!(
            markdown.contains("| step | count | p50 | p99 | max | goal |\n|---|---:|---:|---:|---:|---:|\n")
        );
        assert!(markdown.ends_with("| 3 | 300.0 ms | 900.0 ms | 900.0 ms | p99 200 ms |\n"));
    }

    #[test]
    fn json_has_every_round() {
        let parsed: Value = serde_json::from_str(&results().json()).unwrap();
        let killed = &parsed["steps"][1];
        assert_eq!(killed["key"], "killed");
        assert_eq!(killed["p50_us"], 300_000);
        assert_eq!(killed["rounds_us"], json!([900_000, 100_000, 300_000]));
        assert_eq!(killed["goal"], json!({"percent": 99, "limit_us": 200_000}));
        assert_eq!(parsed["steps"][0]["goal"], Value::Null);
    }
}
