//! The harness and Compose on the same meshes, each with every version of Compose that is installed.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use anyhow::Result;
use harness::cluster::checkout::Checkout;
use harness::compose::cli::ComposeCli;
use tests::Mesh;

const NOTHING: Vec<String> = Vec::new();

/// Runs a test's body for each installed version of Compose, with a mesh that is named by `MESH_NAME`, and one that is
/// named by `-p`.
async fn on_each_compose(body: impl AsyncFn(ComposeCli, Mesh)) {
    if tests::docker().await.unwrap().is_none() {
        return;
    }
    for program in tests::compose().await.unwrap() {
        for by_variable in [true, false] {
            let mesh = Mesh::on_docker().await.unwrap().unwrap();
            let mesh = if by_variable {
                mesh.named_by_variable()
            } else {
                mesh
            };
            body(program, mesh).await;
        }
    }
}

/// Runs Compose on the mesh. The shipped files name the project after `MESH_NAME`.
async fn compose(program: ComposeCli, mesh: &Mesh, arguments: &[&str]) -> Result<String> {
    let file = Checkout::find()?.root().join("compose/compose.yaml");
    let variables = [
        ("MESH_NAME", mesh.project.as_str()),
        ("FRONTEND_PORT", "0"),
        ("LB_A_PORT", "0"),
        ("LB_B_PORT", "0"),
    ];
    let files = [file.as_path()];
    let output = program.run(&files, None, None, &variables, arguments);
    output.await.map_err(anyhow::Error::msg)
}

#[tokio::test]
async fn compose_stops_and_removes_a_mesh_that_the_harness_started() {
    on_each_compose(async |program, mesh| {
        let up = mesh.harness(&["up", "--detach"]).await.unwrap();
        assert_eq!(up.code, Some(0), "{up:#?}");

        compose(program, &mesh, &["stop", "service-a2"]).await.unwrap();
        let status = mesh.harness(&["status"]).await.unwrap();
        assert!(
            status.output.contains("service-a2 has ended (exit code 0)"),
            "{status:#?}"
        );
        let listed = compose(program, &mesh, &["ps"]).await.unwrap();
        assert!(listed.contains(&format!("{}-frontend", mesh.project)), "{listed}");
        compose(program, &mesh, &["down"]).await.unwrap();
        assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
    })
    .await;
}

#[tokio::test]
async fn status_shows_up_refuses_and_down_removes_a_mesh_that_compose_started() {
    on_each_compose(async |program, mesh| {
        compose(program, &mesh, &["up", "-d", "--no-build"])
            .await
            .unwrap();

        mesh.until_status(0).await.unwrap();
        let second = mesh.harness(&["up"]).await.unwrap();
        assert_eq!(second.code, Some(2), "{second:#?}");
        assert!(second.errors.contains("Docker Compose started it"), "{second:#?}");

        let down = mesh.harness(&["down"]).await.unwrap();
        assert_eq!(down.code, Some(0), "{down:#?}");
        assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
    })
    .await;
}
