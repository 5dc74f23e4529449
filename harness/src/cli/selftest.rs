//! `selftest`: activates the sidecar's failpoints one at a time, and checks that the scenarios detect each.

use std::process::ExitCode;

use harness::cluster::checkout::Checkout;
use harness::cluster::image::{FAILPOINTS_IMAGE, Kind};
use harness::cluster::mesh::Ownership;
use harness::console::{Progress, table};
use harness::engine::{Engine, Image};
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::verify::scenarios;
use harness::verify::selftest::{FAILPOINTS, Failpoint, Finding, Trial, VARIABLE, WARNING, exit_code};
use harness::verify::suite::{Capabilities, Context, Scenario, Suite, SuiteResult};

use super::guard::{Afterwards, guarded, ownership};
use super::mesh_args::{EngineArgs, MeshArgs};
use super::output::print;
use super::prepare;

#[derive(Debug, clap::Args)]
pub(super) struct SelftestArgs {
    #[command(flatten)]
    build: prepare::BuildArgs,
    /// Activate only the failpoints whose names contain TEXT; repeatable
    #[arg(long = "filter", value_name = "TEXT")]
    filters: Vec<String>,
    #[command(flatten)]
    engine: EngineArgs,
}

impl SelftestArgs {
    fn failpoints(&self) -> Result<Vec<&'static Failpoint>, Error> {
        let matches = |failpoint: &&Failpoint| {
            self.filters.is_empty()
                || self
                    .filters
                    .iter()
                    .any(|filter| failpoint.name.contains(filter.as_str()))
        };
        let chosen: Vec<_> = FAILPOINTS.iter().filter(matches).collect();
        if chosen.is_empty() {
            let all: Vec<&str> = FAILPOINTS.iter().map(|failpoint| failpoint.name).collect();
            return Err(Error::environment(
                format!(
                    "--filter: no failpoint's name contains `{}`",
                    self.filters.join("`, `")
                ),
                format!("choose from {}", all.join(", ")),
            ));
        }
        Ok(chosen)
    }
}

pub(super) async fn run(
    args: SelftestArgs,
    before: &MeshArgs,
    interrupts: Interrupts,
) -> Result<ExitCode, Error> {
    let failpoints = args.failpoints()?;
    let checkout = Checkout::find()?;
    let engine = args.engine.choice(before).connect().await?.engine;
    let progress = Progress::new();
    super::up::sweep(&engine, &progress).await?;
    let ownership = ownership(false);
    let work = async {
        let build = args.build.build();
        let ready = prepare::image(
            &engine,
            &checkout,
            Kind::Failpoints,
            FAILPOINTS_IMAGE,
            build,
            &interrupts,
            &progress,
        )
        .await?;
        prepare::netcut(&engine, &checkout, build, &interrupts, &progress).await?;
        let trials = Trials {
            engine: &engine,
            checkout: &checkout,
            image: ready.image,
            ownership: &ownership,
            progress: &progress,
        };
        let all = trials.run(&failpoints);
        let trials = interrupts
            .stop
            .run_until_cancelled(all)
            .await
            .ok_or(Error::Interrupted)??;
        Ok((trials, Afterwards::Remove))
    };
    let trials = guarded(&engine, &ownership, &interrupts, &progress, Box::pin(work)).await?;
    let findings: Vec<Finding> = trials.iter().map(Trial::finding).collect();
    // An error is ignored: the exit code has the result.
    let _ = print(report(&trials, &findings), &interrupts).await;
    Ok(ExitCode::from(exit_code(&findings)))
}

/// Everything that the trials need.
struct Trials<'a> {
    engine: &'a Engine,
    checkout: &'a Checkout,
    image: Image,
    ownership: &'a Ownership,
    progress: &'a Progress,
}

impl Trials<'_> {
    /// Runs one trial without a failpoint, then one for each. Stops at an error of the environment.
    async fn run(&self, failpoints: &[&'static Failpoint]) -> Result<Vec<Trial>, Error> {
        let mut trials = Vec::new();
        for failpoint in std::iter::once(None).chain(failpoints.iter().copied().map(Some)) {
            if let Some(failpoint) = failpoint {
                self.progress.stage(failpoint.name);
            }
            let trial = self.one(failpoint).await?;
            if failpoint.is_none() {
                self.progress.stage("no failpoint");
            }
            let finding = trial.finding();
            trials.push(trial);
            match finding {
                Finding::Good if failpoint.is_some() => self.progress.done("detected"),
                Finding::Good => self.progress.done("every scenario passed"),
                Finding::Bad(why) => {
                    self.progress.failed();
                    self.progress.say(&why);
                }
                Finding::Unknown(why) => {
                    self.progress.failed();
                    self.progress.say(&why);
                    break;
                }
            }
        }
        Ok(trials)
    }

    async fn one(&self, failpoint: Option<&'static Failpoint>) -> Result<Trial, Error> {
        let project = format!("mesh-selftest-{:08x}", rand::random::<u32>());
        let topology = self.checkout.topology(&project)?.with_free_ports();
        let mut topology = topology.with_image(FAILPOINTS_IMAGE);
        for member in &mut topology.members {
            let variable = failpoint.map(|failpoint| (VARIABLE.to_owned(), failpoint.name.to_owned()));
            member.service.environment.extend(variable);
        }
        let names = Trial::scenarios(failpoint);
        let named = scenarios::ALL
            .iter()
            .filter(|scenario| names.contains(&scenario.name));
        let copies: Vec<Scenario> = named.map(|scenario| allowing(scenario, failpoint)).collect();
        let suite = Suite {
            scenarios: copies.iter().collect(),
            runs: 1,
            keep: false,
            capabilities: Capabilities {
                docker: self.engine.name() == "docker",
                compose: false,
            },
            require_docker: false,
        };
        // Failures are expected here, and shown in the final table.
        let progress = match failpoint {
            Some(_) => Progress::silent(),
            None => self.progress.clone(),
        };
        let (image, ownership) = (self.image.clone(), self.ownership.clone());
        let mut ctx = Context::new(self.engine.clone(), topology, image, ownership, progress.clone());
        let mut results = SuiteResult::default();
        suite.run(&mut ctx, &progress, &mut results).await;
        ctx.finish(true).await?;
        Ok(Trial {
            failpoint,
            results: results.scenarios,
        })
    }
}

/// The scenario, which also allows the sidecar's warning about an active failpoint.
fn allowing(scenario: &Scenario, failpoint: Option<&Failpoint>) -> Scenario {
    let mut allows = scenario.allows.to_vec();
    allows.extend(failpoint.map(|_| WARNING));
    Scenario {
        // Leaks a few strings, once for each scenario and failpoint.
        allows: allows.leak(),
        ..*scenario
    }
}

fn report(trials: &[Trial], findings: &[Finding]) -> String {
    let rows = trials.iter().flat_map(Trial::rows);
    let table = table::plain(&["FAILPOINT", "SCENARIO", "VERDICT", "MESSAGE"], rows);
    let bad = trials.iter().zip(findings).filter_map(|(trial, finding)| {
        let name = trial.failpoint.map_or("none", |failpoint| failpoint.name);
        match finding {
            Finding::Good => None,
            Finding::Bad(why) | Finding::Unknown(why) => Some(format!("{name}: {why}")),
        }
    });
    let bad: Vec<String> = bad.collect();
    let sentence = if bad.is_empty() {
        "The scenarios detected every failpoint, and passed without one.".to_owned()
    } else {
        bad.join("\n")
    };
    format!("\n{table}\n\n{sentence}\n")
}
