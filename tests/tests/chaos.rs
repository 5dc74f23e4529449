//! `harness chaos`: the same faults, again.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "what the tests share is part of each, and fails it as an assertion does"
)]

use harness::runtime::Choice;
use serde_json::Value;
use tests::Finished;

#[tokio::test]
async fn a_seed_makes_the_same_faults_and_what_was_written_down_is_done_again() {
    let processes = Choice::Process.connect().await.unwrap().runtime;
    let arguments = ["chaos", "--seed", "1", "--duration", "5s"];
    let first = tests::harness(&processes, &arguments).await.unwrap();
    held(&first);
    let named = first.errors.split("written down in ").nth(1);
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
    assert!(again.output.contains(&told), "{again:#?}");
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        text,
        "a replay leaves it as it is"
    );
}

fn held(result: &Finished) {
    assert_eq!(result.code, Some(0), "{result:#?}");
    assert!(result.errors.contains("removing: nothing is left"), "{result:#?}");
}
