//! Every path answers with the service that was asked for, and the frontend lists its own.

use std::time::Duration;

use crate::cluster::mesh::Mesh;
use crate::cluster::topology::{FRONTEND_PORT, Role};
use crate::error::{Error, check};
use crate::http;
use crate::verify::suite::Stage;

/// Requests on each path.
const REQUESTS: usize = 6;
/// Time that the list may take: nothing is fetched for it.
const LIST_LIMIT: Duration = Duration::from_secs(2);

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
    lists_its_own(&mesh).await
}

async fn lists_its_own(mesh: &Mesh) -> Result<(), Error> {
    let pages: Vec<(String, String)> = mesh
        .routes()?
        .into_iter()
        .map(|(route, _)| (route.member, route.target))
        .collect();
    let frontends = mesh
        .nodes()
        .iter()
        .filter(|node| node.member.role == Role::Frontend);
    for node in frontends {
        let name = node.member.name();
        let expected = format!("{name}:{FRONTEND_PORT}/ lists its pages");
        let address = node.container.endpoint(FRONTEND_PORT);
        let address = address.ok_or_else(|| Error::unmet(&expected, "its port is not published"))?;
        let answered = http::get(address, "/", LIST_LIMIT).await;
        let response = answered.map_err(|error| Error::unmet(&expected, error.to_string()))?;
        let text = String::from_utf8_lossy(&response.body);
        let mut own = pages.iter().filter(|(member, _)| member == name);
        // Each as it is to be typed: in quotation marks.
        let whole = own.all(|(_, page)| text.contains(&format!("{page}'")));
        check(response.status == 200 && whole, expected, text)?;
    }
    Ok(())
}
