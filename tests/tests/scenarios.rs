//! `harness test`: its output, its reports, and its clean-up. CI runs the whole suite separately.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use std::path::PathBuf;
use std::time::Duration;

use harness::engine::owner::Owner;
use harness::engine::{Container, Engine, EngineChoice, label};
use harness::wait;
use serde_json::Value;
use tests::{Finished, Mesh, Watchdog, finished, labelled, on_each};
use tokio::process::Child;
use tokio::sync::Mutex;

const NOTHING: Vec<String> = Vec::new();
/// Timeout for a run to start its mesh.
const BEGIN_LIMIT: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_millis(20);

/// Held by each test that starts meshes: concurrent tests slow each other down, which affects the measured objectives.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn a_run_writes_its_reports_and_does_not_affect_another_mesh() {
    let _alone = ALONE.lock().await;
    on_each(async |engine| {
        let other = Mesh::on(engine.clone()).await.unwrap();
        let up = other.harness(&["up", "--detach"]).await.unwrap();
        assert_eq!(up.code, Some(0), "{up:#?}");

        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (junit, json, markdown) = (file("junit.xml"), file("report.json"), file("summary.md"));
        let existing = "Existing text.\n";
        std::fs::write(&markdown, existing).unwrap();
        let arguments = [
            "test",
            "--filter",
            "alternation",
            "--filter",
            "kill",
            "--objectives",
            "informative",
            "--junit",
            &junit,
            "--json",
            &json,
            "--markdown",
            &markdown,
        ];
        let test = tests::spawn(&engine, &arguments).await.unwrap();
        let pid = test.id().unwrap();
        let result = finished(test).await.unwrap();
        assert!(result.output.contains("All 2 scenarios held."), "{result:#?}");
        assert!(result.output.contains("last start -> all answer"), "{result:#?}");
        assert!(result.errors.contains("removing: nothing is left"), "{result:#?}");
        assert_eq!(of_process(&engine, pid).await, NOTHING);

        let read = |path: &str| std::fs::read_to_string(path).unwrap();
        check_json(&read(&json), engine.name());
        check_junit(&read(&junit), engine.name());
        // Whether an objective is missed depends on the machine's load.
        assert_eq!(result.code, Some(0), "{result:#?}");
        assert!(result.output.contains("\nLoad of the machine: "), "{result:#?}");
        let summary = read(&markdown);
        let summary = summary.strip_prefix(existing).expect("the report is appended");
        for part in [
            &format!("## Mesh on {}", engine.name()),
            "\n| alternation | ",
            "\n| kill | ",
            "All 2 scenarios held.",
        ] {
            assert!(summary.contains(part), "no `{part}` in {summary}");
        }

        other.until_status(0).await.unwrap();
        let down = other.harness(&["down"]).await.unwrap();
        assert_eq!(down.code, Some(0), "{down:#?}");
        assert_eq!(other.leftovers().await.unwrap(), NOTHING);
    })
    .await
    .unwrap();
}

/// Checks the JSON report.
fn check_json(text: &str, engine: &str) {
    let report: Value = serde_json::from_str(text).unwrap();
    assert_eq!(report["runtime"], engine);
    let scenarios = report["scenarios"].as_array().unwrap();
    let outcomes: Vec<(&Value, &Value)> = scenarios
        .iter()
        .map(|scenario| (&scenario["name"], &scenario["outcome"]))
        .collect();
    assert_eq!(outcomes.len(), 2, "{text}");
    for name in ["alternation", "kill"] {
        assert!(
            outcomes.contains(&(&name.into(), &"held".into())),
            "{name} in {text}"
        );
    }
    let objectives = report["objectives"].as_array().unwrap();
    // The two scenarios measure two objectives; the others are listed as not measured.
    for name in ["ready", "kill_to_last_error"] {
        let objective = objectives
            .iter()
            .find(|objective| objective["name"] == name)
            .unwrap();
        let met = objective["max"].as_u64().unwrap() <= objective["limit"].as_u64().unwrap();
        assert_eq!(objective["met"], met, "{objective}");
    }
    assert!(
        objectives.iter().any(|objective| objective["count"] == 0),
        "{objectives:?}"
    );
    assert_eq!(
        (&report["exit_code"], &report["objectives_informative"]),
        (&0.into(), &true.into())
    );
    assert!(report["load"]["mean"].is_f64(), "{}", report["load"]);
}

fn check_junit(text: &str, engine: &str) {
    let report = quick_junit::Report::deserialize_from_str(text).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (3, 0, 0));
    let suite = &report.test_suites[0];
    assert_eq!(suite.name.as_str(), format!("mesh.{engine}"));
    let mut names: Vec<&str> = suite.test_cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["alternation", "kill", "objectives"]);
}

