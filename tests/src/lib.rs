//! What the end-to-end tests share: a mesh under a name of its own, driven through the `harness` program as a user
//! drives it, and looked at through the engine.

mod program;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::runtime::{Choice, Runtime, label};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub use program::Finished;

/// Time that one command may take; the image is built before the first.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// The engine that all tests need.
///
/// # Errors
/// There is none, with what to do: its absence fails a test.
pub async fn docker() -> Result<Runtime> {
    let chosen = Choice::Docker.connect().await;
    let runtime = chosen.map(|chosen| chosen.runtime);
    runtime.map_err(|error| anyhow::anyhow!("this test needs Docker: {error}; {}", error.advice()))
}

/// A mesh that belongs to one test. Whatever is left of it goes when this is dropped.
#[derive(Debug)]
pub struct Mesh {
    /// Its project's name, which no other test has.
    pub project: String,
    environment: Vec<(String, String)>,
}

impl Mesh {
    /// A name for a mesh on free ports; nothing runs yet. Builds the harness and the image where that was not done.
    ///
    /// # Errors
    /// No engine, or something does not compile.
    pub async fn prepare() -> Result<Self> {
        docker().await?;
        program::built().await?;
        let project = format!("mesh-e2e-{:08x}", rand::random::<u32>());
        let free = ["FRONTEND_PORT", "LB_A_PORT", "LB_B_PORT"].map(|name| (name.to_owned(), "0".to_owned()));
        Ok(Self {
            project,
            environment: free.into(),
        })
    }

    /// The same with an environment variable for all its commands.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs a command of the harness on this mesh to its end.
    ///
    /// # Errors
    /// It cannot be run, or takes too long.
    pub async fn harness(&self, arguments: &[&str]) -> Result<Finished> {
        program::finish(self.command(arguments).await?, COMMAND_LIMIT).await
    }

    /// Runs `harness test`, which makes a mesh of its own, to its end.
    ///
    /// # Errors
    /// It cannot be run, or takes too long.
    pub async fn test(&self) -> Result<Finished> {
        let mut command = Command::new(program::built().await?);
        command.arg("test");
        program::finish(command, COMMAND_LIMIT).await
    }

    /// Runs another program with this mesh's environment to its end.
    ///
    /// # Errors
    /// It cannot be run, or takes too long.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> Result<Finished> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("MESH_NAME", &self.project)
            .envs(self.environment.clone());
        program::finish(command, COMMAND_LIMIT).await
    }

    /// Runs `up` in the foreground until it says that the mesh is ready.
    ///
    /// # Errors
    /// It ends before, or takes too long.
    pub async fn up(&self) -> Result<Child> {
        let mut command = self.command(&["up"]).await?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut errors = BufReader::new(child.stderr.take().context("standard error is piped")?).lines();
        let mut lines = BufReader::new(child.stdout.take().context("standard output is piped")?).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if line.contains("is ready after") {
                    return Ok(true);
                }
            }
            anyhow::Ok(false)
        };
        let ready = tokio::time::timeout(COMMAND_LIMIT, ready)
            .await
            .context("`up` was not ready in time")??;
        // From here on both streams are read and dropped, so that the child never waits for a reader.
        let rest = tokio::spawn(async move {
            let mut told = Vec::new();
            while let Ok(Some(line)) = errors.next_line().await {
                told.push(line);
            }
            told.join("\n")
        });
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        if !ready {
            anyhow::bail!("`up` ended before the mesh was ready:\n{}", rest.await?);
        }
        Ok(child)
    }

    /// The names of all containers and networks that this mesh has in the engine.
    ///
    /// # Errors
    /// The engine's.
    pub async fn leftovers(&self) -> Result<Vec<String>> {
        let docker = docker().await?;
        let filter = format!("{}={}", label::PROJECT, self.project);
        let containers = docker
            .containers(&filter)
            .await?
            .into_iter()
            .map(|container| container.name);
        let networks = docker
            .networks(&filter)
            .await?
            .into_iter()
            .map(|network| network.name);
        Ok(containers.chain(networks).collect())
    }

    async fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program::built().await?);
        let (name, rest) = arguments.split_first().context("a command of the harness")?;
        command
            .arg(name)
            .args(["-p", &self.project])
            .args(rest)
            .envs(self.environment.clone())
            .stdin(Stdio::null());
        Ok(command)
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        // A test that held has removed it; for the others this is the last chance, and its outcome changes nothing.
        if let Some(program) = program::path() {
            let mut down = std::process::Command::new(program);
            let _ = down
                .args(["down", "-p", &self.project])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// Sends a signal to a child, by the name that kill(1) knows it by.
///
/// # Errors
/// The child has ended, or there is no `kill`.
pub async fn signal(child: &Child, name: &str) -> Result<()> {
    let pid = child.id().context("the child has ended already")?.to_string();
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid])
        .status()
        .await?;
    ensure!(status.success(), "kill -{name} {pid}: {status}");
    Ok(())
}

/// Waits for a child's end.
///
/// # Errors
/// It takes too long.
pub async fn end(child: &mut Child) -> Result<std::process::ExitStatus> {
    let ended = tokio::time::timeout(COMMAND_LIMIT, child.wait()).await;
    Ok(ended.context("the child did not end in time")??)
}
