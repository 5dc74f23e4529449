//! A service: registers at its sidecar, listens on the port of the registration, and answers with its identity.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Response, StatusCode};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::name::Name;
use crate::registration::{Registered, Registration, Sidecar, Withdrawn};
use crate::server;

/// Time for which an instance accepts connections after its deregistration, until it has reached all nodes.
const LINGER: Duration = Duration::from_secs(2);
/// Timeout for requests in flight after [`LINGER`].
const GRACE: Duration = Duration::from_millis(1_500);

/// A service's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name in its responses.
    pub name: Name,
    /// The registration at the sidecar.
    pub registration: Registration,
    /// The sidecar to register at.
    pub sidecar: Sidecar,
    /// The address to listen on.
    pub listen: IpAddr,
    /// The host in its responses; `None` for the host's name.
    pub host: Option<String>,
    /// Timeout for the registration, including retries.
    pub registration_timeout: Duration,
}

/// The response to `GET /`, with the fields in this order.
#[derive(Debug, Serialize)]
struct Identity {
    service: Name,
    host: String,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
}

/// Runs the service until `stop`. Then it deregisters (at most 1 s), accepts connections for 2 s more unless its sidecar
/// has withdrawn the instance before, and finishes requests in flight (at most 1.5 s): less than the 5 s that a sidecar
/// gives its program by default.
///
/// # Errors
/// The sidecar does not answer or refuses the registration, or the port is in use.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let Config {
        name,
        registration,
        sidecar,
        listen,
        host,
        registration_timeout,
    } = config;
    let registering = sidecar.register(&registration, registration_timeout);
    let Some(registered) = stop.run_until_cancelled(registering).await else {
        // The registration may have been applied. An error is ignored: without a sidecar there is nothing to
        // deregister.
        let _ = sidecar.deregister(&registration).await;
        tracing::info!("stopped before it was registered");
        return Ok(());
    };
    let Registered { port, fresh } = registered?;
    let listener = match TcpListener::bind(SocketAddr::new(listen, port)).await {
        Ok(listener) => listener,
        Err(error) => {
            // An existing registration may belong to another program, which uses the port.
            if fresh {
                deregister(&sidecar, &registration).await;
            }
            return Err(error).with_context(|| {
                format!(
                    "cannot listen on {listen}, port {port}, which the sidecar allocated to {registration}"
                )
            });
        }
    };
    // A stop during the renewal is handled below.
    let renewing = sidecar.renew(&registration, port);
    if !fresh && let Some(renewed) = stop.run_until_cancelled(renewing).await {
        renewed?;
    }

    let host = host.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let identity = Arc::new(Identity {
        service: name,
        host,
        port,
        weight: registration.weight,
    });
    tracing::info!("listening on {listen}, port {port}; registered as {registration} at {sidecar}");
    let close = CancellationToken::new();
    let serving = server::serve(listener, close.clone(), GRACE, move |request| {
        let answer = answer(&identity, request.method(), request.uri().path());
        async { answer }
    });
    let stopping = async {
        stop.cancelled().await;
        if deregister(&sidecar, &registration).await == Withdrawn::Now {
            tokio::time::sleep(LINGER).await;
        }
        close.cancel();
    };
    tokio::join!(serving, stopping);
    tracing::info!("stopped");
    Ok(())
}

/// Deregisters. A failure is only logged, because the sidecar's health check notices the closed port.
async fn deregister(sidecar: &Sidecar, registration: &Registration) -> Withdrawn {
    sidecar.deregister(registration).await.unwrap_or_else(|error| {
        tracing::warn!("cannot deregister: {:#}", anyhow::Error::from(error));
        Withdrawn::Now
    })
}

fn answer(identity: &Identity, method: &Method, path: &str) -> Response<Full<Bytes>> {
    match (path, method) {
        ("/", &Method::GET | &Method::HEAD) => server::json(StatusCode::OK, identity),
        ("/", _) => server::method_not_allowed(),
        _ => server::json(
            StatusCode::NOT_FOUND,
            &serde_json::json!({"error": "only / is here"}),
        ),
    }
}