#[tokio::test]
async fn list_shows_the_selected_scenarios_and_an_unmatched_filter_is_refused() {
    let engine = EngineChoice::Auto.connect().await.unwrap().engine;
    let list = tests::harness(&engine, &["test", "--list"]).await.unwrap();
    assert_eq!(list.code, Some(0), "{list:#?}");
    for name in ["alternation", "kill", "partition"] {
        assert!(
            list.output.lines().any(|line| line.starts_with(name)),
            "no {name}: {list:#?}"
        );
    }
    let some = tests::harness(&engine, &["test", "--list", "--filter", "partition"])
        .await
        .unwrap();
    assert!(
        some.output.contains("partition") && !some.output.contains("alternation"),
        "{some:#?}"
    );

    let arguments = ["test", "--filter", "kill", "--filter", "nothing-like-it"];
    let refused = tests::harness(&engine, &arguments).await.unwrap();
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    for part in [
        "no scenario's name contains `nothing-like-it`",
        "alternation",
        "kill",
    ] {
        assert!(refused.errors.contains(part), "no `{part}`: {refused:#?}");
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_written_is_refused_before_anything_is_started() {
    let engine = EngineChoice::Auto.connect().await.unwrap().engine;
    for what in [
        &["test", "--junit"][..],
        &["test", "--json"],
        &["test", "--markdown"],
        &["bench", "convergence", "--json"],
        &["bench", "mesh", "--markdown"],
    ] {
        let arguments = [what, &["/no/such/directory/report"]].concat();
        let refused = tests::harness(&engine, &arguments).await.unwrap();
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        assert!(
            refused
                .errors
                .starts_with("harness: /no/such/directory/report cannot be written"),
            "{refused:#?}"
        );
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_scenario_that_needs_docker_is_skipped_on_processes_and_fails_if_docker_is_required() {
    let _alone = ALONE.lock().await;
    let processes = EngineChoice::Process.connect().await.unwrap().engine;
    let arguments = ["test", "--filter", "partition"];
    let skipped = tests::harness(&processes, &arguments).await.unwrap();
    assert_eq!(skipped.code, Some(0), "{skipped:#?}");
    assert!(
        skipped.errors.contains("skipped: it needs Docker"),
        "{skipped:#?}"
    );
    assert!(skipped.output.contains("1 skipped"), "{skipped:#?}");

    let required = [&arguments[..], &["--require", "docker"]].concat();
    let failed = tests::harness(&processes, &required).await.unwrap();
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(
        failed
            .errors
            .contains("it needs Docker, and --require docker was given"),
        "{failed:#?}"
    );
    assert!(
        !failed.errors.contains(": failed ("),
        "a stage that succeeded is reported as failed: {failed:#?}"
    );
}

#[tokio::test]
async fn a_failed_scenario_has_a_timeline_and_keep_leaves_its_mesh_running() {
    let _alone = ALONE.lock().await;
    on_each(async |engine| {
        let (failed, run) = with_an_instance_killed(&engine, &[]).await;
        assert!(failed.errors.contains("removing: nothing is left"), "{failed:#?}");
        assert_eq!(labelled(&engine, label::RUN, &run).await.unwrap(), NOTHING);
        let why = why_file(&failed);
        let printed = tests::harness_on_no_runtime(&["why", why.to_str().unwrap()])
            .await
            .unwrap();
        assert_eq!(printed.code, Some(0), "{printed:#?}");
        assert_eq!(printed.output, std::fs::read_to_string(&why).unwrap());
        for part in ["alternation", "service-a2"] {
            assert!(printed.output.contains(part), "no `{part}`: {printed:#?}");
        }

        let (kept, run) = with_an_instance_killed(&engine, &["--keep"]).await;
        let there = containers(&engine, &run).await;
        assert_eq!(there.len(), 5, "{there:#?}\n{kept:#?}");
        let project = there[0].label(label::PROJECT);
        assert!(
            kept.errors.contains(&format!("The mesh `{project}` stays up.")),
            "{kept:#?}"
        );
        // The output has the command that removes the mesh.
        let down = ["down", "-p", project];
        assert!(kept.errors.contains(&down.join(" ")), "{kept:#?}");
        let down = tests::harness(&engine, &down).await.unwrap();
        assert_eq!(down.code, Some(0), "{down:#?}");
        assert_eq!(labelled(&engine, label::RUN, &run).await.unwrap(), NOTHING);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_unwritten_report_does_not_hide_a_failed_suite() {
    let _alone = ALONE.lock().await;
    on_each(async |engine| {
        let directory = tempfile::tempdir().unwrap();
        let gone = directory.path().join("report.json");
        let arguments = [
            "test",
            "--filter",
            "alternation",
            "--json",
            gone.to_str().unwrap(),
        ];
        let test = tests::spawn(&engine, &arguments).await.unwrap();
        let (_, instance) = running_instance(&engine, &test).await;
        directory.close().unwrap();
        let result = with_one_killed(&engine, test, &instance).await;
        assert!(
            result.errors.contains("report.json cannot be written"),
            "{result:#?}"
        );
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_interrupted_run_reports_its_results_so_far() {
    let _alone = ALONE.lock().await;
    on_each(async |engine| {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (junit, json) = (file("junit.xml"), file("report.json"));
        let test = ["test", "--filter", "alternation", "--repeat", "50"];
        let arguments = [&test[..], &["--junit", &junit, "--json", &json]].concat();
        let test = tests::spawn(&engine, &arguments).await.unwrap();
        let (run, _) = running_instance(&engine, &test).await;
        tests::signal(&test, "TERM").await.unwrap();
        let result = finished(test).await.unwrap();
        assert_eq!(result.code, Some(130), "{result:#?}");
        assert!(result.output.contains("Interrupted. "), "{result:#?}");
        assert!(result.errors.contains("removing: nothing is left"), "{result:#?}");
        assert_eq!(labelled(&engine, label::RUN, &run).await.unwrap(), NOTHING);

        let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
        assert_eq!(
            (&report["interrupted"], &report["exit_code"]),
            (&true.into(), &130.into())
        );
        let scenarios = report["scenarios"].as_array().unwrap();
        assert!(!scenarios.is_empty() && scenarios.len() < 50, "{report}");
        let junit = std::fs::read_to_string(&junit).unwrap();
        let junit = quick_junit::Report::deserialize_from_str(&junit).unwrap();
        assert_eq!(junit.errors, 1, "{junit:#?}");
    })
    .await
    .unwrap();
}

/// Runs one scenario, and kills one of its two equal instances as soon as it is running. Returns the result and the
/// run's label.
async fn with_an_instance_killed(engine: &Engine, options: &[&str]) -> (Finished, String) {
    let arguments = [&["test", "--filter", "alternation"], options].concat();
    let test = tests::spawn(engine, &arguments).await.unwrap();
    let (run, instance) = running_instance(engine, &test).await;
    (with_one_killed(engine, test, &instance).await, run)
}

async fn with_one_killed(engine: &Engine, test: Child, instance: &Container) -> Finished {
    engine.kill(&instance.id).await.unwrap();
    let result = finished(test).await.unwrap();
    assert_eq!(result.code, Some(1), "{result:#?}");
    assert!(result.errors.contains("alternation does not hold"), "{result:#?}");
    assert!(
        result.output.contains("1 of 1 failed: alternation."),
        "{result:#?}"
    );
    result
}

async fn running_instance(engine: &Engine, test: &Child) -> (String, Container) {
    let runs = async || {
        let Some(Watchdog { run, .. }) = Watchdog::of(test).unwrap() else {
            return Err(vec!["it has no watchdog".to_owned()]);
        };
        let mut there = containers(engine, &run).await.into_iter();
        match there.find(|container| container.label(label::SERVICE) == "service-a2" && container.running()) {
            Some(container) => Ok((run, container)),
            None => Err(vec!["service-a2 is not running".to_owned()]),
        }
    };
    wait::until(BEGIN_LIMIT, PERIOD, runs, |_| {}).await.unwrap()
}

async fn containers(engine: &Engine, run: &str) -> Vec<Container> {
    let filter = format!("{}={run}", label::RUN);
    engine.containers(&filter).await.unwrap()
}

/// The timeline file named in a failure message.
fn why_file(failed: &Finished) -> PathBuf {
    let words = failed.errors.split_whitespace();
    let mut files = words.filter(|word| word.contains("/harness/why/") && word.ends_with(".txt"));
    files
        .next()
        .unwrap_or_else(|| panic!("no timeline file: {failed:#?}"))
        .into()
}

/// Names of the containers and networks owned by a harness process.
async fn of_process(engine: &Engine, pid: u32) -> Vec<String> {
    let containers = engine.containers(label::OWNER).await.unwrap();
    let networks = engine.networks(label::OWNER).await.unwrap();
    let containers = containers.into_iter().map(|it| (it.name, it.labels));
    let networks = networks.into_iter().map(|it| (it.name, it.labels));
    let its = |owner: &String| matches!(owner.parse(), Ok(Owner::Process(process)) if process.pid == pid);
    containers
        .chain(networks)
        .filter(|(_, labels)| labels.get(label::OWNER).is_some_and(its))
        .map(|(name, _)| name)
        .collect()
}
