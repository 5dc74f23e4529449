//! A new connection for each request.

use std::time::Duration;

use bench::load::Workload;
use bench::results::{Metric, Section};

use super::candidate::Candidate;
use super::request_metrics::{self, measurement};
use super::rounds::{Measurement, ProxyBench};
use crate::bench::conntrack_wait::wait_for_entries;
use crate::error::Error;

const METRICS: &[Metric] = &request_metrics::metrics("cpu_us_per_connection", "CPU/CONN");

/// Expected requests per second before the first measurement.
const INITIAL_RATE: f64 = 15_000.0;
/// Timeout of a load beyond its duration.
const GRACE: Duration = Duration::from_secs(30);
/// Each candidate's warm-up lasts for the duration of a measurement divided by this.
const WARM_UP_DIVISOR: u32 = 8;

impl ProxyBench<'_> {
    pub(super) async fn connections(&self, key: &str, candidates: &[Candidate]) -> Result<Section, Error> {
        let (concurrency, duration) = (self.options.concurrency, self.options.duration);
        self.progress.stage(key);
        let mut expected = Vec::new();
        for candidate in candidates {
            let short = duration / WARM_UP_DIVISOR;
            let requests = INITIAL_RATE * short.as_secs_f64();
            let (_, done) = self.requests(candidate, short, requests).await?;
            expected.push(done * f64::from(WARM_UP_DIVISOR));
        }
        let title = format!("{key}: one connection per request, {concurrency} at a time, for {duration:?}");
        self.rounds(key, title, METRICS, candidates, async |index, candidate| {
            let (measurement, done) = self.requests(candidate, duration, expected[index]).await?;
            expected[index] = done;
            Ok(measurement)
        })
        .await
    }

    /// Loads a candidate after waiting until the kernel can track the `expected` number of requests. Also returns the
    /// number of completed requests.
    async fn requests(
        &self,
        candidate: &Candidate,
        duration: Duration,
        expected: f64,
    ) -> Result<(Measurement, f64), Error> {
        let entries = (expected * 1.25) as u64 * candidate.tracked_connections();
        wait_for_entries(entries, self.progress).await?;
        let workload = Workload::Connections {
            concurrency: self.options.concurrency,
            duration,
        };
        let (report, cpu_time) = self.load(candidate, workload, duration + GRACE).await?;
        Ok((measurement(&report, cpu_time), report.done as f64))
    }
}
