//! A killed harness: everything that it started is removed without a later command. This test has its own program,
//! because any other start of the harness would remove the leftovers.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use std::time::Duration;

use harness::engine::{Engine, label};
use harness::wait;
use tests::{Mesh, Watchdog, end, labelled, on_each, signal};

/// Timeout for the removal.
const LIMIT: Duration = Duration::from_secs(15);
/// Timeout for a run to start its mesh.
const BEGIN_LIMIT: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_millis(100);

#[tokio::test]
async fn the_mesh_of_a_killed_harness_is_removed() {
    on_each(async |engine| {
        kill_up(engine.clone()).await;
        kill_test(engine).await;
    })
    .await
    .unwrap();
}

async fn kill_up(engine: Engine) {
    let mesh = Mesh::on(engine.clone()).await.unwrap();
    let mut up = mesh.up().await.unwrap();
    assert_eq!(mesh.leftovers().await.unwrap().len(), 6);
    signal(&up, "KILL").await.unwrap();
    assert_eq!(end(&mut up).await.unwrap().code(), None);
    until_gone(&engine, label::PROJECT, &mesh.project).await;
}

async fn kill_test(engine: Engine) {
    let arguments = ["test", "--filter", "alternation", "--repeat", "50"];
    let mut test = tests::spawn(&engine, &arguments).await.unwrap();
    let run_started = async || match Watchdog::of(&test).unwrap() {
        None => Err(vec!["it has no watchdog".to_owned()]),
        Some(Watchdog { run, .. }) => match labelled(&engine, label::RUN, &run).await.unwrap() {
            there if there.len() == 6 => Ok(run),
            there => Err(there),
        },
    };
    let run = wait::until(BEGIN_LIMIT, PERIOD, run_started, |_| {})
        .await
        .unwrap();
    signal(&test, "KILL").await.unwrap();
    assert_eq!(end(&mut test).await.unwrap().code(), None);
    until_gone(&engine, label::RUN, &run).await;
}

async fn until_gone(engine: &Engine, key: &str, value: &str) {
    let gone = async || match labelled(engine, key, value).await.unwrap() {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    };
    let result = wait::until(LIMIT, PERIOD, gone, |_| {}).await;
    result.unwrap_or_else(|left| panic!("on {}: {left}", engine.name()));
}
