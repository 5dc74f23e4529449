//! Registering an instance anew with the sidecar of a node that is known. Its controller listens inside the container:
//! from outside it is reached where a container is no more than processes of this machine.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cluster::mesh::Node;
use crate::engine::Engine;
use crate::error::Error;
use crate::http::{self, HttpError, Response};

const RESOURCE: &str = "/api/v1/module/smart-node-delegate";
/// The sidecar's flag that says where its controller listens.
const FLAG: &str = "--http-controller";
const LIMIT: Duration = Duration::from_secs(2);

/// Whether controllers are reached from outside.
pub(super) fn possible(engine: &Engine) -> bool {
    matches!(engine, Engine::Process(_))
}

/// A registration as the sidecar tells it, and takes it again.
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

/// The one registration of a service's sidecar.
#[derive(Debug)]
pub(super) struct Registration {
    controller: SocketAddr,
    body: Body,
}

impl Registration {
    /// That of `node`.
    ///
    /// # Errors
    /// The controller is not reached, or has no registration or more than one.
    pub(super) async fn of(node: &Node) -> Result<Self, Error> {
        let controller = controller(node).ok_or_else(|| failed("its address is not known"))?;
        let listed = told(http::get(controller, RESOURCE, LIMIT).await)?;
        let mut all: Vec<Body> = serde_json::from_slice(&listed.body).map_err(|error| failed(&error))?;
        match (all.pop(), all.is_empty()) {
            (Some(body), true) => Ok(Self { controller, body }),
            _ => Err(failed("expected one registration")),
        }
    }

    /// Takes it back.
    ///
    /// # Errors
    /// The sidecar did not.
    pub(super) async fn delete(&self) -> Result<(), Error> {
        let target = format!("{RESOURCE}/{}", self.body.name);
        told(http::delete(self.controller, &target, LIMIT).await).map(drop)
    }

    /// Makes it again, with the port that the instance listens on.
    ///
    /// # Errors
    /// The sidecar did not.
    pub(super) async fn post(&self) -> Result<(), Error> {
        let text = serde_json::to_string(&self.body).map_err(|error| failed(&error))?;
        told(http::post(self.controller, RESOURCE, "", text, LIMIT).await).map(drop)
    }
}

fn controller(node: &Node) -> Option<SocketAddr> {
    let mut pairs = node.member.service.command.windows(2);
    let bound = pairs.find(|pair| pair[0] == FLAG)?;
    let port = bound[1].rsplit_once(':')?.1.parse().ok()?;
    Some(SocketAddr::new(node.container.address?, port))
}

fn told(answered: Result<Response, HttpError>) -> Result<Response, Error> {
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
