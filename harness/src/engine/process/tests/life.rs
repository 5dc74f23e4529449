//! The life of containers: created, running, paused, ended, removed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::super::fixture::{Fixture, GRACE, open, service};
use super::super::tree;
use crate::engine::{ContainerSpec, EngineError};

#[tokio::test]
async fn a_container_lives_from_its_creation_to_its_removal() {
    let fixture = Fixture::new().await;
    let command = "--load /etc/sidecar/lb.conf --discovery-config /etc/sidecar/discovery.conf";
    let id = fixture.create(&service("one", command)).await.unwrap();
    let made = fixture.engine.container(&id).await.unwrap();
    assert_eq!(
        (made.state.as_str(), made.status.as_str()),
        ("created", "Created")
    );
    assert_eq!(made.command, format!("/bin/sidecar {command}"));
    assert!(made.ports.is_empty(), "no port is bound yet");

    fixture.engine.start(&id, "one").await.unwrap();
    fixture.engine.start(&id, "one").await.unwrap();
    fixture.said(&id, "ready", 1).await;
    let up = fixture.engine.container(&id).await.unwrap();
    assert!(up.running() && up.status.starts_with("Up "), "{}", up.status);
    let endpoint = up.endpoint(9090).unwrap();
    assert!(
        endpoint.ip().is_loopback() && endpoint.ip() != Ipv4Addr::LOCALHOST,
        "{endpoint}"
    );
    assert_eq!(up.address, Some(endpoint.ip()));
    let home = fixture.engine.core.home(&id);
    let began = format!(
        "began {}",
        command.replace("/etc/sidecar", home.configs().to_str().unwrap())
    );
    assert_eq!(fixture.last_lines(&id, 9).await, [began.as_str(), "ready"]);
    let text = |name: &str| std::fs::read_to_string(home.configs().join(name)).unwrap();
    assert_eq!(text("lb.conf"), format!("address {}:8081\n", endpoint.ip()));
    assert!(text("discovery.conf").contains(&format!("discovery.node_name = {}\n", up.short_id())));

    fixture.settled(&id).await;

    // A later harness process finds the container and stops it.
    let other = open(fixture.directory.path());
    assert_eq!(
        other.containers("of=one").await.unwrap(),
        [other.container(&id).await.unwrap()]
    );
    assert!(other.containers("of=two").await.unwrap().is_empty());
    assert_eq!(other.stop(&id, GRACE).await.unwrap(), 3);
    assert!(
        tree::marked(&[&id]).is_empty(),
        "its program's children end with it"
    );
    let ended = fixture.ended(&id).await;
    assert!(ended.status.starts_with("Exited (3) "), "{}", ended.status);
    assert!(ended.ports.is_empty() && ended.address.is_none());
    assert_eq!(other.stop(&id, GRACE).await.unwrap(), 3, "it is already stopped");

    other.start(&id, "one").await.unwrap();
    fixture.said(&id, "ready", 2).await;
    assert_eq!(
        fixture.engine.container(&id).await.unwrap().endpoint(9090),
        Some(endpoint)
    );
    fixture.engine.remove(&id).await.unwrap();
    fixture.engine.remove(&id).await.unwrap();
    assert!(tree::marked(&[&id]).is_empty());
    assert!(other.all_containers().await.unwrap().is_empty());
    assert!(matches!(
        other.container(&id).await,
        Err(EngineError::Missing { .. })
    ));
    other.remove_network(&fixture.network).await.unwrap();
    for part in ["containers", "networks", "tmp"] {
        let left = std::fs::read_dir(fixture.directory.path().join("state").join(part)).unwrap();
        assert_eq!(left.count(), 0, "{part}");
    }
}

