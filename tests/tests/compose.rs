//! The harness and Compose see and stop what the other started.

use std::process::Stdio;

use anyhow::{Result, bail, ensure};
use tests::Mesh;
use tokio::process::Command;

/// The Compose that is installed, old or new, with the arguments that name the mesh.
async fn compose(mesh: &Mesh) -> Result<(&'static str, Vec<String>)> {
    let checkout = harness::checkout::Checkout::find()?;
    let file = checkout.root().join("compose/compose.yaml").display().to_string();
    let named = ["-f".to_owned(), file, "-p".to_owned(), mesh.project.clone()];
    for (program, first) in [("docker", Some("compose")), ("docker-compose", None)] {
        let mut command = Command::new(program);
        command
            .args(first)
            .arg("version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if command.status().await.is_ok_and(|status| status.success()) {
            return Ok((
                program,
                first.map(str::to_owned).into_iter().chain(named).collect(),
            ));
        }
    }
    bail!("this test needs `docker compose` or `docker-compose` (Debian: apt-get install docker-compose)");
}

/// Runs Compose on the mesh and answers with what it printed.
async fn run(mesh: &Mesh, arguments: &[&str]) -> Result<String> {
    let (program, mut all) = compose(mesh).await?;
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let result = mesh.run(program, &all).await?;
    ensure!(result.code == Some(0), "{program} {all:?}: {result:#?}");
    Ok(result.output)
}

#[tokio::test]
async fn compose_sees_and_stops_what_the_harness_started() {
    let mesh = Mesh::prepare().await.unwrap();
    let up = mesh.harness(&["up", "--detach"]).await.unwrap();
    assert_eq!(up.code, Some(0), "{up:#?}");

    let services = run(&mesh, &["ps", "--services"]).await.unwrap();
    let mut services: Vec<&str> = services.lines().collect();
    services.sort_unstable();
    assert_eq!(
        services,
        ["frontend", "lb", "service-a", "service-a2", "service-b"]
    );
    assert!(
        run(&mesh, &["ps"])
            .await
            .unwrap()
            .contains(&format!("{}-service-a2", mesh.project))
    );

    run(&mesh, &["stop", "service-a2"]).await.unwrap();
    let status = mesh.harness(&["status"]).await.unwrap();
    assert!(
        status.output.contains("service-a2 does not run: Exited (0)"),
        "{status:#?}"
    );

    run(&mesh, &["down"]).await.unwrap();
    assert_eq!(mesh.leftovers().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_harness_sees_and_removes_what_compose_started() {
    let mesh = Mesh::prepare().await.unwrap();
    run(&mesh, &["up", "-d", "--no-build"]).await.unwrap();

    let agrees = async || {
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
    let (limit, period) = (
        std::time::Duration::from_secs(30),
        std::time::Duration::from_millis(100),
    );
    harness::wait::until(limit, period, agrees, |_| {}).await.unwrap();

    let second = mesh.harness(&["up"]).await.unwrap();
    assert_eq!(second.code, Some(2), "{second:#?}");
    assert!(second.errors.contains("Docker Compose started it"), "{second:#?}");

    let down = mesh.harness(&["down"]).await.unwrap();
    assert_eq!(down.code, Some(0), "{down:#?}");
    assert_eq!(mesh.leftovers().await.unwrap(), Vec::<String>::new());
}
