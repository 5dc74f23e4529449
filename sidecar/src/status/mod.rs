//! The read-only status listener: liveness, readiness, the view of the mesh, metrics.

mod clients;
mod exposition;
mod mesh_page;
mod metrics;
mod process;

use std::net::IpAddr;
use std::sync::Arc;

use hyper::{Method, Request, StatusCode};
use tokio::sync::watch;

use crate::control::Controller;
use crate::http::{self, Answer};
use crate::mesh;
pub use clients::Clients;

/// The default address of a waypoint's status listener, and of `sidecar get`: a port that services hardly have, and that
/// the kernel gives to no outgoing connection.
pub const DEFAULT_STATUS: &str = "127.0.0.1:61790";

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
    clients: Clients,
}

impl Status {
    /// The pages for this phase, control plane and mesh, for all clients.
    #[must_use]
    pub fn new(phase: watch::Receiver<Phase>, controller: Arc<Controller>, mesh: Option<MeshStatus>) -> Self {
        Self {
            phase,
            controller,
            mesh,
            clients: Clients::default(),
        }
    }

    /// Sets the clients that are answered.
    #[must_use]
    pub fn for_clients(self, clients: Clients) -> Self {
        Self { clients, ..self }
    }

    /// Answers a client's request.
    #[must_use]
    pub fn answer<B>(&self, from: IpAddr, request: &Request<B>) -> Answer {
        if !self.clients.contains(from) {
            return clients::refused(from);
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let answer = http::text(status, "this listener is read-only: use GET\n");
            return http::method_not_allowed("GET, HEAD", answer);
        }
        match request.uri().path() {
            "/healthz" => http::text(StatusCode::OK, "alive\n"),
            "/readyz" => self.readiness(),
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

    fn readiness(&self) -> Answer {
        let unreachable = || {
            self.mesh
                .as_ref()
                .and_then(|mesh| mesh.reachability.unreachable())
        };
        let ready = |why| match why {
            None => (StatusCode::OK, "ready".to_owned()),
            Some(why) => {
                let text = format!("no other node of the mesh can reach this one: {why}");
                (StatusCode::SERVICE_UNAVAILABLE, text)
            }
        };
        let (status, text) = match *self.phase.borrow() {
            Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting".to_owned()),
            Phase::Ready => ready(unreachable()),
            Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining".to_owned()),
        };
        // It serves clients whether or not its configuration is saved, so that is no reason to be taken out of service.
        let unsaved = self.controller.save_state().and_then(|state| state.unsaved);
        let note = unsaved.map_or_else(String::new, |error| format!("UNSAVED: {error}\n"));
        http::text(status, format!("{text}\n{note}"))
    }
}
