//! Every path answers with the requested service, and the frontend lists its pages.

use std::time::Duration;

use crate::cluster::mesh::Mesh;
use crate::cluster::topology::{FRONTEND_PORT, Role};
use crate::error::{Error, check};
use crate::http;
use crate::verify::suite::{Context, Requirements, Scenario};

/// Requests on each path.
const REQUESTS: usize = 6;
/// Timeout for the list of pages; the frontend makes no request for it.
const LIST_LIMIT: Duration = Duration::from_secs(2);

pub(super) static SCENARIO: Scenario = Scenario {
    name: "paths",
    about: "every path answers with the requested service, from one of its containers",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let mesh = ctx.mesh().await?;
    for route in mesh.routes()? {
        let (name, service) = (route.0.name(), route.0.service.clone());
        let instances = mesh.hosts(&service);
        for _ in 0..REQUESTS {
            let expected = format!("{name}: an answer of service {service} from one of {instances:?}");
            let answer = mesh.ask(&route).await;
            let answer = answer.map_err(|reason| Error::unmet(&expected, reason))?;
            let known = instances.contains(answer.host.as_str());
            check(known, expected, format!("{answer:?}"))?;
        }
    }
    frontend_lists_its_pages(&mesh).await
}

async fn frontend_lists_its_pages(mesh: &Mesh) -> Result<(), Error> {
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
        // Each page is shown as a quoted URL.
        let complete = own.all(|(_, page)| text.contains(&format!("{page}'")));
        check(response.status == 200 && complete, expected, text)?;
    }
    Ok(())
}
