//! The harness and Compose on the same meshes, each with every version of Compose that is installed.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use anyhow::Result;
use harness::cluster::checkout::Checkout;
use harness::cluster::topology::PORT_VARIABLES;
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
    let mut variables = vec![("MESH_NAME", mesh.project.as_str())];
    variables.extend(PORT_VARIABLES.map(|port| (port, "0")));
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

#[tokio::test]
async fn the_harness_sees_and_removes_what_compose_has_scaled() {
    on_each_compose(async |program, mesh| {
        let scale = ["--scale", "service-a2=3"];
        let up = [&["up", "-d", "--no-build"][..], &scale].concat();
        compose(program, &mesh, &up).await.unwrap();
        mesh.until_status(0).await.unwrap();
        assert_eq!(
            mesh.leftovers().await.unwrap().len(),
            8,
            "seven containers and a network"
        );
        let scaled = mesh.harness(&["scale", "service-a2=2"]).await.unwrap();
        assert_eq!(scaled.code, Some(0), "{scaled:#?}");
        assert_eq!(mesh.leftovers().await.unwrap().len(), 7);
        let refused = mesh.harness(&["scale", "service-a2=4"]).await.unwrap();
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        assert!(refused.errors.contains("Docker Compose started"), "{refused:#?}");
        let down = mesh.harness(&["down"]).await.unwrap();
        assert_eq!(down.code, Some(0), "{down:#?}");
        assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
    })
    .await;
}

/// A program that is no mesh, on the mesh's image, with an anonymous volume.
async fn stranger(program: ComposeCli, mesh: &Mesh, arguments: &[&str]) -> Result<String> {
    let image = Checkout::find()?.topology(&mesh.project)?.image;
    let file = serde_json::json!({ "services": { "web": {
        "image": image,
        "command": ["--discovery-config", "/etc/sidecar/discovery.conf"],
        "volumes": ["/data"],
    } } });
    let file = file.to_string();
    let output = program.run(&[], Some(&file), Some(&mesh.project), &[], arguments);
    output.await.map_err(anyhow::Error::msg)
}

#[tokio::test]
async fn another_project_of_the_same_name_is_named_and_left_alone() {
    if tests::docker().await.unwrap().is_none() {
        return;
    }
    for program in tests::compose().await.unwrap() {
        let mesh = Mesh::on_docker().await.unwrap().unwrap();
        stranger(program, &mesh, &["up", "-d"]).await.unwrap();
        let web = mesh.container("web").await.unwrap();
        let before = mesh.leftovers().await.unwrap();
        for command in ["up", "status", "logs", "down"] {
            let refused = mesh.harness(&[command]).await.unwrap();
            assert_eq!(refused.code, Some(2), "{command}: {refused:#?}");
            let named = format!("the project `{}` is not a mesh", mesh.project);
            assert!(refused.errors.contains(&named), "{command}: {refused:#?}");
            assert!(refused.errors.contains(&web.name), "{command}: {refused:#?}");
            assert!(!refused.errors.contains(" down"), "{command}: {refused:#?}");
        }
        assert_eq!(mesh.leftovers().await.unwrap(), before);
        assert!(mesh.container("web").await.unwrap().running());
        stranger(program, &mesh, &["down", "--volumes"]).await.unwrap();
        assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
    }
}

#[tokio::test]
async fn down_leaves_what_another_project_of_the_name_has_beside_the_mesh() {
    if tests::docker().await.unwrap().is_none() {
        return;
    }
    for program in tests::compose().await.unwrap() {
        let mesh = Mesh::on_docker().await.unwrap().unwrap();
        let up = mesh.harness(&["up", "--detach"]).await.unwrap();
        assert_eq!(up.code, Some(0), "{up:#?}");
        stranger(program, &mesh, &["up", "-d"]).await.unwrap();
        let web = mesh.container("web").await.unwrap();

        let logs = mesh.harness(&["logs"]).await.unwrap();
        assert!(!logs.output.contains(&web.name), "{logs:#?}");
        let down = mesh.harness(&["down"]).await.unwrap();
        assert_eq!(down.code, Some(0), "{down:#?}");
        assert!(down.errors.contains("Left alone"), "{down:#?}");
        let default = format!("{}_default", mesh.project);
        assert_eq!(mesh.leftovers().await.unwrap(), [web.name.clone(), default]);
        assert!(mesh.container("web").await.unwrap().running());
        stranger(program, &mesh, &["down", "--volumes"]).await.unwrap();
        assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
    }
}

#[tokio::test]
async fn down_names_the_container_that_uses_the_meshs_network() {
    let Some(mesh) = Mesh::on_docker().await.unwrap() else {
        return;
    };
    let up = mesh.harness(&["up", "--detach"]).await.unwrap();
    assert_eq!(up.code, Some(0), "{up:#?}");
    let image = Checkout::find().unwrap().topology(&mesh.project).unwrap().image;
    let (network, name) = (
        format!("{}_mesh", mesh.project),
        format!("{}-guest", mesh.project),
    );
    let guest = [
        "run",
        "--detach",
        "--name",
        &name,
        "--network",
        &network,
        &image,
        "--discovery-config",
        "/etc/sidecar/discovery.conf",
    ];
    let guest = mesh.run("docker", &guest).await.unwrap();
    assert_eq!(guest.code, Some(0), "{guest:#?}");

    let down = mesh.harness(&["down"]).await.unwrap();
    let left = mesh.leftovers().await.unwrap();
    let removed = mesh.run("docker", &["rm", "--force", &name]).await.unwrap();
    assert_eq!(removed.code, Some(0), "{removed:#?}");
    assert_eq!(down.code, Some(2), "{down:#?}");
    let named = format!("the network {network} is in use by container {name}");
    assert!(down.errors.contains(&named), "{down:#?}");
    assert_eq!(left, [network]);
    let down = mesh.harness(&["down"]).await.unwrap();
    assert_eq!(down.code, Some(0), "{down:#?}");
    assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
}
