//! `sidecar probe` and `sidecar get`: one request by HTTP.

use std::time::Duration;

use clap::Args;

use super::values::seconds;
use crate::status::DEFAULT_STATUS;

#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    /// URL to request, for instance http://127.0.0.1:9090/readyz
    pub(super) url: String,
    /// Timeout for the answer, in seconds; long, because whatever runs the probe has a timeout of its own
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(super) timeout: Duration,
}

#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// Path such as /metrics or /readyz at a waypoint's status listener, or a URL
    #[arg(default_value = "/metrics")]
    what: String,
    /// Timeout for the answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(super) timeout: Duration,
}

impl GetArgs {
    /// The URL to request.
    pub(super) fn url(&self) -> String {
        match self.what.starts_with('/') {
            true => format!("http://{DEFAULT_STATUS}{}", self.what),
            false => self.what.clone(),
        }
    }
}
