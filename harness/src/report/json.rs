//! The report as JSON.

use serde::Serialize;

use super::summary::{Objectives, Report};
use crate::clock;
use crate::verify::objectives::Objective;

/// Incremented when a key is removed or changes its meaning; keys may be added at any time.
const VERSION: u32 = 2;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    runtime: &'a str,
    why: &'a str,
    began: String,
    seconds: f64,
    runs: usize,
    exit_code: u8,
    interrupted: bool,
    scenarios: Vec<Scenario<'a>>,
    objectives: Vec<ObjectiveRow>,
    objectives_informative: bool,
    load: LoadRow,
    failed_in_flight: usize,
}

#[derive(Serialize)]
struct Scenario<'a> {
    name: &'a str,
    about: &'a str,
    run: usize,
    outcome: &'a str,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

/// Runnable threads per processor, and the share of the time that the harness waited for one; `null` if not measured.
#[derive(Serialize)]
struct LoadRow {
    processors: usize,
    mean: Option<f64>,
    worst: Option<f64>,
    waited: Option<f64>,
    overloaded: bool,
}

#[derive(Serialize)]
struct ObjectiveRow {
    name: &'static str,
    about: &'static str,
    unit: String,
    limit: u64,
    count: usize,
    /// `null` if nothing was measured.
    met: Option<bool>,
    /// Whether it was missed only while the machine was overloaded.
    overloaded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
}

/// Renders the report as JSON.
///
/// # Errors
/// The serialiser's message.
pub fn json(report: &Report) -> Result<String, String> {
    let scenarios = report.scenarios.iter().map(|outcome| Scenario {
        name: &outcome.name,
        about: &outcome.about,
        run: outcome.run,
        outcome: outcome.verdict.word(),
        seconds: outcome.took.as_secs_f64(),
        message: outcome.verdict.message(),
    });
    let objectives = Objective::ALL.into_iter().map(|objective| {
        let summary = report.measured.summary(objective);
        ObjectiveRow {
            name: objective.key(),
            about: objective.name(),
            unit: objective.unit().to_string(),
            limit: objective.limit().0,
            count: summary.map_or(0, |summary| summary.count),
            met: summary.map(|summary| summary.met()),
            overloaded: summary.is_some_and(|summary| summary.overloaded),
            p50: summary.map(|summary| summary.p50.0),
            p99: summary.map(|summary| summary.p99.0),
            max: summary.map(|summary| summary.max.0),
        }
    });
    let document = Document {
        version: VERSION,
        runtime: &report.runtime,
        why: &report.why,
        began: clock::rfc3339(report.began),
        seconds: report.took.as_secs_f64(),
        runs: report.runs,
        exit_code: report.exit_code(),
        interrupted: report.interrupted,
        scenarios: scenarios.collect(),
        objectives: objectives.collect(),
        objectives_informative: report.objectives == Objectives::Informative,
        load: LoadRow {
            processors: report.load.processors,
            mean: report.load.per_processor(),
            worst: report.load.worst(),
            waited: report.load.waited(),
            overloaded: report.load.was_overloaded(),
        },
        failed_in_flight: report.measured.in_flight,
    };
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::summary::example;

    #[test]
    fn the_document_has_every_scenario_and_objective() {
        let text = super::json(&example()).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["version"], json!(2));
        assert_eq!(read["runtime"], json!("process"));
        assert_eq!(read["began"], json!("2026-11-24T05:38:07.000Z"));
        assert_eq!(read["exit_code"], json!(1));
        assert_eq!(read["interrupted"], json!(false));
        assert_eq!(read["failed_in_flight"], json!(3));
        assert_eq!(
            read["scenarios"][0],
            json!({"name": "paths", "about": "paths works", "run": 1, "outcome": "held", "seconds": 0.25})
        );
        assert_eq!(read["scenarios"][1]["outcome"], json!("failed"));
        assert_eq!(read["scenarios"][2]["message"], json!("needs Docker"));
        assert_eq!(read["scenarios"][3]["outcome"], json!("broken"));
        let objective = |name: &str| {
            let mut all = read["objectives"].as_array().unwrap().iter();
            all.find(|objective| objective["name"] == json!(name)).unwrap()
        };
        assert_eq!(
            *objective("ready"),
            json!({
                "name": "ready", "about": "last start -> all answer", "unit": "us",
                "limit": 2_000_000, "count": 2, "met": true, "overloaded": false, "p50": 700_000, "p99": 900_000, "max": 900_000
            })
        );
        assert_eq!(objective("kill_to_last_error")["met"], json!(false));
        assert_eq!(read["objectives_informative"], json!(false));
        assert_eq!(
            read["load"],
            json!({"processors": 2, "mean": 1.0, "worst": 1.0, "waited": 0.5, "overloaded": false})
        );
        assert_eq!(
            objective("join")["met"],
            Value::Null,
            "an objective that was not measured is neither met nor missed"
        );
        assert!(objective("join").get("max").is_none());
    }
}
