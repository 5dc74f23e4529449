//! `harness chaos`: seeds, replays, and refused schedules.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use harness::engine::EngineChoice;
use serde_json::Value;
use tests::Finished;

#[tokio::test]
async fn a_seeded_schedule_is_written_to_a_file_and_can_be_replayed() {
    let processes = EngineChoice::Process.connect().await.unwrap().engine;
    let arguments = ["chaos", "--seed", "1", "--duration", "5s"];
    let first = tests::harness(&processes, &arguments).await.unwrap();
    assert_recovered(&first);
    let named = first.errors.split("written to ").nth(1);
    let file = named.and_then(|rest| rest.lines().next()).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let schedule: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(schedule["seed"], 1, "{text}");
    let faults = schedule["steps"].as_array().unwrap().len();
    assert!(faults > 0, "{text}");
    let message = format!("It recovered from {faults} faults:");
    assert!(first.output.contains(&message), "{first:#?}");

    let again = tests::harness(&processes, &["chaos", "--replay", file])
        .await
        .unwrap();
    assert_recovered(&again);
    assert!(again.errors.contains(&format!("read from {file}")), "{again:#?}");
    assert!(again.output.contains(&message), "{again:#?}");
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        text,
        "a replay does not change the file"
    );
}

#[tokio::test]
async fn a_schedule_for_another_engine_or_mesh_is_refused_before_the_image_is_built() {
    let processes = EngineChoice::Process.connect().await.unwrap().engine;
    let members = r#"{"frontend": null, "lb": null, "service-a": "a", "service-a2": "a", "service-b": "b"}"#;
    let cut = r#"{"at_ms": 0, "fault": {"cut-node": {"member": "lb"}}, "heal_after_ms": 1000}"#;
    let kill = r#"{"at_ms": 0, "fault": {"kill": {"member": "lb"}}, "heal_after_ms": 1000}"#;
    let directory = tempfile::tempdir().unwrap();
    for (members, step, why) in [
        (members, cut, "it does not support cut-node"),
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

fn assert_recovered(result: &Finished) {
    assert_eq!(result.code, Some(0), "{result:#?}");
    assert!(result.errors.contains("removing: nothing is left"), "{result:#?}");
}
