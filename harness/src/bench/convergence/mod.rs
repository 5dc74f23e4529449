//! How fast a mesh converges: seen from outside, on the sidecars' status pages and by requests.

mod figures;
mod register;
mod watch;

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use clap::ValueEnum;
use futures_util::future::{try_join, try_join_all};

use self::figures::Step;
use self::watch::{LIMIT, Page};
use super::site::Site;
use crate::cluster::convergence::group_name;
use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Route;
use crate::console::Progress;
use crate::error::Error;
use crate::verify::conntrack;
use crate::verify::suite::READY_LIMIT;
pub use figures::{Figures, Goal, Summary};

/// Time between two looks whether a mesh is ready.
const PERIOD: Duration = Duration::from_millis(5);
/// The service that is changed.
const SERVICE: &str = "a";
/// The instance of it that is killed, frozen and registered anew.
const CHANGED: &str = "service-a2";
/// The instance that comes and goes.
const ADDED: &str = "service-a3";
/// Time that a mesh is left alone before each round; then up to the same again, so that rounds do not keep step with
/// the sidecars' own periods.
const CALM: Duration = Duration::from_millis(500);

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// A mesh starts.
    Start,
    /// An instance joins, on a node of its own.
    Join,
    /// A node of the mesh registers its instance again (processes only).
    Register,
    /// An instance is killed.
    Kill,
    /// An instance freezes.
    Freeze,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Setting {
    /// How often each part is done.
    pub rounds: usize,
    /// How often a mesh is started.
    pub starts: usize,
    /// The parts; all where none is named.
    pub parts: Vec<Part>,
}

/// Measures on meshes of `site`. What is made stays where this fails: the caller removes it.
///
/// # Errors
/// Something cannot be made, or did not converge at all.
pub async fn run(setting: &Setting, site: &Site, progress: &Progress) -> Result<Figures, Error> {
    conntrack::check()?;
    let asked = |part| setting.parts.is_empty() || setting.parts.contains(&part);
    let words = format!(
        "Runtime {}; {} rounds of each part, {} of `start`.",
        site.engine.name(),
        setting.rounds,
        setting.starts
    );
    let mut figures = Figures::new(SystemTime::now(), words);
    if asked(Part::Start) {
        progress.stage("start");
        for round in 1..=setting.starts {
            progress.note(&format!("{round}/{}", setting.starts));
            let (_, took) = site.start(PERIOD, &Progress::silent()).await?;
            figures.add(Step::Ready, took);
            site.clear().await?;
        }
        progress.done(&format!("{} rounds", setting.starts));
    }
    let parts = [Part::Join, Part::Register, Part::Kill, Part::Freeze];
    let parts: Vec<Part> = parts
        .into_iter()
        .filter(|part| asked(*part) && (*part != Part::Register || register::possible(&site.engine)))
        .collect();
    if parts.is_empty() {
        return Ok(figures);
    }
    let (mesh, _) = site.start(PERIOD, progress).await?;
    let mut bench = Bench { mesh, figures };
    for part in parts {
        progress.stage(&format!("{part:?}").to_lowercase());
        for round in 1..=setting.rounds {
            progress.note(&format!("{round}/{}", setting.rounds));
            tokio::time::sleep(CALM + CALM.mul_f64(rand::random())).await;
            if let Err(error) = bench.round(part).await {
                return Err(bench.mesh.with_logs(error).await);
            }
        }
        progress.done(&format!("{} rounds", setting.rounds));
    }
    Ok(bench.figures)
}

struct Bench {
    mesh: Mesh,
    figures: Figures,
}

/// What is asked to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    Freeze,
}

