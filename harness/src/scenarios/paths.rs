//! Every path answers with the service that was asked for.

use crate::error::{Error, check};
use crate::suite::Stage;

/// Requests on each path.
const REQUESTS: usize = 6;

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mesh = stage.mesh().await?;
    for route in mesh.routes()? {
        let (name, service) = (route.0.name(), route.0.service.clone());
        let instances = mesh.hosts(&service);
        for _ in 0..REQUESTS {
            let expected = format!("{name}: an answer of service {service} from one of {instances:?}");
            match mesh.ask(&route).await {
                Ok(answer) => check(
                    instances.contains(answer.host.as_str()),
                    expected,
                    format!("{answer:?}"),
                )?,
                Err(reason) => check(false, expected, reason)?,
            }
        }
    }
    Ok(())
}
