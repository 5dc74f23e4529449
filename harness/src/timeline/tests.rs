//! Tests of the collector on a process runtime whose containers run a shell script instead of a sidecar.

use std::time::Duration;

use super::*;
use crate::cluster::checkout::Checkout;
use crate::engine::process::fixture::{Fixture, GRACE, service};
use crate::wait;

async fn running(fixture: &Fixture, name: &str, run: &str) -> String {
    let id = fixture.create_for(run, &service(name, "")).await;
    fixture.engine.start(&id, name).await.unwrap();
    fixture.said(&id, "ready", 1).await;
    fixture.settled(&id).await;
    id
}

impl Timeline {
    /// All entries of one kind, sorted by time.
    fn lines(&self, kind: EntryKind) -> Vec<String> {
        let mut entries = self.log.with(|log| log.entries());
        entries.retain(|entry| entry.kind == kind);
        entries.sort_by_key(|entry| entry.at);
        let line = |entry: Entry| match entry.text.split_once("found: Up ") {
            Some(_) => format!("{}: found", entry.source),
            None => format!("{}: {}", entry.source, entry.text),
        };
        entries.into_iter().map(line).collect()
    }

    async fn wait_for(&self, kind: EntryKind, expected: &[&str]) {
        let lines = async || match self.lines(kind) {
            lines if lines == expected => Ok(()),
            lines => Err(lines),
        };
        wait::until(GRACE, Duration::from_millis(5), lines, |_| {})
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_container_is_followed_across_restarts_until_its_removal() {
    let fixture = Fixture::new().await;
    let engine = Engine::Process(fixture.engine.clone());
    let topology = Checkout::find().unwrap().topology("timeline").unwrap();
    running(&fixture, "before", "r").await;
    let timeline = Timeline::start(&engine, "r", &topology);
    let found = "before: found";
    timeline.wait_for(EntryKind::Engine, &[found]).await;
    running(&fixture, "other", "another").await;
    let id = running(&fixture, "one", "r").await;
    fixture.engine.pause(&id).await.unwrap();
    fixture.engine.unpause(&id).await.unwrap();
    fixture.engine.kill(&id).await.unwrap();
    fixture.engine.start(&id, "one").await.unwrap();
    fixture.said(&id, "ready", 2).await;
    fixture.engine.stop(&id, GRACE).await.unwrap();
    let lines = [
        "before: began ",
        "before: ready",
        "one: began ",
        "one: ready",
        "one: began ",
        "one: ready",
        "one: stopping",
    ];
    timeline.wait_for(EntryKind::Log, &lines).await;
    fixture.engine.remove(&id).await.unwrap();
    let events = [
        found,
        "one: create",
        "one: start",
        "one: pause",
        "one: unpause",
        "one: kill (signal 9)",
        "one: die (exit code 137)",
        "one: start",
        "one: kill (signal 15)",
        "one: die (exit code 3)",
        "one: stop",
        "one: destroy",
    ];
    timeline.wait_for(EntryKind::Engine, &events).await;
    let gone = async || match timeline.log.with(|log| log.present()) {
        present if present.contains(&id) => Err(present),
        _ => Ok(()),
    };
    wait::until(GRACE, Duration::from_millis(5), gone, |_| {})
        .await
        .unwrap();
    let names = timeline.log.with(|log| log.containers());
    assert!(names.iter().all(|(_, name)| name != "other"), "{names:?}");
}
