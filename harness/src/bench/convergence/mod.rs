//! Measures the convergence time of a mesh, as seen on the sidecars' status pages and by requests.

mod register;
mod results;
mod status_page;

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use clap::ValueEnum;
use futures_util::future::{try_join, try_join_all};

use self::results::ConvergenceStep;
use self::status_page::{CHANGE_TIMEOUT, StatusPage};
use super::BenchMesh;
use crate::cluster::convergence::group_name;
use crate::cluster::mesh::{Mesh, Node};
use crate::cluster::mesh_view::View;
use crate::cluster::topology::Route;
use crate::console::Progress;
use crate::error::Error;
use crate::verify::conntrack;
use crate::verify::suite::READY_LIMIT;
pub use results::{ConvergenceResults, Goal, StepSummary};

/// Interval at which a starting mesh is checked for readiness.
const READY_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The service whose instances are changed.
const SERVICE: &str = "a";
/// The instance that is killed, frozen and registered again.
const CHANGED: &str = "service-a2";
/// The instance that is added and removed.
const ADDED: &str = "service-a3";
/// Minimum pause before each round. A random time up to the same length is added, so that rounds do not synchronise
/// with the sidecars' timers.
const PAUSE: Duration = Duration::from_millis(500);

/// A part of the bench: a change to the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// A mesh starts.
    Start,
    /// An instance joins on a new node.
    Join,
    /// A known node registers its instance again (only with --runtime process).
    Register,
    /// An instance is killed.
    Kill,
    /// An instance freezes.
    Freeze,
}

/// Options of the bench.
#[derive(Debug, Clone)]
pub struct Options {
    /// Number of measurements of each part except [`Part::Start`].
    pub rounds: usize,
    /// Number of measurements of [`Part::Start`].
    pub starts: usize,
    /// Parts to measure; empty for all.
    pub parts: Vec<Part>,
}

/// Starts the mesh, repeatedly for [`Part::Start`], and measures its convergence. The caller must remove it.
///
/// # Errors
/// The mesh cannot be started, or does not converge before a timeout.
pub async fn run(
    options: &Options,
    bench_mesh: &BenchMesh,
    progress: &Progress,
) -> Result<ConvergenceResults, Error> {
    conntrack::check()?;
    let asked = |part| options.parts.is_empty() || options.parts.contains(&part);
    let setting = format!(
        "Runtime {}; {} rounds of each part, {} of `start`.",
        bench_mesh.engine.name(),
        options.rounds,
        options.starts
    );
    let mut results = ConvergenceResults::new(SystemTime::now(), setting);
    if asked(Part::Start) {
        progress.stage("start");
        for round in 1..=options.starts {
            progress.note(&format!("{round}/{}", options.starts));
            let (_, took) = bench_mesh.start(READY_POLL_INTERVAL, &Progress::silent()).await?;
            results.add(ConvergenceStep::Ready, took);
            bench_mesh.remove().await?;
        }
        progress.done(&format!("{} rounds", options.starts));
    }
    let parts = [Part::Join, Part::Register, Part::Kill, Part::Freeze];
    let parts: Vec<Part> = parts
        .into_iter()
        .filter(|part| asked(*part) && (*part != Part::Register || register::is_possible(&bench_mesh.engine)))
        .collect();
    if parts.is_empty() {
        return Ok(results);
    }
    let (mesh, _) = bench_mesh.start(READY_POLL_INTERVAL, progress).await?;
    let mut bench = Bench { mesh, results };
    for part in parts {
        progress.stage(&format!("{part:?}").to_lowercase());
        for round in 1..=options.rounds {
            progress.note(&format!("{round}/{}", options.rounds));
            tokio::time::sleep(PAUSE + PAUSE.mul_f64(rand::random())).await;
            if let Err(error) = bench.round(part).await {
                return Err(bench.mesh.with_logs(error).await);
            }
        }
        progress.done(&format!("{} rounds", options.rounds));
    }
    Ok(bench.results)
}

struct Bench {
    mesh: Mesh,
    results: ConvergenceResults,
}

/// The kind of an instance's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InstanceFailure {
    Kill,
    Freeze,
}

