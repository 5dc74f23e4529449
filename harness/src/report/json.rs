//! The report as JSON, for programs.

use serde::Serialize;

use super::outcome::Report;
use crate::clock;
use crate::verify::objectives::Promise;

/// Changes when a key changes its meaning or goes; new keys may come at any time.
const VERSION: u32 = 1;

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
    promises: Vec<Kept>,
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

#[derive(Serialize)]
struct Kept {
    name: &'static str,
    about: &'static str,
    unit: String,
    limit: u64,
    count: usize,
    /// `null` where nothing was measured.
    kept: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
}

/// The whole report.
///
/// # Errors
/// What the writer says.
pub fn json(report: &Report) -> Result<String, String> {
    let scenarios = report.scenarios.iter().map(|outcome| Scenario {
        name: &outcome.name,
        about: &outcome.about,
        run: outcome.run,
        outcome: outcome.verdict.word(),
        seconds: outcome.took.as_secs_f64(),
        message: outcome.verdict.message(),
    });
    let promises = Promise::ALL.into_iter().map(|promise| {
        let summary = report.measured.summary(promise);
        Kept {
            name: promise.key(),
            about: promise.name(),
            unit: promise.unit().to_string(),
            limit: promise.limit().0,
            count: summary.map_or(0, |summary| summary.count),
            kept: summary.map(|summary| summary.kept()),
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
        promises: promises.collect(),
        failed_in_flight: report.measured.in_flight,
    };
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::outcome::example;

    #[test]
    fn programs_find_all_of_it() {
        let text = super::json(&example()).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["version"], json!(1));
        assert_eq!(read["runtime"], json!("process"));
        assert_eq!(read["began"], json!("2026-11-24T05:38:07.000Z"));
        assert_eq!(read["exit_code"], json!(1));
        assert_eq!(read["interrupted"], json!(false));
        assert_eq!(read["failed_in_flight"], json!(3));
        assert_eq!(
            read["scenarios"][0],
            json!({"name": "paths", "about": "paths does as it should", "run": 1, "outcome": "held", "seconds": 0.25})
        );
        assert_eq!(read["scenarios"][1]["outcome"], json!("failed"));
        assert_eq!(read["scenarios"][2]["message"], json!("needs Docker"));
        assert_eq!(read["scenarios"][3]["outcome"], json!("broken"));
        let promise = |name: &str| {
            let mut all = read["promises"].as_array().unwrap().iter();
            all.find(|promise| promise["name"] == json!(name)).unwrap()
        };
        assert_eq!(
            *promise("ready"),
            json!({
                "name": "ready", "about": "last container started -> all instances answer on every path", "unit": "us",
                "limit": 2_000_000, "count": 2, "kept": true, "p50": 700_000, "p99": 900_000, "max": 900_000
            })
        );
        assert_eq!(promise("kill_to_last_error")["kept"], json!(false));
        assert_eq!(
            promise("join")["kept"],
            Value::Null,
            "nothing measured is not kept"
        );
        assert!(promise("join").get("max").is_none());
    }
}
