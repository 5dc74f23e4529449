//! The images: static binaries, compiled here and sent to the engine, so that no registry is needed.

mod compile;
mod pack;

use std::path::PathBuf;

use crate::cluster::checkout::Checkout;
use crate::cluster::file_lock;
use crate::console::Progress;
use crate::engine::{Engine, Image, label};
use crate::error::Error;

/// What is made of an image's programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The mesh's containers. The same content as `compose/Dockerfile` makes.
    Mesh,
    /// The same with sidecars that have failpoints; by custom called [`FAILPOINTS_IMAGE`].
    Failpoints,
    /// Helpers that cut connections between containers; called [`NETCUT_IMAGE`].
    Netcut,
}

impl Kind {
    fn recipe(self) -> &'static Recipe {
        match self {
            Self::Mesh => &MESH,
            Self::Failpoints => &FAILPOINTS,
            Self::Netcut => &NETCUT,
        }
    }
}

/// What an image is made of.
#[derive(Debug, Clone, Copy)]
struct Recipe {
    /// The workspace's packages that its programs come from.
    packages: &'static [&'static str],
    /// Their features that are on, as PACKAGE/FEATURE.
    features: &'static [&'static str],
    /// The programs, which stand in its `bin`.
    programs: &'static [&'static str],
    /// Symbolic links: where they stand and what they point to.
    links: &'static [(&'static str, &'static str)],
    /// Whether the sidecars' config files are in it.
    config: bool,
    /// Lines of a Dockerfile that say how it is run.
    settings: &'static [&'static str],
    /// What the user can do where its programs cannot be compiled.
    advice: &'static str,
}

const MESH: Recipe = Recipe {
    packages: &["sidecar", "example-services"],
    features: &[],
    programs: &["sidecar", "example-services"],
    // Names under which the examples' one file is two programs.
    links: &[
        ("bin/frontend", "example-services"),
        ("bin/service", "example-services"),
    ],
    config: true,
    settings: &[
        "ENV PATH=/bin",
        "USER 65534:65534",
        r#"ENTRYPOINT ["/bin/sidecar"]"#,
    ],
    advice: "fix what the compiler reports, or build the image elsewhere (docker build -f compose/Dockerfile -t \
             service-mesh-example .) and run with --no-build",
};

/// The name of the image whose sidecars have failpoints.
pub const FAILPOINTS_IMAGE: &str = "service-mesh-failpoints";

const FAILPOINTS: Recipe = Recipe {
    features: &["sidecar/failpoints"],
    ..MESH
};

/// The name of the image that cuts connections between containers.
pub const NETCUT_IMAGE: &str = "service-mesh-netcut";

/// Its user is root: a capability that is added to a container is not given to anybody else.
const NETCUT: Recipe = Recipe {
    packages: &["netcut"],
    features: &[],
    programs: &["netcut"],
    links: &[],
    config: false,
    settings: &["ENV PATH=/bin", "USER 0:0", r#"ENTRYPOINT ["/bin/netcut"]"#],
    advice: "fix what the compiler reports, or leave out what cuts connections",
};

/// An image that is ready to be run.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The image.
    pub image: Image,
    /// Whether it was there already, and nothing had to be compiled to know that.
    pub cached: bool,
}

/// The image called `name`, which was there when it was last looked for.
///
/// # Errors
/// Somebody has removed it, or the engine's.
pub async fn again(engine: &Engine, name: &str) -> Result<Image, Error> {
    engine.image(name).await?.ok_or_else(|| {
        Error::environment(
            format!("the image {name} has been removed while it was needed"),
            "run the command again",
        )
    })
}

/// Compiles the image's sidecar, and tells where its program is: the same file as the image has.
///
/// # Errors
/// It cannot be compiled here.
pub async fn sidecar(checkout: &Checkout, progress: &Progress) -> Result<PathBuf, Error> {
    let compiled = compile::compile(checkout, &MESH, progress).await?;
    Ok(compiled.directory.join("sidecar"))
}

/// Compiles what an image of this kind is made of, and makes it, called `name`, unless an equal one is there.
///
/// # Errors
/// It cannot be compiled here, or the engine's.
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
    let directory = compiled.directory;
    let failed = |error: std::io::Error| {
        Error::environment(
            format!("the image's content cannot be gathered: {error}"),
            "run the command again",
        )
    };
    let from = directory.clone();
    let (tar, digest) = tokio::task::spawn_blocking(move || pack::pack(recipe, &from, &config))
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(failed)?;
    // Else each of two would take what the other has just made for outdated.
    let _turn = file_lock::take(&directory.join("image.lock"))
        .await
        .map_err(failed)?;
    let known = engine.image(name).await?;
    if let Some(image) = known.filter(|image| image.labels.get(label::DIGEST) == Some(&digest)) {
        return Ok(Ready {
            image,
            cached: compiled.fresh,
        });
    }
    progress.note("sending it to the engine");
    let mut changes: Vec<String> = recipe.settings.iter().map(|line| (*line).to_owned()).collect();
    changes.push(format!("LABEL {}={digest}", label::DIGEST));
    engine.import_image(name, tar, changes).await?;
    engine.remove_outdated_images().await?;
    Ok(Ready {
        image: again(engine, name).await?,
        cached: false,
    })
}
