//! `harness chaos`: the same faults, again.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "what the tests share is part of each, and fails it as an assertion does"
)]

use harness::engine::EngineChoice;
use serde_json::Value;
use tests::Finished;

#[tokio::test]
async fn a_seed_makes_the_same_faults_and_what_was_written_down_is_done_again() {
    let processes = EngineChoice::Process.connect().await.unwrap().engine;
    let arguments = ["chaos", "--seed", "1", "--duration", "5s"];
    let first = tests::harness(&processes, &arguments).await.unwrap();
    held(&first);
    let named = first.errors.split("written to ").nth(1);
    let file = named.and_then(|rest| rest.lines().next()).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let schedule: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(schedule["seed"], 1, "{text}");
    let faults = schedule["steps"].as_array().unwrap().len();
    assert!(faults > 0, "{text}");
    let told = format!("It held: {faults} faults;");
    assert!(first.output.contains(&told), "{first:#?}");

    let again = tests::harness(&processes, &["chaos", "--replay", file])
        .await
        .unwrap();
    held(&again);
    assert!(again.errors.contains(&format!("read from {file}")), "{again:#?}");
    assert!(again.output.contains(&told), "{again:#?}");
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        text,
        "a replay leaves it as it is"
    );
}

#[tokio::test]
async fn a_schedule_for_another_runtime_or_mesh_is_refused_before_anything_is_built() {
    let processes = EngineChoice::Process.connect().await.unwrap().engine;
    let members = r#"{"frontend": null, "lb": null, "service-a": "a", "service-a2": "a", "service-b": "b"}"#;
    let cut = r#"{"at_ms": 0, "fault": {"cut-node": {"member": "lb"}}, "heal_after_ms": 1000}"#;
    let kill = r#"{"at_ms": 0, "fault": {"kill": {"member": "lb"}}, "heal_after_ms": 1000}"#;
    let directory = tempfile::tempdir().unwrap();
    for (members, step, why) in [
        (members, cut, "it cannot cut-node"),
        (
            r#"{"lb": null, "other": "a"}"#,
            kill,
            "it is for a mesh of lb, other",
        ),
    ] {
        let file = directory.path().join("schedule.json");
        let text = format!(
            r#"{{"version": 1, "seed": 0, "duration_ms": 9000, "members": {members}, "steps": [{step}]}}"#
        );
        std::fs::write(&file, text).unwrap();
        let arguments = ["chaos", "--replay", file.to_str().unwrap()];
        let refused = tests::harness(&processes, &arguments).await.unwrap();
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        assert!(refused.errors.contains(why), "no `{why}`: {refused:#?}");
        assert!(!refused.errors.contains("image"), "{refused:#?}");
    }
}

fn held(result: &Finished) {
    assert_eq!(result.code, Some(0), "{result:#?}");
    assert!(result.errors.contains("removing: nothing is left"), "{result:#?}");
}
