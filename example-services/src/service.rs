//! A service: registers at its sidecar, listens on the port that it was given, says who it is.

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
use crate::registration::{Registered, Registration, Sidecar};
use crate::server;

/// How long a deregistered instance serves on: the time that the news may take through the mesh.
const LINGER: Duration = Duration::from_secs(2);
/// How long requests in flight may take to finish after that.
const GRACE: Duration = Duration::from_millis(2_500);

/// What a service is to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name that it answers with.
    pub name: Name,
    /// What it registers as.
    pub registration: Registration,
    /// Where it registers.
    pub sidecar: Sidecar,
    /// The address to listen on.
    pub listen: IpAddr,
    /// The host that it answers with; without it, the host's name.
    pub host: Option<String>,
    /// How long to wait for a sidecar that does not answer.
    pub registration_limit: Duration,
}

/// The answer to `GET /`, its fields in this order.
#[derive(Debug, Serialize)]
struct Identity {
    service: Name,
    host: String,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
}

/// Runs the service until `stop`; then deregisters it, serves on for two seconds and finishes what is in
/// flight. From `stop` to the return less than 6 seconds pass: at most 1 to deregister, 2 to serve on and 2.5
/// to finish. That is less than the 8 seconds that a sidecar gives its program by default.
///
/// # Errors
/// The sidecar does not answer or refuses the registration, or the port that it gave cannot be had.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let Config {
        name,
        registration,
        sidecar,
        listen,
        host,
        registration_limit,
    } = config;
    let registering = sidecar.register(&registration, registration_limit);
    let Some(registered) = stop.run_until_cancelled(registering).await else {
        // The request may have been on its way; a sidecar that is not there has nothing to take back.
        let _ = sidecar.deregister(&registration).await;
        tracing::info!("stopped before it was registered");
        return Ok(());
    };
    let Registered { port, fresh } = registered?;
    let listener = match TcpListener::bind(SocketAddr::new(listen, port)).await {
        Ok(listener) => listener,
        Err(error) => {
            // A registration found at the sidecar may be another program's, which holds the port.
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
    // Where a stop comes between, what there is to take back is taken back below.
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
        deregister(&sidecar, &registration).await;
        tokio::time::sleep(LINGER).await;
        close.cancel();
    };
    tokio::join!(serving, stopping);
    tracing::info!("stopped");
    Ok(())
}

/// Deregisters; a failure does not keep the program from stopping, for the sidecar notices a closed port.
async fn deregister(sidecar: &Sidecar, registration: &Registration) {
    if let Err(error) = sidecar.deregister(registration).await {
        tracing::warn!("cannot deregister: {:#}", anyhow::Error::from(error));
    }
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
