//! A new mesh for one bench.

use harness::bench::BenchMesh;
use harness::cluster::checkout::Checkout;
use harness::cluster::image::{Kind, RELEASE_IMAGE};
use harness::console::Progress;
use harness::engine::EngineChoice;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::super::guard::{Afterwards, guarded, ownership};
use super::super::{prepare, up};

/// Prepares a mesh with a random name and free ports, calls `work` with it, and removes all that `work` started.
pub(super) async fn with<T>(
    build: bool,
    choice: EngineChoice,
    interrupts: &Interrupts,
    progress: &Progress,
    work: impl AsyncFnOnce(&BenchMesh) -> Result<T, Error>,
) -> Result<T, Error> {
    let checkout = Checkout::find()?;
    let project = format!("mesh-bench-{:08x}", rand::random::<u32>());
    let topology = checkout.topology(&project)?.with_free_ports();
    let topology = topology.with_image(RELEASE_IMAGE);
    let chosen = choice.connect().await?;
    let engine = chosen.engine.clone();
    progress.say(&format!("Runtime {chosen}."));
    up::sweep(&engine, progress).await?;
    let ownership = ownership(false);
    let all = async {
        let image = prepare::image(
            &engine,
            &checkout,
            Kind::Release,
            RELEASE_IMAGE,
            build,
            interrupts,
            progress,
        )
        .await?;
        let bench_mesh = BenchMesh {
            engine: engine.clone(),
            topology,
            image: image.image,
            ownership: ownership.clone(),
        };
        let done = interrupts.stop.run_until_cancelled(work(&bench_mesh)).await;
        Ok((done.ok_or(Error::Interrupted)??, Afterwards::Remove))
    };
    guarded(&engine, &ownership, interrupts, progress, Box::pin(all)).await
}
