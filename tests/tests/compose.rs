//! The harness's commands on a mesh that Compose started or changed.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use std::time::Duration;

use anyhow::{Result, anyhow};
use harness::cluster::checkout::Checkout;
use harness::compose::cli::ComposeCli;
use tests::Mesh;

/// Runs Compose on the mesh.
async fn compose(mesh: &Mesh, arguments: &[&str]) -> Result<()> {
    let missing = || {
        anyhow!(
            "this test needs `docker compose` or `docker-compose` (Debian: apt-get install docker-compose)"
        )
    };
    let program = ComposeCli::find().await.ok_or_else(missing)?;
    let file = Checkout::find()?.root().join("compose/compose.yaml");
    let variables = [
        ("MESH_NAME", mesh.project.as_str()),
        ("FRONTEND_PORT", "0"),
        ("LB_A_PORT", "0"),
        ("LB_B_PORT", "0"),
    ];
    let files = [file.as_path()];
    let output = program.run(&files, None, &mesh.project, &variables, arguments);
    output.await.map(drop).map_err(|error| anyhow!(error))
}

#[tokio::test]
async fn status_reports_a_container_that_compose_stopped() {
    let Some(mesh) = Mesh::on_docker().await.unwrap() else {
        return;
    };
    let up = mesh.harness(&["up", "--detach"]).await.unwrap();
    assert_eq!(up.code, Some(0), "{up:#?}");

    compose(&mesh, &["stop", "service-a2"]).await.unwrap();
    let status = mesh.harness(&["status"]).await.unwrap();
    assert!(
        status.output.contains("service-a2 is not running: Exited (0)"),
        "{status:#?}"
    );
    let down = mesh.harness(&["down"]).await.unwrap();
    assert_eq!(down.code, Some(0), "{down:#?}");
    assert_eq!(mesh.leftovers().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn status_shows_up_refuses_and_down_removes_a_mesh_that_compose_started() {
    let Some(mesh) = Mesh::on_docker().await.unwrap() else {
        return;
    };
    compose(&mesh, &["up", "-d", "--no-build"]).await.unwrap();

    let converged = async || {
        let status = mesh
            .harness(&["status"])
            .await
            .map_err(|error| vec![error.to_string()])?;
        if status.code == Some(0) {
            Ok(())
        } else {
            Err(vec![status.output])
        }
    };
    let (limit, period) = (Duration::from_secs(30), Duration::from_millis(100));
    harness::wait::until(limit, period, converged, |_| {})
        .await
        .unwrap();

    let second = mesh.harness(&["up"]).await.unwrap();
    assert_eq!(second.code, Some(2), "{second:#?}");
    assert!(second.errors.contains("Docker Compose started it"), "{second:#?}");

    let down = mesh.harness(&["down"]).await.unwrap();
    assert_eq!(down.code, Some(0), "{down:#?}");
    assert_eq!(mesh.leftovers().await.unwrap(), Vec::<String>::new());
}