#[tokio::test]
async fn a_kill_ends_all_processes_of_a_container() {
    let fixture = Fixture::new().await;
    let id = fixture.running("one", "").await;
    assert!(tree::marked(&[&id]).len() >= 4);
    fixture.engine.kill(&id).await.unwrap();
    assert!(tree::marked(&[&id]).is_empty());
    let container = fixture.engine.container(&id).await.unwrap();
    assert!(
        container.status.starts_with("Exited (137) "),
        "{}",
        container.status
    );
    assert!(
        fixture
            .engine
            .kill(&id)
            .await
            .unwrap_err()
            .to_string()
            .contains("is not running")
    );
    assert!(fixture.engine.processes(&id).await.is_err());
}

#[tokio::test]
async fn a_container_that_does_not_stop_in_time_is_killed() {
    let fixture = Fixture::new().await;
    let id = fixture.running("one", "stubborn").await;
    assert_eq!(
        fixture.engine.stop(&id, Duration::from_millis(50)).await.unwrap(),
        137
    );
    assert!(tree::marked(&[&id]).is_empty());
}

#[tokio::test]
async fn a_paused_container_resumes_when_it_is_unpaused_or_stopped() {
    let fixture = Fixture::new().await;
    let id = fixture.running("one", "").await;
    assert!(
        fixture
            .engine
            .unpause(&id)
            .await
            .unwrap_err()
            .to_string()
            .contains("not paused")
    );
    fixture.engine.pause(&id).await.unwrap();
    let container = fixture.engine.container(&id).await.unwrap();
    assert_eq!(container.state, "paused");
    assert!(container.status.ends_with("(Paused)") && !container.ports.is_empty());
    assert!(tree::marked(&[&id]).iter().all(|process| process.stat.stopped));
    assert!(
        fixture
            .engine
            .pause(&id)
            .await
            .unwrap_err()
            .to_string()
            .contains("already")
    );
    fixture.engine.unpause(&id).await.unwrap();
    assert_eq!(fixture.state(&id).await, "running");
    assert!(tree::marked(&[&id]).iter().all(|process| !process.stat.stopped));
    fixture.engine.pause(&id).await.unwrap();
    assert_eq!(fixture.engine.stop(&id, GRACE).await.unwrap(), 3);
    assert!(fixture.engine.pause(&id).await.is_err(), "it is not running");
    fixture.engine.start(&id, "one").await.unwrap();
    fixture.said(&id, "ready", 2).await;
    fixture.engine.pause(&id).await.unwrap();
    fixture.engine.kill(&id).await.unwrap();
    assert!(tree::marked(&[&id]).is_empty());
}

#[tokio::test]
async fn the_exit_code_of_a_container_that_exits_on_its_own_is_kept() {
    let fixture = Fixture::new().await;
    let id = fixture.create(&service("one", "exit 7")).await.unwrap();
    fixture.engine.start(&id, "one").await.unwrap();
    let ended = fixture.ended(&id).await;
    assert!(ended.status.starts_with("Exited (7) "), "{}", ended.status);
    assert_eq!(fixture.last_lines(&id, 9).await, ["began exit 7"]);
}

#[tokio::test]
async fn a_container_with_a_lifeline_ends_with_the_process_that_started_it() {
    let fixture = Fixture::new().await;
    let spec = ContainerSpec {
        service: service("one", "x"),
        network: fixture.network.clone(),
        labels: BTreeMap::new(),
        lifeline: true,
    };
    let id = fixture.engine.create(spec).await.unwrap();
    // Dropping the runtime ends the engine's tasks, as the end of a process does.
    let other = tokio::runtime::Runtime::new().unwrap();
    let (engine, started) = (fixture.engine.clone(), id.clone());
    let starting = other.spawn(async move { engine.start(&started, "one").await });
    starting.await.unwrap().unwrap();
    fixture.said(&id, "began --end-with-stdin x", 1).await;
    assert_eq!(fixture.state(&id).await, "running");
    other.shutdown_background();
    let ended = fixture.ended(&id).await;
    assert!(ended.status.starts_with("Exited (5) "), "{}", ended.status);
}
