//! The events of a run's containers.

use futures_util::StreamExt;

use super::super::fixture::{Fixture, GRACE, service};

#[tokio::test]
async fn the_events_of_a_run_are_reported_in_order() {
    let fixture = Fixture::new().await;
    let mut events = std::pin::pin!(fixture.engine.events("r"));
    let other = fixture.create_for("another", &service("other", "")).await;
    fixture.engine.start(&other, "other").await.unwrap();
    let id = fixture.create_for("r", &service("one", "")).await;
    fixture.engine.start(&id, "one").await.unwrap();
    fixture.said(&id, "ready", 1).await;
    fixture.engine.pause(&id).await.unwrap();
    fixture.engine.unpause(&id).await.unwrap();
    fixture.engine.stop(&id, GRACE).await.unwrap();
    fixture.engine.start(&id, "one").await.unwrap();
    fixture.said(&id, "ready", 2).await;
    fixture.engine.kill(&id).await.unwrap();
    fixture.engine.start(&id, "one").await.unwrap();
    fixture.engine.remove(&id).await.unwrap();
    let mut actions = Vec::new();
    while actions.last().is_none_or(|last| last != "destroy") {
        let event = tokio::time::timeout(GRACE, events.next()).await.unwrap();
        let event = event.unwrap().unwrap();
        assert_eq!((&event.id, event.name.as_str()), (&id, "one"));
        actions.push(event.action.to_string());
    }
    assert_eq!(
        actions,
        [
            "create",
            "start",
            "pause",
            "unpause",
            "kill (signal 15)",
            "die (exit code 3)",
            "stop",
            "start",
            "kill (signal 9)",
            "die (exit code 137)",
            "start",
            "die (exit code 137)",
            "destroy"
        ]
    );
}

#[tokio::test]
async fn a_container_that_exits_on_its_own_has_a_die_event() {
    let fixture = Fixture::new().await;
    let id = fixture.create_for("r", &service("one", "exit 7")).await;
    let mut events = std::pin::pin!(fixture.engine.events("r"));
    fixture.engine.start(&id, "one").await.unwrap();
    for expected in ["start", "die (exit code 7)"] {
        let event = tokio::time::timeout(GRACE, events.next()).await.unwrap();
        assert_eq!(event.unwrap().unwrap().action.to_string(), expected);
    }
}
