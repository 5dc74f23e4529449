//! A service without an instance fails at once and says why; the others do not notice.

use super::alternation::alternates;
use super::graceful_stop::no_request_failed;
use super::refusal::is_refused;
use crate::cluster::mesh::Mesh;
use crate::error::{Error, check};
use crate::report::Progress;
use crate::verify::suite::{READY_LIMIT, Stage};
use crate::verify::traffic::Pace;

/// All instances of the service that goes.
const GONE: [&str; 2] = ["service-a", "service-a2"];
/// Requests on each path while it is gone.
const REQUESTS: usize = 5;

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mut mesh = stage.mesh().await?;
    let mut others = mesh.routes()?;
    others.retain(|(route, _)| route.service != "a");
    let traffic = stage.traffic_on(&others, Pace::default());
    for name in GONE {
        stage.say(format!("stops {name}"));
        mesh.stop(name).await?;
    }
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    all_refused(&mesh).await?;

    for name in GONE {
        stage.say(format!("starts {name} again"));
        mesh.start_again(name).await?;
    }
    mesh.ready(READY_LIMIT, &Progress::silent()).await?;
    for route in mesh.routes()? {
        if route.0.service == "a" {
            alternates(&mesh, &route).await?;
        }
    }
    no_request_failed(&traffic.finish().await)
}

/// Every path to service a fails as it should, again and again.
async fn all_refused(mesh: &Mesh) -> Result<(), Error> {
    for route in mesh.routes()?.iter().filter(|(route, _)| route.service == "a") {
        for _ in 0..REQUESTS {
            let expected = format!(
                "{}: without an instance it fails within a second and says why",
                route.0.name()
            );
            if let Err(instead) = is_refused(route).await {
                check(false, expected, instead)?;
            }
        }
    }
    Ok(())
}
