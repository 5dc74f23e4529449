//! The read-only status listener: liveness, readiness, the view of the mesh, metrics.

mod exposition;
mod mesh_page;
mod metrics;
mod process;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use tokio::sync::watch;

use crate::control::Controller;
use crate::http::{self, Answer};
use crate::mesh;

/// The sidecar's phase of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its listeners are being bound.
    Starting,
    /// It accepts connections.
    Ready,
    /// It stops: open connections finish.
    Draining,
}

/// The mesh's data for the pages.
#[derive(Debug)]
pub struct MeshStatus {
    /// The node's view.
    pub view: watch::Receiver<Arc<mesh::View>>,
    /// Its traffic counters.
    pub counters: Arc<mesh::Counters>,
    /// Whether other nodes can reach it.
    pub reachability: mesh::Reachability,
}

/// The status pages.
#[derive(Debug)]
pub struct Status {
    phase: watch::Receiver<Phase>,
    controller: Arc<Controller>,
    mesh: Option<MeshStatus>,
}

impl Status {
    /// The pages for this phase, control plane and mesh.
    #[must_use]
    pub fn new(phase: watch::Receiver<Phase>, controller: Arc<Controller>, mesh: Option<MeshStatus>) -> Self {
        Self {
            phase,
            controller,
            mesh,
        }
    }

    /// Answers a request.
    #[must_use]
    pub fn answer(&self, request: &Request<Incoming>) -> Answer {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return http::text(
                StatusCode::METHOD_NOT_ALLOWED,
                "this listener is read-only: use GET\n",
            );
        }
        match request.uri().path() {
            "/healthz" => http::text(StatusCode::OK, "alive\n"),
            "/readyz" => match *self.phase.borrow() {
                Phase::Starting => http::text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
                Phase::Ready => match self
                    .mesh
                    .as_ref()
                    .and_then(|mesh| mesh.reachability.unreachable())
                {
                    None => http::text(StatusCode::OK, "ready\n"),
                    Some(why) => {
                        let text = format!("no other node of the mesh can reach this one: {why}\n");
                        http::text(StatusCode::SERVICE_UNAVAILABLE, text)
                    }
                },
                Phase::Draining => http::text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            },
            "/metrics" => http::answer(
                StatusCode::OK,
                exposition::CONTENT_TYPE,
                metrics::page(&self.controller, self.mesh.as_ref()),
            ),
            "/mesh" => match &self.mesh {
                Some(mesh) => {
                    let view = Arc::clone(&mesh.view.borrow());
                    http::json(StatusCode::OK, &mesh_page::page(&view, &self.controller))
                }
                None => http::text(
                    StatusCode::NOT_FOUND,
                    "this sidecar is in no mesh: it was started without --discovery-config\n",
                ),
            },
            _ => http::text(
                StatusCode::NOT_FOUND,
                "expected /healthz, /readyz, /mesh or /metrics\n",
            ),
        }
    }
}
