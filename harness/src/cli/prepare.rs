//! The images that a command needs, built or taken as they are; given up when the user interrupts.

use harness::checkout::Checkout;
use harness::error::Error;
use harness::image::{self, BREAKABLE_IMAGE, Ready, WIRE_IMAGE};
use harness::interrupt::Interrupts;
use harness::report::Progress;
use harness::runtime::Runtime;

/// The image of the mesh's containers.
pub(super) async fn image(
    runtime: &Runtime,
    checkout: &Checkout,
    name: &str,
    build: bool,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Ready, Error> {
    let ensured = async {
        if build {
            image::ensure(runtime, checkout.root(), name, progress).await
        } else {
            existing(runtime, name).await
        }
    };
    told(name, build, ensured, interrupts, progress).await
}

/// The image of what cuts the network, where the runtime has one to be cut.
pub(super) async fn wire(
    runtime: &Runtime,
    checkout: &Checkout,
    build: bool,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Option<Ready>, Error> {
    if !runtime.cuts() {
        return Ok(None);
    }
    let ensured = async {
        if build {
            image::ensure_wire(runtime, checkout.root(), progress).await
        } else {
            existing(runtime, WIRE_IMAGE).await
        }
    };
    let ready = told(WIRE_IMAGE, build, ensured, interrupts, progress).await?;
    Ok(Some(ready))
}

/// The image called `name` as it is, which --no-build asks for.
async fn existing(runtime: &Runtime, name: &str) -> Result<Ready, Error> {
    match runtime.image(name).await? {
        Some(image) => Ok(Ready { image, cached: true }),
        None => {
            let advice = match (runtime, name) {
                (Runtime::Process(_), _) | (_, WIRE_IMAGE | BREAKABLE_IMAGE) => {
                    "leave --no-build out".to_owned()
                }
                _ => format!(
                    "leave --no-build out, or build it: docker build -f compose/Dockerfile -t {name} ."
                ),
            };
            let what = format!("there is no image {name}, and --no-build was given");
            Err(Error::environment(what, advice))
        }
    }
}

async fn told(
    name: &str,
    build: bool,
    ensured: impl Future<Output = Result<Ready, Error>>,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Ready, Error> {
    progress.stage("image");
    let ready = interrupts
        .stop
        .run_until_cancelled(ensured)
        .await
        .ok_or(Error::Interrupted)??;
    let how = match (build, ready.cached) {
        (true, true) => "unchanged",
        (true, false) => "built",
        (false, _) => "as it is",
    };
    let size = ready.image.size as f64 / 1_000_000.0;
    progress.done(&format!("{name}, {size:.1} MB, {how}"));
    Ok(ready)
}
