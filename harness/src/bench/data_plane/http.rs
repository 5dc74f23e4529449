//! HTTP requests on connections that are kept, and the memory of idle clients.

use std::time::Duration;

use bench::descriptor_limit;
use bench::http::{Behaviour, HttpLoad, HttpVersion};
use bench::proxy::WORKERS;
use bench::results::{Metric, Section};

use super::candidate::Candidate;
use super::memory;
use super::proxy_setup::{HTTP1_PROXIES, HTTP2_PROXIES};
use super::request_metrics::{self, measurement};
use super::rounds::ProxyBench;
use crate::error::Error;

const METRICS: &[Metric] = &request_metrics::metrics("cpu_us_per_request", "CPU/REQ");

/// A small and a large response, in bytes.
const RESPONSES: [usize; 2] = [1_000, 100_000];
/// Numbers of HTTP/1.1 connections, each with one request at a time.
const CONNECTIONS: [usize; 2] = [32, 512];
/// Number of HTTP/2 connections.
const HTTP2_CONNECTIONS: usize = 4;
/// Concurrent requests on each of them.
const STREAMS: usize = 100;
/// Timeout of a load beyond its duration.
const GRACE: Duration = Duration::from_secs(30);
/// Each candidate's warm-up lasts for the duration of a measurement divided by this.
const WARM_UP_DIVISOR: u32 = 4;
/// Timeout for the first request of each idle client.
const OPEN_TIMEOUT: Duration = Duration::from_secs(120);

impl ProxyBench<'_> {
    /// Measures requests in one version of HTTP.
    pub(super) async fn http(&self, version: HttpVersion) -> Result<Vec<Section>, Error> {
        let (_backend, address) = self.http_worker()?.backend(WORKERS).await?;
        let (name, setups, shapes) = match version {
            HttpVersion::Http1 => (
                "http",
                HTTP1_PROXIES,
                CONNECTIONS.map(|count| (count, 1)).to_vec(),
            ),
            HttpVersion::Http2 => ("h2", HTTP2_PROXIES, vec![(HTTP2_CONNECTIONS, STREAMS)]),
        };
        let most = shapes
            .iter()
            .map(|(connections, streams)| connections * streams)
            .max();
        let mut candidates = vec![Candidate::direct(address)];
        for setup in setups {
            candidates.extend(self.start(*setup, address, most.unwrap_or_default()).await?);
        }
        let mut sections = Vec::new();
        for response_bytes in RESPONSES {
            for &(connections, streams) in &shapes {
                let load = |candidate: &Candidate, duration| HttpLoad {
                    address: candidate.target.address,
                    version,
                    connections,
                    streams,
                    response_bytes,
                    behaviour: Behaviour::Request(duration),
                };
                let kilobytes = response_bytes / 1_000;
                let key = format!("{name}-{kilobytes}kB-{}", connections * streams);
                let title = match version {
                    HttpVersion::Http1 => {
                        format!("{key}: {kilobytes} kB to {connections} clients that keep their connections")
                    }
                    HttpVersion::Http2 => format!(
                        "{key}: {kilobytes} kB, {streams} streams on each of {connections} connections"
                    ),
                };
                let duration = self.options.duration;
                for candidate in &candidates {
                    let warm_up = load(candidate, duration / WARM_UP_DIVISOR);
                    self.http_load(candidate, &warm_up, duration + GRACE).await?;
                }
                let measure = async |_, candidate: &Candidate| {
                    let load = load(candidate, duration);
                    let (report, cpu_time) = self.http_load(candidate, &load, duration + GRACE).await?;
                    Ok(measurement(&report, cpu_time))
                };
                sections.push(self.rounds(&key, title, METRICS, &candidates, measure).await?);
            }
        }
        for candidate in candidates {
            candidate.stop().await;
        }
        Ok(sections)
    }

    /// Measures each proxy once, immediately after its start: its memory depends on its previous load.
    pub(super) async fn http_memory(&self) -> Result<Section, Error> {
        let count = self
            .options
            .idle
            .min(memory::max_connections(descriptor_limit::raise()));
        let connections = usize::try_from(count).unwrap_or(usize::MAX);
        let key = "memory-http";
        self.progress.stage(key);
        let mut rows = Vec::new();
        for setup in HTTP1_PROXIES {
            self.progress.note(setup.name);
            let (_backend, address) = self.http_worker()?.backend(WORKERS).await?;
            let Some(candidate) = self.start(*setup, address, connections).await? else {
                continue;
            };
            let load = HttpLoad {
                address: candidate.target.address,
                version: HttpVersion::Http1,
                connections,
                streams: 1,
                response_bytes: 1,
                behaviour: Behaviour::Hold,
            };
            let holding = self.http_worker()?.load(&load, OPEN_TIMEOUT);
            rows.push(memory::measure(&candidate, holding).await?);
            candidate.stop().await;
        }
        self.progress.done("measured");
        Ok(memory::section(
            key,
            format!("{key}: idle, and with {count} idle clients that have had one response each"),
            rows,
        ))
    }
}
