//! Containers that are disconnected from their network and connected again, at another address.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use anyhow::{Result, ensure};
use harness::engine::label;
use tests::Mesh;

/// The instances of one service, which exchange their addresses or get new ones.
const INSTANCES: [&str; 2] = ["service-a", "service-a2"];

async fn docker(mesh: &Mesh, arguments: &[&str]) -> Result<()> {
    let run = mesh.run("docker", arguments).await?;
    ensure!(run.code == Some(0), "{run:#?}");
    Ok(())
}

#[tokio::test]
async fn containers_that_come_back_at_another_address_are_found_by_all() {
    let Some(mesh) = Mesh::on_docker().await.unwrap() else {
        return;
    };
    let up = mesh.harness(&["up", "--detach"]).await.unwrap();
    assert_eq!(up.code, Some(0), "{up:#?}");
    let filter = format!("{}={}", label::PROJECT, mesh.project);
    let network = mesh.engine.networks(&filter).await.unwrap().remove(0).id;

    let mut before = Vec::new();
    for name in INSTANCES {
        let container = mesh.container(name).await.unwrap();
        docker(&mesh, &["network", "disconnect", &network, &container.id])
            .await
            .unwrap();
        before.push(container);
    }
    mesh.until_status(1).await.unwrap();
    // The engine assigns the lowest free address or a new one: the container that had the higher one comes first, so that
    // none gets its own back.
    let mut highest_first = before.clone();
    highest_first.sort_by_key(|container| std::cmp::Reverse(container.address));
    for container in &highest_first {
        docker(&mesh, &["network", "connect", &network, &container.id])
            .await
            .unwrap();
    }
    mesh.until_status(0).await.unwrap();
    for (name, before) in INSTANCES.iter().zip(&before) {
        let now = mesh.container(name).await.unwrap();
        assert_ne!(now.address, before.address, "{name}");
        assert!(now.running() && now.id == before.id, "{name} was not restarted");
    }

    let down = mesh.harness(&["down"]).await.unwrap();
    assert_eq!(down.code, Some(0), "{down:#?}");
    assert_eq!(mesh.leftovers().await.unwrap(), Vec::<String>::new());
}
