//! The images that a command needs, built or taken as they are; given up when the user interrupts.

use harness::cluster::checkout::Checkout;
use harness::cluster::image::{self, Kind, NETCUT_IMAGE, Ready};
use harness::engine::Engine;
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::report::Progress;

/// An image of this kind called `name`: built, or as it is where --no-build was given.
pub(super) async fn image(
    engine: &Engine,
    checkout: &Checkout,
    kind: Kind,
    name: &str,
    build: bool,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Ready, Error> {
    progress.stage("image");
    let ready = async {
        if build {
            image::ensure(engine, checkout, kind, name, progress).await
        } else {
            existing(engine, kind, name).await
        }
    };
    let ready = interrupts
        .stop
        .run_until_cancelled(ready)
        .await
        .ok_or(Error::Interrupted)??;
    let how = match (build, ready.cached) {
        (true, true) => "unchanged",
        (true, false) => "built",
        (false, _) => "not rebuilt",
    };
    let size = ready.image.size as f64 / 1_000_000.0;
    progress.done(&format!("{name}, {size:.1} MB, {how}"));
    Ok(ready)
}

/// The image of what cuts the network, where the runtime has one to be cut.
pub(super) async fn netcut(
    engine: &Engine,
    checkout: &Checkout,
    build: bool,
    interrupts: &Interrupts,
    progress: &Progress,
) -> Result<Option<Ready>, Error> {
    if !engine.can_cut_network() {
        return Ok(None);
    }
    let ready = image(
        engine,
        checkout,
        Kind::Netcut,
        NETCUT_IMAGE,
        build,
        interrupts,
        progress,
    );
    ready.await.map(Some)
}

async fn existing(engine: &Engine, kind: Kind, name: &str) -> Result<Ready, Error> {
    if let Some(image) = engine.image(name).await? {
        return Ok(Ready { image, cached: true });
    }
    let advice = match (engine, kind) {
        (Engine::Docker(_), Kind::Mesh) => {
            format!("leave --no-build out, or build it: docker build -f compose/Dockerfile -t {name} .")
        }
        _ => "leave --no-build out".to_owned(),
    };
    let what = format!("there is no image {name}, and --no-build was given");
    Err(Error::environment(what, advice))
}

#[cfg(test)]
mod tests {
    use harness::engine::Processes;

    use super::*;

    #[tokio::test]
    async fn an_image_that_is_not_to_be_built_and_not_there_is_said_so() {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::Process(Processes::open_in(directory.path().join("state")).unwrap());
        let error = existing(&engine, Kind::Mesh, "none").await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let expected = "there is no image none, and --no-build was given\n  what to do: leave --no-build out";
        assert_eq!(error.to_string(), expected);
    }
}
