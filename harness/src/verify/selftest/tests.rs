use std::time::Duration;

use super::*;
use crate::verify::scenarios;

fn outcome(name: &str, verdict: Verdict) -> ScenarioResult {
    ScenarioResult {
        name: name.to_owned(),
        about: String::new(),
        run: 1,
        took: Duration::ZERO,
        verdict,
    }
}

fn failed() -> Verdict {
    Verdict::Failed {
        message: "  expected: strict turns\n    of both\n  seen:     a a b\n  last log lines".to_owned(),
    }
}

fn environment_error() -> Verdict {
    Verdict::Error {
        message: "no engine".to_owned(),
    }
}

fn failpoint(name: &str) -> &'static Failpoint {
    FAILPOINTS
        .iter()
        .find(|failpoint| failpoint.name == name)
        .unwrap()
}

fn trial(failpoint: Option<&'static Failpoint>, results: &[(&str, Verdict)]) -> Trial {
    let results = results
        .iter()
        .map(|(name, verdict)| outcome(name, verdict.clone()));
    Trial {
        failpoint,
        results: results.collect(),
    }
}

#[test]
fn every_detecting_scenario_exists() {
    for name in Trial::scenarios(None) {
        assert!(
            scenarios::ALL.iter().any(|scenario| scenario.name == name),
            "{name}"
        );
    }
}

/// The harness does not import the sidecar, so this compares with its source.
#[test]
fn the_failpoints_are_those_of_the_sidecar() {
    let source = include_str!("../../../../sidecar/src/failpoints.rs");
    let known: Vec<&str> = source
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("Self::")?
                .split_once(" => \"")?
                .1
                .strip_suffix("\",")
        })
        .collect();
    let ours: Vec<&str> = FAILPOINTS.iter().map(|failpoint| failpoint.name).collect();
    // The attack tests detect the last one.
    assert_eq!(known, [&ours[..], &["believe-anything"]].concat());
    assert!(source.contains(&format!("= \"{VARIABLE}\"")) && source.contains(WARNING));
}

#[test]
fn without_a_failpoint_every_scenario_must_hold() {
    let good = trial(None, &[(CONTROL, Verdict::Held), ("kill", Verdict::Held)]);
    assert_eq!(good.finding(), Finding::Good);
    let red = trial(None, &[(CONTROL, Verdict::Held), ("kill", failed())]);
    assert!(matches!(red.finding(), Finding::Bad(why) if why.contains("kill")));
    assert!(matches!(trial(None, &[]).finding(), Finding::Bad(_)));
}

#[test]
fn a_failpoint_must_fail_one_of_its_scenarios() {
    let skip = failpoint("skip-drain");
    let detected = [
        (CONTROL, Verdict::Held),
        ("graceful_stop", Verdict::Held),
        ("balancers_restart", failed()),
    ];
    assert_eq!(trial(Some(skip), &detected).finding(), Finding::Good);
    let undetected = [
        (CONTROL, Verdict::Held),
        ("graceful_stop", Verdict::Held),
        ("weights", failed()),
    ];
    assert!(
        matches!(trial(Some(skip), &undetected).finding(), Finding::Bad(why) if why.contains("graceful_stop"))
    );
    let skipped = Verdict::Skipped {
        reason: "no time".to_owned(),
    };
    let skipped = [(CONTROL, Verdict::Held), ("graceful_stop", skipped)];
    assert!(matches!(trial(Some(skip), &skipped).finding(), Finding::Bad(_)));
}

#[test]
fn a_failed_control_scenario_proves_nothing() {
    let weights = failpoint("ignore-weights");
    let down = [(CONTROL, failed()), ("weights", failed())];
    assert!(matches!(trial(Some(weights), &down).finding(), Finding::Bad(why) if why.contains(CONTROL)));
    let unknown = [(CONTROL, Verdict::Held), ("weights", environment_error())];
    assert!(
        matches!(trial(Some(weights), &unknown).finding(), Finding::Unknown(why) if why.contains("no engine"))
    );
}

#[test]
fn the_worst_finding_is_the_exit_code() {
    let bad = || Finding::Bad(String::new());
    assert_eq!(exit_code(&[Finding::Good, Finding::Good]), 0);
    assert_eq!(exit_code(&[bad(), Finding::Good]), 1);
    assert_eq!(exit_code(&[Finding::Unknown(String::new()), bad()]), 2);
}

#[test]
fn a_row_has_the_observation_and_the_expectation_in_one_line() {
    let rows = trial(None, &[("alternation", failed()), ("kill", Verdict::Held)]).rows();
    assert_eq!(
        rows[0],
        [
            "none",
            "alternation",
            "red",
            "seen:     a a b (expected: strict turns)"
        ]
    );
    assert_eq!(rows[1], ["none", "kill", "green", ""]);
    assert_eq!(
        line(&"ä".repeat(MESSAGE_LENGTH + 1)).chars().count(),
        MESSAGE_LENGTH + 1
    );
    assert_eq!(line("one\ntwo"), "one");
}

#[test]
fn the_trial_without_a_failpoint_runs_every_detecting_scenario_once() {
    let names = Trial::scenarios(None);
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len());
    assert_eq!(
        Trial::scenarios(Some(failpoint("no-failover"))),
        [CONTROL, "kill", "unreachable"]
    );
}
