//! Helpers of the end-to-end tests: a mesh with a unique name, controlled with the `harness` program and inspected
//! through the engine.

mod child;
mod engines;
mod program;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::cluster::topology::PORT_VARIABLES;
use harness::engine::{Container, Engine, EngineChoice, label};
use harness::wait;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub use child::{Watchdog, end, signal, signal_to};
pub use engines::{compose, docker, on_each};
pub use program::{Finished, compiled, finished};

use program::LIMIT;

/// Timeout for the views of a mesh to become complete, or to deviate.
const STATUS_LIMIT: Duration = Duration::from_secs(60);
const STATUS_PERIOD: Duration = Duration::from_millis(100);

/// Starts a command of the harness that names its meshes itself, such as `test`.
///
/// # Errors
/// It cannot be run.
pub async fn spawn(engine: &Engine, arguments: &[&str]) -> Result<Child> {
    let mut command = Command::new(program::built().await?);
    command.args(arguments).args(["--runtime", engine.name()]);
    program::spawn(command)
}

/// As [`spawn`], and waits for its exit.
///
/// # Errors
/// It cannot be run, or does not exit in time.
pub async fn harness(engine: &Engine, arguments: &[&str]) -> Result<Finished> {
    finished(spawn(engine, arguments).await?).await
}

/// Runs a command without `--runtime`, such as `why`, until it exits.
///
/// # Errors
/// It cannot be run, or does not exit in time.
pub async fn harness_on_no_runtime(arguments: &[&str]) -> Result<Finished> {
    let mut command = Command::new(program::built().await?);
    command.args(arguments);
    finished(program::spawn(command)?).await
}

/// The names of all containers and networks with the label `key=value`.
///
/// # Errors
/// The engine fails.
pub async fn labelled(engine: &Engine, key: &str, value: &str) -> Result<Vec<String>> {
    let filter = format!("{key}={value}");
    let containers = engine.containers(&filter).await?.into_iter();
    let networks = engine.networks(&filter).await?.into_iter();
    let names = containers.map(|container| container.name);
    Ok(names.chain(networks.map(|network| network.name)).collect())
}

/// A mesh of one test, removed when it is dropped.
#[derive(Debug)]
pub struct Mesh {
    /// Its project's name, unique to the test.
    pub project: String,
    /// The engine that it runs on.
    pub engine: Engine,
    /// Whether commands get `--runtime`.
    runtime_flag: bool,
    /// Whether commands get `-p`.
    project_flag: bool,
    environment: Vec<(String, String)>,
}

impl Mesh {
    /// Prepares a mesh on free ports, on the engine that the harness selects, without starting it. Builds the harness
    /// and the image if needed.
    ///
    /// # Errors
    /// There is no engine, or something does not compile.
    pub async fn prepare() -> Result<Self> {
        Self::on(EngineChoice::Auto.connect().await?.engine).await
    }

    /// As [`Mesh::prepare`], on Docker. If no engine answers: `None`, and a line on standard error.
    ///
    /// # Errors
    /// As [`docker`] and [`Mesh::prepare`].
    pub async fn on_docker() -> Result<Option<Self>> {
        match docker().await? {
            Some(docker) => Self::on(docker).await.map(Some),
            None => Ok(None),
        }
    }

    /// As [`Mesh::prepare`], on `engine`.
    ///
    /// # Errors
    /// As [`Mesh::prepare`].
    pub async fn on(engine: Engine) -> Result<Self> {
        program::built().await?;
        let project = format!("mesh-e2e-{:08x}", rand::random::<u32>());
        let free = PORT_VARIABLES.map(|name| (name.to_owned(), "0".to_owned()));
        Ok(Self {
            project,
            engine,
            runtime_flag: true,
            project_flag: true,
            environment: free.into(),
        })
    }

    /// The mesh, without `--runtime` in its commands.
    #[must_use]
    pub fn without_runtime_flag(mut self) -> Self {
        self.runtime_flag = false;
        self
    }

