//! The images that `up` needs: the waypoints', and those of the project.

use harness::cluster::checkout::Checkout;
use harness::cluster::image::{self, Kind};
use harness::console::Progress;
use harness::engine::{Docker, Engine};
use harness::error::Error;
use harness::project::open::Project;

/// The image of waypoints, with the sidecar of the checkout; the one that the engine has if there is nothing to build it
/// from.
pub(super) async fn waypoint_image(
    engine: &Docker,
    build: bool,
    progress: &Progress,
) -> Result<String, Error> {
    let name = harness::project::image();
    let engine = Engine::Docker(engine.clone());
    let existing = engine.image(&name).await?;
    if !build {
        return match existing {
            Some(_) => Ok(name),
            None => Err(Error::environment(
                format!("--no-build: there is no image {name}"),
                format!("remove --no-build, or build it: docker build -f compose/Dockerfile -t {name} ."),
            )),
        };
    }
    let checkout = match Checkout::built_from() {
        Ok(checkout) => checkout,
        Err(error) if existing.is_none() => return Err(error),
        Err(_) => {
            progress.say(&format!(
                "The checkout that this program was built from is gone: {name} is used as it is."
            ));
            return Ok(name);
        }
    };
    progress.stage("image");
    let before = existing.map(|image| image.id);
    let ready = image::ensure(&engine, &checkout, Kind::Mesh, &name, progress).await?;
    let how = match before {
        Some(id) if id == ready.image.id => "unchanged",
        Some(_) => "built again, because the checkout's programs changed",
        None => "built",
    };
    progress.done(&format!("{name}, {how}"));
    Ok(name)
}

/// Has Compose build or pull the images that the engine lacks, because they declare ports.
pub(super) async fn service_images(
    project: &Project,
    engine: &Docker,
    progress: &Progress,
) -> Result<(), Error> {
    let (mut build, mut pull) = (Vec::new(), Vec::new());
    for (name, service) in &project.config.services {
        if engine.inspect_image(&project.image(name)).await?.is_none() {
            let list = if service.image.is_none() || service.builds {
                &mut build
            } else {
                &mut pull
            };
            list.push(name.clone());
        }
    }
    for (command, services) in [("build", build), ("pull", pull)] {
        if !services.is_empty() {
            progress.say(&format!("{command}: {}", services.join(", ")));
            let mut arguments = project.own_arguments();
            arguments.push(command.to_owned());
            arguments.extend(services);
            project.compose.run(&arguments).await?;
        }
    }
    Ok(())
}
