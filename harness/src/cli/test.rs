//! `test`: every scenario, on a mesh of its own.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use harness::checkout::Checkout;
use harness::error::Error;
use harness::image::Ready;
use harness::interrupt::Interrupts;
use harness::promises::{Measurements, Promise};
use harness::report::{Progress, seconds, table};
use harness::runtime::Choice;
use harness::scenarios::ALL;
use harness::suite::Stage;

use super::guard::{Afterwards, belonging, guarded};

pub(super) async fn run(
    choice: Choice,
    build: bool,
    begun: Instant,
    interrupts: Interrupts,
) -> Result<ExitCode, Error> {
    let checkout = Checkout::find()?;
    // A name that nobody else has, and ports that the engine finds free: it runs beside anything.
    let project = format!("mesh-test-{:08x}", rand::random::<u32>());
    let topology = checkout.topology(&project)?.with_free_ports();
    let runtime = choice.connect().await?.runtime;
    let progress = Progress::new();
    super::up::sweep(&runtime, &progress).await?;

    let belonging = belonging(false);
    let work = async {
        let name = topology.image.clone();
        let ready =
            super::up::prepare_image(&runtime, &checkout, &name, build, &interrupts, &progress).await?;
        let (image, belonging) = (ready.image.clone(), belonging.clone());
        let stage = Stage::new(runtime.clone(), topology, image, belonging, progress.clone());
        let all = every_scenario(stage, &ready, begun, &progress);
        let failed = interrupts
            .stop
            .run_until_cancelled(all)
            .await
            .ok_or(Error::Interrupted)??;
        Ok((failed, Afterwards::Remove))
    };
    let failed = guarded(&runtime, &belonging, &interrupts, &progress, Box::pin(work)).await?;
    let _ = match failed.len() {
        0 => writeln!(std::io::stdout(), "\nAll {} scenarios held.", ALL.len()),
        count => writeln!(
            std::io::stdout(),
            "\n{count} of {} failed: {}",
            ALL.len(),
            failed.join(", ")
        ),
    };
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs all scenarios and prints the figures; answers with the names of those that failed.
async fn every_scenario(
    mut stage: Stage,
    ready: &Ready,
    begun: Instant,
    progress: &Progress,
) -> Result<Vec<&'static str>, Error> {
    let mut measured = Measurements::default();
    stage.mesh().await?;
    if ready.cached {
        measured.add(Promise::Up, begun.elapsed());
    }
    let mut failed = Vec::new();
    for scenario in ALL {
        // After a failure there is a new one to be made: under a stage of its own.
        stage.mesh().await?;
        progress.stage(scenario.name);
        progress.note(scenario.about);
        match stage.run(scenario).await {
            Ok(()) => progress.done(scenario.about),
            Err(Error::Check(failure)) => {
                progress.failed();
                progress.say(&format!(
                    "{} does not hold: {}\n{failure}",
                    scenario.name, scenario.about
                ));
                failed.push(scenario.name);
            }
            Err(other) => return Err(other),
        }
    }
    progress.stage("memory");
    let memory = stage.mesh().await?.sidecar_memory().await?;
    for (_, kib) in memory {
        measured.add(Promise::Memory, kib);
    }
    measured.merge(stage.measured());
    progress.done("read");
    // The table is for people; the exit code tells the rest.
    let took = seconds(begun.elapsed());
    let _ = writeln!(
        std::io::stdout(),
        "\n{}\n\nMeasured in {took}.",
        table::promises(&measured)
    );
    Ok(failed)
}
