//! Removes and restores the registration of an instance through its sidecar's HTTP controller. The controller listens
//! on the container's loopback address, so this works on the process engine only.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bench::bench_mesh::TOKEN_VARIABLE;
use crate::cluster::mesh::Node;
use crate::engine::Engine;
use crate::error::Error;
use crate::http::{self, HttpError, Response};

const RESOURCE: &str = "/api/v1/module/smart-node-delegate";
/// The sidecar's flag with the address of its controller.
const FLAG: &str = "--http-controller";
/// Timeout for a request to a controller.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the harness can reach the sidecars' controllers on this engine.
pub(super) fn is_possible(engine: &Engine) -> bool {
    matches!(engine, Engine::Process(_))
}

/// A registration in the controller's JSON format.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    name: String,
    service: String,
    zone: String,
    nic: String,
    #[serde(rename = "exposedPort")]
    port: u16,
    weight: u32,
}

/// The only registration of a service's sidecar.
#[derive(Debug)]
pub(super) struct Registration {
    controller: SocketAddr,
    token: String,
    body: Body,
}

impl Registration {
    /// Fetches the registration of `node`'s sidecar.
    ///
    /// # Errors
    /// The controller cannot be reached, or does not have exactly one registration.
    pub(super) async fn of(node: &Node) -> Result<Self, Error> {
        let controller = controller(node).ok_or_else(|| failed("its address is not known"))?;
        let token = node.member.service.environment.get(TOKEN_VARIABLE).cloned();
        let token = token.unwrap_or_default();
        let listed = successful(http::get_as(&token, controller, RESOURCE, TIMEOUT).await)?;
        let mut all: Vec<Body> = serde_json::from_slice(&listed.body).map_err(|error| failed(&error))?;
        match (all.pop(), all.is_empty()) {
            (Some(body), true) => Ok(Self {
                controller,
                token,
                body,
            }),
            _ => Err(failed("expected one registration")),
        }
    }

    /// Removes it.
    ///
    /// # Errors
    /// The controller cannot be reached, or refused.
    pub(super) async fn delete(&self) -> Result<(), Error> {
        let target = format!("{RESOURCE}/{}", self.body.name);
        successful(http::delete(self.controller, &target, &self.token, TIMEOUT).await).map(drop)
    }

    /// Adds it again, with the same port.
    ///
    /// # Errors
    /// The controller cannot be reached, or refused.
    pub(super) async fn post(&self) -> Result<(), Error> {
        let text = serde_json::to_string(&self.body).map_err(|error| failed(&error))?;
        successful(http::post(self.controller, RESOURCE, &self.token, text, TIMEOUT).await).map(drop)
    }
}

fn controller(node: &Node) -> Option<SocketAddr> {
    let mut pairs = node.member.service.command.windows(2);
    let bound = pairs.find(|pair| pair[0] == FLAG)?;
    let port = bound[1].rsplit_once(':')?.1.parse().ok()?;
    Some(SocketAddr::new(node.container.address?, port))
}

/// The response, if its status is 2xx.
fn successful(answered: Result<Response, HttpError>) -> Result<Response, Error> {
    let response = answered.map_err(|error| failed(&error))?;
    if response.status / 100 == 2 {
        return Ok(response);
    }
    let body = String::from_utf8_lossy(&response.body).into_owned();
    Err(failed(format!("status {}: {body}", response.status)))
}

fn failed(reason: impl std::fmt::Display) -> Error {
    Error::unmet("an answer of a sidecar's controller", reason.to_string())
}