impl Bench {
    async fn round(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Start => Ok(()),
            Part::Join => self.join().await,
            Part::Register => self.register().await,
            Part::Kill => self.fail(InstanceFailure::Kill).await,
            Part::Freeze => self.fail(InstanceFailure::Freeze).await,
        }
    }

    /// Measures one join: adds an instance, and removes it afterwards.
    async fn join(&mut self) -> Result<(), Error> {
        let mut balancers = self.balancers()?;
        self.mesh.add(self.mesh.another(CHANGED, ADDED)?).await?;
        let node = self.mesh.node(ADDED)?;
        let host = node.container.short_id().to_owned();
        let announced = StatusPage::of(node)?
            .until(
                self.mesh.last_start(),
                "a registration that is UP",
                View::announced,
            )
            .await?;
        let (up, answered) = self.usable(&mut balancers, announced.value, &host).await?;
        self.results.add(ConvergenceStep::JoinedUp, up - announced.after);
        self.results
            .add(ConvergenceStep::Joined, answered - announced.after);
        self.mesh.remove(ADDED).await?;
        self.wait_until_ready().await
    }

    /// Measures one registration on a known node: removes an instance's registration and adds it again.
    async fn register(&mut self) -> Result<(), Error> {
        let mut balancers = self.balancers()?;
        let node = self.mesh.node(CHANGED)?;
        let host = node.container.short_id().to_owned();
        let address = announced(&mut StatusPage::of(node)?).await?;
        let registration = register::Registration::of(node).await?;
        registration.delete().await?;
        let group = group_name(SERVICE);
        try_join_all(
            balancers
                .iter_mut()
                .map(|page| page.until_up(false, &group, address)),
        )
        .await?;
        tokio::time::sleep(PAUSE.mul_f64(rand::random())).await;
        let started_at = Instant::now();
        registration.post().await?;
        let (_, answered) = self.usable(&mut balancers, address, &host).await?;
        self.results
            .add(ConvergenceStep::Registered, answered - started_at);
        self.wait_until_ready().await
    }

    /// Measures one failure of an instance, and restores the instance afterwards.
    async fn fail(&mut self, failure: InstanceFailure) -> Result<(), Error> {
        let mut balancers = self.balancers()?;
        let address = announced(&mut StatusPage::of(self.mesh.node(CHANGED)?)?).await?;
        let group = group_name(SERVICE);
        let started_at = Instant::now();
        let out = balancers
            .iter_mut()
            .map(|page| page.until_up(false, &group, address));
        let failing = async {
            match failure {
                InstanceFailure::Kill => self.mesh.kill(CHANGED).await,
                InstanceFailure::Freeze => self.mesh.pause(CHANGED).await,
            }
        };
        let ((), out) = try_join(failing, try_join_all(out)).await?;
        let took = latest(started_at, out) - started_at;
        match failure {
            InstanceFailure::Kill => {
                self.results.add(ConvergenceStep::Killed, took);
                self.mesh.start_again(CHANGED).await?;
            }
            InstanceFailure::Freeze => {
                self.results.add(ConvergenceStep::Frozen, took);
                self.mesh.unpause(CHANGED).await?;
            }
        }
        self.wait_until_ready().await
    }

    /// Waits until `address` is up at every balancing sidecar, and until `host` has answered on every path. Returns
    /// both times.
    async fn usable(
        &self,
        balancers: &mut [StatusPage],
        address: SocketAddr,
        host: &str,
    ) -> Result<(Instant, Instant), Error> {
        let mut routes = self.mesh.routes()?;
        routes.retain(|(route, _)| route.service == SERVICE);
        let group = group_name(SERVICE);
        let each = balancers.iter_mut().map(async |page| {
            let up = page.until_up(true, &group, address).await?;
            let routes_of_page = routes.iter().filter(|(route, _)| route.member == page.member);
            let answers = try_join_all(routes_of_page.map(|route| self.answers(route, host))).await?;
            Ok::<_, Error>((up, latest(up, answers)))
        });
        let now = Instant::now();
        let (up, answered): (Vec<_>, Vec<_>) = try_join_all(each).await?.into_iter().unzip();
        Ok((latest(now, up), latest(now, answered)))
    }

    /// Sends requests on a route until `host` answers. Returns the time of that answer.
    async fn answers(&self, route: &(Route, SocketAddr), host: &str) -> Result<Instant, Error> {
        let started_at = Instant::now();
        loop {
            let answer = self.mesh.ask(route).await;
            if answer.as_ref().is_ok_and(|answer| answer.host == host) {
                return Ok(Instant::now());
            }
            if started_at.elapsed() > CHANGE_TIMEOUT {
                let expected = format!(
                    "within {CHANGE_TIMEOUT:?} an answer from {host} on {}",
                    route.0.name()
                );
                return Err(Error::unmet(expected, format!("{answer:?}")));
            }
        }
    }

    /// The status pages of the sidecars that balance connections.
    fn balancers(&self) -> Result<Vec<StatusPage>, Error> {
        let balances = |node: &&Node| node.member.role.balances();
        self.mesh
            .nodes()
            .iter()
            .filter(balances)
            .map(StatusPage::of)
            .collect()
    }

    async fn wait_until_ready(&self) -> Result<(), Error> {
        self.mesh.ready(READY_LIMIT, &Progress::silent()).await?;
        Ok(())
    }
}

/// The address of the local instance that a sidecar announces.
async fn announced(page: &mut StatusPage) -> Result<SocketAddr, Error> {
    let change = page.until(Instant::now(), "a registration that is UP", View::announced);
    Ok(change.await?.value)
}

fn latest(first: Instant, times: Vec<Instant>) -> Instant {
    times.into_iter().fold(first, Instant::max)
}
