//! The whole of collecting, from an engine of processes with a shell script in the sidecar's place.

use std::time::Duration;

use super::*;
use crate::cluster::checkout::Checkout;
use crate::engine::process::fixture::{Fixture, GRACE, service};
use crate::wait;

async fn running(fixture: &Fixture, name: &str, run: &str) -> String {
    let id = fixture.create_for(run, &service(name, "")).await;
    fixture.engine.start(&id, name).await.unwrap();
    fixture.said(&id, "ready", 1).await;
    id
}

impl Chronicle {
    /// What it knows of one kind, in the order of the times.
    fn told(&self, kind: Kind) -> Vec<String> {
        let mut entries = self.book.with(|book| book.entries());
        entries.retain(|entry| entry.kind == kind);
        entries.sort_by_key(|entry| entry.at);
        let told = |entry: Entry| match entry.text.split_once("found: Up ") {
            Some(_) => format!("{}: found", entry.source),
            None => format!("{}: {}", entry.source, entry.text),
        };
        entries.into_iter().map(told).collect()
    }

    async fn until_told(&self, kind: Kind, expected: &[&str]) {
        let told = async || match self.told(kind) {
            told if told == expected => Ok(()),
            told => Err(told),
        };
        wait::until(GRACE, Duration::from_millis(5), told, |_| {})
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn it_follows_a_container_through_its_lives() {
    let fixture = Fixture::new().await;
    let engine = Engine::Process(fixture.engine.clone());
    let topology = Checkout::find().unwrap().topology("chronicle").unwrap();
    running(&fixture, "before", "r").await;
    let chronicle = Chronicle::start(&engine, "r", &topology);
    let found = "before: found";
    chronicle.until_told(Kind::Engine, &[found]).await;
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
    chronicle.until_told(Kind::Log, &lines).await;
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
    chronicle.until_told(Kind::Engine, &events).await;
    let gone = async || match chronicle.book.with(|book| book.present()) {
        present if present.contains(&id) => Err(present),
        _ => Ok(()),
    };
    wait::until(GRACE, Duration::from_millis(5), gone, |_| {})
        .await
        .unwrap();
    let names = chronicle.book.with(|book| book.containers());
    assert!(names.iter().all(|(_, name)| name != "other"), "{names:?}");
}