    /// The mesh, named by `MESH_NAME` instead of `-p` in its commands.
    #[must_use]
    pub fn named_by_variable(mut self) -> Self {
        self.project_flag = false;
        let name = self.project.clone();
        self.with("MESH_NAME", &name)
    }

    /// The mesh, with an environment variable for all its commands.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs a command of the harness on this mesh until it exits.
    ///
    /// # Errors
    /// It cannot be run, or does not exit in time.
    pub async fn harness(&self, arguments: &[&str]) -> Result<Finished> {
        program::finish(self.command(arguments).await?, LIMIT).await
    }

    /// Runs another program with this mesh's environment until it exits.
    ///
    /// # Errors
    /// It cannot be run, or does not exit in time.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> Result<Finished> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("MESH_NAME", &self.project)
            .envs(self.environment.clone());
        program::finish(command, LIMIT).await
    }

    /// Starts `up` in the foreground, with these outputs.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn spawn_up(&self, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Result<Child> {
        let mut command = self.command(&["up"]).await?;
        command.stdout(stdout).stderr(stderr).kill_on_drop(true);
        Ok(command.spawn()?)
    }

    /// Starts `up` in the foreground and waits until it reports that the mesh is ready.
    ///
    /// # Errors
    /// It exits before the mesh is ready, or the mesh is not ready in time.
    pub async fn up(&self) -> Result<Child> {
        let mut child = self.spawn_up(Stdio::piped(), Stdio::piped()).await?;
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
        let ready = tokio::time::timeout(LIMIT, ready)
            .await
            .context("`up` was not ready in time")??;
        // Reads both streams to their ends, so that the child never blocks on a full pipe.
        let rest = tokio::spawn(async move {
            let mut read = Vec::new();
            while let Ok(Some(line)) = errors.next_line().await {
                read.push(line);
            }
            read.join("\n")
        });
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        if !ready {
            anyhow::bail!("`up` exited before the mesh was ready:\n{}", rest.await?);
        }
        Ok(child)
    }

    /// Starts a command of the harness on this mesh, with empty input and both outputs piped.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        program::spawn(self.command(arguments).await?)
    }

    /// Waits until `status` exits with `code`: on a busy machine a sidecar may suspect another for a moment.
    ///
    /// # Errors
    /// It does not in time: the last output.
    pub async fn until_status(&self, code: i32) -> Result<Finished> {
        let attempt = async || match self.harness(&["status"]).await {
            Ok(status) if status.code == Some(code) => Ok(status),
            Ok(status) => Err(vec![format!("{status:#?}")]),
            Err(error) => Err(vec![error.to_string()]),
        };
        Ok(wait::until(STATUS_LIMIT, STATUS_PERIOD, attempt, |_| {}).await?)
    }

    /// The names of all containers and networks of this mesh.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn leftovers(&self) -> Result<Vec<String>> {
        labelled(&self.engine, label::PROJECT, &self.project).await
    }

    /// The container of a service.
    ///
    /// # Errors
    /// There is none, or the engine fails.
    pub async fn container(&self, service: &str) -> Result<Container> {
        let filter = format!("{}={}", label::PROJECT, self.project);
        let mut all = self.engine.containers(&filter).await?.into_iter();
        all.find(|container| container.label(label::SERVICE) == service)
            .with_context(|| format!("{} has no {service}", self.project))
    }

    async fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program::built().await?);
        let (name, rest) = arguments.split_first().context("a command of the harness")?;
        command.arg(name);
        if self.project_flag {
            command.args(["-p", &self.project]);
        }
        command
            .args(rest)
            .envs(self.environment.clone())
            .stdin(Stdio::null());
        if self.runtime_flag {
            command.args(["--runtime", self.engine.name()]);
        }
        Ok(command)
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        // The mesh still exists only if the test failed.
        if let Some(program) = program::path() {
            let mut down = std::process::Command::new(program);
            let _ = down
                .args(["down", "-p", &self.project, "--runtime", self.engine.name()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}
