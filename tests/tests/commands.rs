//! The harness's commands.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use std::net::Ipv4Addr;
use std::time::Duration;

use harness::cluster::checkout::Checkout;
use harness::cluster::image;
use harness::cluster::topology::PORT_VARIABLES;
use harness::console::Progress;
use harness::engine::EngineChoice;
use tests::{Mesh, Watchdog, end, on_each, signal, signal_to};
use tokio::net::TcpListener;

const NOTHING: Vec<String> = Vec::new();
const NOWHERE: &str = "unix:///no/such/docker.sock";

#[tokio::test]
async fn up_runs_until_it_is_interrupted_and_removes_its_mesh() {
    on_each(async |engine| {
        let mesh = Mesh::on(engine.clone()).await.unwrap();
        let mut up = mesh.up().await.unwrap();
        assert_eq!(
            mesh.leftovers().await.unwrap().len(),
            6,
            "five containers and a network"
        );

        let second = mesh.harness(&["up"]).await.unwrap();
        assert_eq!(second.code, Some(2), "{second:#?}");
        let owner = format!("`harness up` is running as process {}", up.id().unwrap());
        assert!(
            second.errors.contains(&owner) && second.errors.contains("what to do"),
            "{second:#?}"
        );
        assert_eq!(
            mesh.leftovers().await.unwrap().len(),
            6,
            "the second `up` touched the first one's mesh"
        );

        signal(&up, "INT").await.unwrap();
        assert_eq!(end(&mut up).await.unwrap().code(), Some(0));
        assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn up_exits_when_another_command_has_removed_its_mesh() {
    on_each(async |engine| {
        let mesh = Mesh::on(engine.clone()).await.unwrap();
        let mut up = mesh.up().await.unwrap();
        let down = mesh.harness(&["down"]).await.unwrap();
        assert_eq!(down.code, Some(0), "{down:#?}");
        assert_eq!(end(&mut up).await.unwrap().code(), Some(1));
        assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn only_one_of_two_concurrent_starts_of_a_mesh_succeeds() {
    on_each(async |engine| {
        let mesh = Mesh::on(engine.clone()).await.unwrap();
        // Builds the image first, so that both start at the same time.
        let arguments = ["up", "--detach", "--no-build"];
        let image = image::Kind::Mesh;
        let checkout = Checkout::find().unwrap();
        let name = checkout.topology(&mesh.project).unwrap().image;
        image::ensure(&engine, &checkout, image, &name, &Progress::silent())
            .await
            .unwrap();
        let (one, other) = tokio::join!(mesh.harness(&arguments), mesh.harness(&arguments));
        let (one, other) = (one.unwrap(), other.unwrap());
        let (first, second) = if one.code == Some(0) {
            (one, other)
        } else {
            (other, one)
        };
        assert_eq!(first.code, Some(0), "{first:#?}\n{second:#?}");
        assert_eq!(second.code, Some(2), "{second:#?}");
        let refused = format!("the mesh `{}` is ", mesh.project);
        assert!(second.errors.contains(&refused), "{second:#?}");
        let down = mesh.harness(&["down"]).await.unwrap();
        assert_eq!(down.code, Some(0), "{down:#?}");
        assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn status_logs_and_down_find_a_detached_mesh() {
    on_each(async |engine| {
        let mesh = Mesh::on(engine.clone()).await.unwrap();
        let up = mesh.harness(&["up", "--detach"]).await.unwrap();
        assert_eq!(up.code, Some(0), "{up:#?}");
        for name in ["frontend", "service-a", "service-a2", "service-b", "lb"] {
            let row = up
                .output
                .lines()
                .find(|line| line.split(' ').next() == Some(name));
            assert!(row.is_some_and(|row| row.contains(" ready ")), "{name}: {up:#?}");
        }
        assert_eq!(up.output.matches("curl ").count(), 10, "{up:#?}");
        let wide: Vec<&str> = up
            .output
            .lines()
            .filter(|line| line.chars().count() > 80)
            .collect();
        assert!(wide.is_empty(), "{wide:#?}");

        let status = mesh.until_status(0).await.unwrap();
        assert!(
            status.output.contains("All sidecars see the same mesh."),
            "{status:#?}"
        );

        let logs = mesh
            .harness(&["logs", "service-a2", "--tail", "3"])
            .await
            .unwrap();
        assert_eq!(logs.code, Some(0), "{logs:#?}");
        let prefix = format!("{}-service-a2-1 |", mesh.project);
        assert!(
            !logs.output.is_empty() && logs.output.lines().all(|line| line.starts_with(&prefix)),
            "{logs:#?}"
        );
        let unknown = mesh.harness(&["logs", "service-z"]).await.unwrap();
        assert_eq!(unknown.code, Some(2), "{unknown:#?}");
        assert!(
            unknown.errors.contains("service-a2"),
            "it names the services: {unknown:#?}"
        );

        let stopped = mesh.container("service-b").await.unwrap();
        let grace = Duration::from_secs(10);
        mesh.engine.stop(&stopped.id, grace).await.unwrap();
        let status = mesh.until_status(1).await.unwrap();
        assert!(
            status.output.contains("service-b has ended (exit code 0)"),
            "{status:#?}"
        );

        let down = mesh.harness(&["down"]).await.unwrap();
        assert_eq!(down.code, Some(0), "{down:#?}");
        assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
        assert_eq!(
            mesh.harness(&["status"]).await.unwrap().code,
            Some(2),
            "a mesh that does not exist has no status"
        );
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_next_start_removes_the_leftovers_of_a_killed_up_but_no_detached_mesh() {
    on_each(async |engine| {
        let detached = Mesh::on(engine.clone()).await.unwrap();
        let up = detached.harness(&["up", "--detach"]).await.unwrap();
        assert_eq!(up.code, Some(0), "{up:#?}");

        let crashed = Mesh::on(engine.clone()).await.unwrap();
        let mut up = crashed.up().await.unwrap();
        // The watchdog would remove the mesh first.
        let watchdog = Watchdog::of(&up).unwrap().expect("`up` has one");
        signal_to(watchdog.pid, "KILL").await.unwrap();
        signal(&up, "KILL").await.unwrap();
        assert_eq!(end(&mut up).await.unwrap().code(), None);

        // Without the sweep this would be refused as a second `up`. (Another test's harness may have swept it already.)
        let next = crashed.harness(&["up", "--detach"]).await.unwrap();
        assert_eq!(next.code, Some(0), "{next:#?}");
        // The detached mesh was not removed.
        detached.until_status(0).await.unwrap();
        for mesh in [crashed, detached] {
            assert_eq!(mesh.harness(&["down"]).await.unwrap().code, Some(0));
            assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_host_port_that_is_taken_is_reported_with_its_holder() {
    on_each(async |engine| {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = holder.local_addr().unwrap().port();
        let mesh = Mesh::on(engine.clone())
            .await
            .unwrap()
            .with("FRONTEND_PORT", &port.to_string());
        let up = mesh.harness(&["up"]).await.unwrap();
        assert_eq!(up.code, Some(2), "{up:#?}");
        let by_process = format!("port {port} is in use by process {} (", std::process::id());
        assert!(
            up.errors.contains(&by_process) && up.errors.contains("FRONTEND_PORT"),
            "{up:#?}"
        );
        assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);

        drop(holder);
        let first = mesh.harness(&["up", "--detach"]).await.unwrap();
        assert_eq!(first.code, Some(0), "{first:#?}");
        let second = Mesh::on(engine.clone())
            .await
            .unwrap()
            .with("FRONTEND_PORT", &port.to_string());
        let up = second.harness(&["up"]).await.unwrap();
        assert_eq!(up.code, Some(2), "{up:#?}");
        let by_container = format!("port {port} is in use by container {}-frontend", mesh.project);
        assert!(up.errors.contains(&by_container), "{up:#?}");
        assert_eq!(mesh.harness(&["down"]).await.unwrap().code, Some(0));
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_port_and_a_name_in_the_env_file_count() {
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = holder.local_addr().unwrap().port();
    let name = format!("env-file-{:08x}", rand::random::<u32>());
    let directory = tempfile::tempdir().unwrap();
    let (shipped, copy) = (
        Checkout::find().unwrap().root().join("compose"),
        directory.path().join("compose"),
    );
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(shipped.join("compose.yaml"), copy.join("compose.yaml")).unwrap();
    // A checkout is known by these as well.
    for package in ["harness", "sidecar"] {
        let package = directory.path().join(package);
        std::fs::create_dir(&package).unwrap();
        std::fs::write(package.join("Cargo.toml"), "").unwrap();
    }
    let shipped = std::fs::read_to_string(shipped.join(".env")).unwrap();
    let text = format!("export MESH_NAME={name}\r\nFRONTEND_PORT='{port}' # taken\r\n{shipped}");
    std::fs::write(copy.join(".env"), text).unwrap();

    let program = tests::compiled("harness").await.unwrap();
    let run = async |command: &str| {
        let mut harness = tokio::process::Command::new(&program);
        harness
            .args([command, "--runtime", "process"])
            .current_dir(directory.path())
            .env_remove("MESH_NAME")
            .envs(PORT_VARIABLES.map(|port| (port, "0")))
            .env_remove("FRONTEND_PORT")
            .kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(60), harness.output())
            .await
            .unwrap()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, errors) = run("up").await;
    assert_eq!(code, Some(2), "{errors}");
    assert!(
        errors.contains(&format!("port {port} is in use by process")),
        "{errors}"
    );
    let (code, errors) = run("status").await;
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains(&format!("there is no mesh `{name}`")), "{errors}");
}

#[tokio::test]
async fn without_a_docker_engine_the_error_has_advice() {
    let mesh = Mesh::prepare()
        .await
        .unwrap()
        .without_runtime_flag()
        .with("DOCKER_HOST", NOWHERE);
    for command in ["up", "down", "status", "logs"] {
        let result = mesh.harness(&[command, "--runtime", "docker"]).await.unwrap();
        assert_eq!(result.code, Some(2), "{result:#?}");
        assert!(
            result
                .errors
                .contains("no Docker engine answers at /no/such/docker.sock"),
            "{result:#?}"
        );
        assert!(result.errors.contains("what to do: start Docker"), "{result:#?}");
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn without_a_docker_engine_and_a_flag_up_runs_processes_and_reports_why() {
    let processes = EngineChoice::Process.connect().await.unwrap().engine;
    let mesh = Mesh::on(processes)
        .await
        .unwrap()
        .without_runtime_flag()
        .with("DOCKER_HOST", NOWHERE);
    let up = mesh.harness(&["up", "--detach"]).await.unwrap();
    assert_eq!(up.code, Some(0), "{up:#?}");
    let why = "Runtime process: no Docker engine answers at /no/such/docker.sock";
    assert!(up.errors.contains(why), "{up:#?}");
    assert_eq!(mesh.leftovers().await.unwrap().len(), 6);

    mesh.until_status(0).await.unwrap();
    let down = mesh.harness(&["down"]).await.unwrap();
    assert_eq!(down.code, Some(0), "{down:#?}");
    assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);

    // The engine at DOCKER_HOST may have a mesh.
    for command in ["down", "status", "logs"] {
        let result = mesh.harness(&[command]).await.unwrap();
        assert_eq!(result.code, Some(2), "{result:#?}");
        assert!(
            result.errors.contains("only local processes were checked"),
            "{result:#?}"
        );
    }
}

#[tokio::test]
async fn a_mesh_that_does_not_start_is_reported_with_its_logs_and_removed() {
    // The image has the sidecar but no config files. Any container may exit first.
    let Some(mesh) = Mesh::on_docker().await.unwrap() else {
        return;
    };
    let image = format!("{}-broken", mesh.project);
    let mesh = mesh.with("MESH_IMAGE", &image);
    let settings = vec![
        r#"ENTRYPOINT ["/bin/sidecar"]"#.to_owned(),
        "ENV PATH=/bin".to_owned(),
    ];
    mesh.engine
        .import_image(&image, sidecar_alone().await.unwrap(), settings)
        .await
        .unwrap();

    let up = mesh.harness(&["up", "--no-build"]).await.unwrap();
    let removed = mesh.run("docker", &["rmi", &image]).await;
    assert_eq!(up.code, Some(1), "{up:#?}");
    for part in [
        "expected:",
        "seen:",
        " has ended (exit code",
        "last log lines of",
        "cannot read /etc/sidecar/",
    ] {
        assert!(up.errors.contains(part), "no `{part}`: {up:#?}");
    }
    assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
    assert_eq!(removed.unwrap().code, Some(0));

    let up = mesh.harness(&["up", "--no-build"]).await.unwrap();
    assert_eq!(up.code, Some(2), "without any image: {up:#?}");
    assert!(up.errors.contains("compose/Dockerfile"), "{up:#?}");
}

/// A tar of a file system with the sidecar only.
async fn sidecar_alone() -> anyhow::Result<bytes::Bytes> {
    let program = image::sidecar(&Checkout::find()?, image::Kind::Mesh, &Progress::silent()).await?;
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_path_with_name(program, "bin/sidecar")?;
    Ok(archive.into_inner()?.into())
}