impl Bench {
    async fn round(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Start => Ok(()),
            Part::Join => self.join().await,
            Part::Register => self.register().await,
            Part::Kill => self.fail(Fault::Kill).await,
            Part::Freeze => self.fail(Fault::Freeze).await,
        }
    }

    /// An instance comes and goes.
    async fn join(&mut self) -> Result<(), Error> {
        let mut balancers = self.balancers()?;
        self.mesh.add(self.mesh.another(CHANGED, ADDED)?).await?;
        let node = self.mesh.node(ADDED)?;
        let host = node.container.short_id().to_owned();
        let announced = Page::of(node)?
            .until(
                self.mesh.last_start(),
                "a registration that is UP",
                view_announced,
            )
            .await?;
        let (up, answered) = self.usable(&mut balancers, announced.value, &host).await?;
        self.figures.add(Step::JoinedUp, up - announced.since);
        self.figures.add(Step::Joined, answered - announced.since);
        self.mesh.remove(ADDED).await?;
        self.settled().await
    }

    /// A node that is known takes its instance back and registers it again.
    async fn register(&mut self) -> Result<(), Error> {
        let mut balancers = self.balancers()?;
        let node = self.mesh.node(CHANGED)?;
        let host = node.container.short_id().to_owned();
        let address = announced(&mut Page::of(node)?).await?;
        let registration = register::Registration::of(node).await?;
        registration.delete().await?;
        let group = group_name(SERVICE);
        try_join_all(
            balancers
                .iter_mut()
                .map(|page| page.until_up(false, &group, address)),
        )
        .await?;
        tokio::time::sleep(CALM.mul_f64(rand::random())).await;
        let begun = Instant::now();
        registration.post().await?;
        let (_, answered) = self.usable(&mut balancers, address, &host).await?;
        self.figures.add(Step::Registered, answered - begun);
        self.settled().await
    }

    /// An instance fails, and comes back.
    async fn fail(&mut self, fault: Fault) -> Result<(), Error> {
        let mut balancers = self.balancers()?;
        let address = announced(&mut Page::of(self.mesh.node(CHANGED)?)?).await?;
        let group = group_name(SERVICE);
        let begun = Instant::now();
        let out = balancers
            .iter_mut()
            .map(|page| page.until_up(false, &group, address));
        let failing = async {
            match fault {
                Fault::Kill => self.mesh.kill(CHANGED).await,
                Fault::Freeze => self.mesh.pause(CHANGED).await,
            }
        };
        let ((), out) = try_join(failing, try_join_all(out)).await?;
        let took = latest(begun, out) - begun;
        match fault {
            Fault::Kill => {
                self.figures.add(Step::Killed, took);
                self.mesh.start_again(CHANGED).await?;
            }
            Fault::Freeze => {
                self.figures.add(Step::Frozen, took);
                self.mesh.unpause(CHANGED).await?;
            }
        }
        self.settled().await
    }

    /// Waits until every balancing sidecar has `address` up, and `host` has answered on every path: when both were.
    async fn usable(
        &self,
        balancers: &mut [Page],
        address: SocketAddr,
        host: &str,
    ) -> Result<(Instant, Instant), Error> {
        let mut routes = self.mesh.routes()?;
        routes.retain(|(route, _)| route.service == SERVICE);
        let group = group_name(SERVICE);
        let each = balancers.iter_mut().map(async |page| {
            let up = page.until_up(true, &group, address).await?;
            let behind = routes.iter().filter(|(route, _)| route.member == page.member);
            let answers = try_join_all(behind.map(|route| self.answers(route, host))).await?;
            Ok::<_, Error>((up, latest(up, answers)))
        });
        let now = Instant::now();
        let (up, answered): (Vec<_>, Vec<_>) = try_join_all(each).await?.into_iter().unzip();
        Ok((latest(now, up), latest(now, answered)))
    }

    /// Asks on a route until `host` answers: when it has.
    async fn answers(&self, route: &(Route, SocketAddr), host: &str) -> Result<Instant, Error> {
        let begun = Instant::now();
        loop {
            let answer = self.mesh.ask(route).await;
            if answer.as_ref().is_ok_and(|answer| answer.host == host) {
                return Ok(Instant::now());
            }
            if begun.elapsed() > LIMIT {
                let expected = format!("within {LIMIT:?} an answer from {host} on {}", route.0.name());
                return Err(Error::unmet(expected, format!("{answer:?}")));
            }
        }
    }

    /// The pages of the sidecars that give connections to instances.
    fn balancers(&self) -> Result<Vec<Page>, Error> {
        let balances = |node: &&crate::cluster::mesh::Node| node.member.role.balances();
        self.mesh.nodes().iter().filter(balances).map(Page::of).collect()
    }

    async fn settled(&self) -> Result<(), Error> {
        self.mesh.ready(READY_LIMIT, &Progress::silent()).await?;
        Ok(())
    }
}

/// Where the local instance listens that a sidecar announces.
async fn announced(page: &mut Page) -> Result<SocketAddr, Error> {
    let seen = page.until(Instant::now(), "a registration that is UP", view_announced);
    Ok(seen.await?.value)
}

fn view_announced(view: &crate::cluster::mesh_view::View) -> Option<SocketAddr> {
    view.announced()
}

fn latest(first: Instant, times: Vec<Instant>) -> Instant {
    times.into_iter().fold(first, Instant::max)
}
