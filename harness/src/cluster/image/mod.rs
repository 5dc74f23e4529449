//! The images: static programs, compiled here and imported into the engine, so that no registry is needed.

mod cargo_output;
mod compile;
mod pack;

use std::path::PathBuf;

use crate::cluster::checkout::Checkout;
use crate::cluster::file_lock::FileLock;
use crate::console::Progress;
use crate::engine::{Engine, Image, label};
use crate::error::Error;

/// The images that the harness builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The image of the mesh's containers. It equals that of `compose/Dockerfile`, but is compiled in the Cargo profile
    /// `image`, which takes less time.
    Mesh,
    /// The image of the mesh's containers, compiled in the `release` profile, for measurements; by convention called
    /// [`RELEASE_IMAGE`].
    Release,
    /// The image of the mesh's containers with failpoints in the sidecar; by convention called [`FAILPOINTS_IMAGE`].
    Failpoints,
    /// The image of helpers that cut connections between containers; called [`NETCUT_IMAGE`].
    Netcut,
}

impl Kind {
    fn recipe(self) -> &'static Recipe {
        match self {
            Self::Mesh => &MESH,
            Self::Release => &RELEASE,
            Self::Failpoints => &FAILPOINTS,
            Self::Netcut => &NETCUT,
        }
    }
}

/// An image's content and settings.
#[derive(Debug, Clone, Copy)]
struct Recipe {
    /// The name of the directory that its programs are copied to.
    name: &'static str,
    /// The Cargo profile of its programs.
    profile: &'static str,
    /// The packages of its programs.
    packages: &'static [&'static str],
    /// Enabled features, as PACKAGE/FEATURE.
    features: &'static [&'static str],
    /// The programs in its `/bin`.
    programs: &'static [&'static str],
    /// Symbolic links: path and target.
    links: &'static [(&'static str, &'static str)],
    /// Whether it contains the sidecars' config files.
    config: bool,
    /// Its configuration, as Dockerfile instructions.
    settings: &'static [&'static str],
    /// Advice to the user if its programs cannot be compiled.
    advice: &'static str,
}

const MESH: Recipe = Recipe {
    name: "mesh",
    profile: "image",
    packages: &["sidecar", "example-services"],
    features: &[],
    programs: &["sidecar", "example-services"],
    // The executable of the examples selects its program by the name under which it is called.
    links: &[
        ("bin/frontend", "example-services"),
        ("bin/service", "example-services"),
    ],
    config: true,
    settings: &[
        "ENV PATH=/bin",
        "USER 65534:65534",
        "LABEL service-mesh.image=example",
        r#"ENTRYPOINT ["/bin/sidecar"]"#,
    ],
    advice: "fix what the compiler reports, or build the image elsewhere (docker build -f compose/Dockerfile -t \
             service-mesh-example .) and run with --no-build",
};

/// The name of the image in the `release` profile.
pub const RELEASE_IMAGE: &str = "service-mesh-release";

const RELEASE: Recipe = Recipe {
    name: "release",
    profile: "release",
    ..MESH
};

/// The name of the image whose sidecars have failpoints.
pub const FAILPOINTS_IMAGE: &str = "service-mesh-failpoints";

const FAILPOINTS: Recipe = Recipe {
    name: "failpoints",
    features: &["sidecar/failpoints"],
    ..MESH
};

/// The name of the image that cuts connections between containers.
pub const NETCUT_IMAGE: &str = "service-mesh-netcut";

/// The user is root, because the engine gives an added capability to root only.
const NETCUT: Recipe = Recipe {
    name: "netcut",
    profile: "image",
    packages: &["netcut"],
    features: &[],
    programs: &["netcut"],
    links: &[],
    config: false,
    settings: &["ENV PATH=/bin", "USER 0:0", r#"ENTRYPOINT ["/bin/netcut"]"#],
    advice: "fix what the compiler reports, or leave out the network faults",
};

/// Not an image: only its program is used.
const HTTP_WORKER: Recipe = Recipe {
    name: "http-worker",
    profile: "release",
    packages: &["http-worker"],
    programs: &["http-worker"],
    settings: &[],
    advice: "fix what the compiler reports, or measure other parts with --only",
    ..NETCUT
};

/// An image that is ready to run.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The image.
    pub image: Image,
    /// Whether it existed and nothing had to be compiled.
    pub cached: bool,
}

/// Looks up the image `name`, which has existed in this run.
///
/// # Errors
/// It has been removed, or the engine fails.
pub async fn reread(engine: &Engine, name: &str) -> Result<Image, Error> {
    engine.image(name).await?.ok_or_else(|| {
        Error::environment(
            format!("the image {name} has been removed while it was in use"),
            "run the command again",
        )
    })
}

/// Compiles an image's sidecar. Returns the path of the program, which is identical to that in the image.
///
/// # Errors
/// It cannot be compiled here.
pub async fn sidecar(checkout: &Checkout, kind: Kind, progress: &Progress) -> Result<PathBuf, Error> {
    let compiled = compile::compile(checkout, kind.recipe(), progress).await?;
    Ok(compiled.directory.join("sidecar"))
}

/// Compiles the program of benches with HTTP, in the `release` profile.
///
/// # Errors
/// It cannot be compiled here.
pub async fn http_worker(checkout: &Checkout, progress: &Progress) -> Result<PathBuf, Error> {
    let compiled = compile::compile(checkout, &HTTP_WORKER, progress).await?;
    Ok(compiled.directory.join("http-worker"))
}

/// Compiles an image's programs and imports it as `name`, unless an image with the same content has that name.
///
/// # Errors
/// It cannot be compiled here, or the engine fails.
pub async fn ensure(
    engine: &Engine,
    checkout: &Checkout,
    kind: Kind,
    name: &str,
    progress: &Progress,
) -> Result<Ready, Error> {
    let recipe = kind.recipe();
    let compiled = compile::compile(checkout, recipe, progress).await?;
    let config = checkout.root().join("compose/config");
    let from = compiled.directory;
    let failed = |error: std::io::Error| {
        Error::environment(
            format!("the image's content cannot be read: {error}"),
            "run the command again",
        )
    };
    let (tar, digest) = tokio::task::spawn_blocking(move || pack::pack(recipe, &from, &config))
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(failed)?;
    // Without the lock, each of two processes could remove the other's new image as outdated.
    // One for all kinds, whose programs are in directories of their own.
    let _lock = FileLock::acquire(&checkout.target().join("image/image.lock"))
        .await
        .map_err(failed)?;
    let known = engine.image(name).await?;
    if let Some(image) = known.filter(|image| image.labels.get(label::DIGEST) == Some(&digest)) {
        return Ok(Ready {
            image,
            cached: compiled.fresh,
        });
    }
    progress.note("importing it into the engine");
    let mut changes: Vec<String> = recipe.settings.iter().map(|line| (*line).to_owned()).collect();
    changes.push(format!("LABEL {}={digest}", label::DIGEST));
    engine.import_image(name, tar, changes).await?;
    engine.remove_outdated_images().await?;
    Ok(Ready {
        image: reread(engine, name).await?,
        cached: false,
    })
}
