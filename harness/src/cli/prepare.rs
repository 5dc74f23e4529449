//! Builds the images that a command needs, or finds existing ones. An interrupt cancels the build.

use harness::cluster::checkout::Checkout;
use harness::cluster::image::{self, Kind, NETCUT_IMAGE, Ready};
use harness::console::Progress;
use harness::engine::Engine;
use harness::error::Error;
use harness::interrupt::Interrupts;

#[derive(Debug, clap::Args)]
pub(super) struct BuildArgs {
    /// Use the existing images instead of building them
    #[arg(long)]
    pub(super) no_build: bool,
}

impl BuildArgs {
    /// Whether to build.
    pub(super) fn build(&self) -> bool {
        !self.no_build
    }
}

/// The image `name` of this kind; built unless `build` is false.
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

/// The image of the netcut helper; `None` if the engine does not support network faults.
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
        (Engine::Docker(_), Kind::Mesh | Kind::Release) => {
            format!("remove --no-build, or build it: docker build -f compose/Dockerfile -t {name} .")
        }
        _ => "remove --no-build".to_owned(),
    };
    let what = format!("--no-build: there is no image {name}");
    Err(Error::environment(what, advice))
}

#[cfg(test)]
mod tests {
    use harness::engine::Processes;

    use super::*;

    #[tokio::test]
    async fn a_missing_image_is_an_error_with_no_build() {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::Process(Processes::open_in(directory.path().join("state")).unwrap());
        let error = existing(&engine, Kind::Mesh, "none").await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let expected = "--no-build: there is no image none\n  what to do: remove --no-build";
        assert_eq!(error.to_string(), expected);
    }
}
