//! Bulk transfer: one long response on each of a few connections.

use std::io;
use std::thread;
use std::time::Instant;

use super::LoadReport;
use super::client::{Target, new_block};
use crate::request::BackendRequest;

pub(super) fn run(target: &Target, concurrency: usize, bytes: u64) -> io::Result<LoadReport> {
    let request = BackendRequest {
        response_bytes: bytes.div_ceil(concurrency.max(1) as u64),
        keep_open: false,
    };
    let started_at = Instant::now();
    let reports = thread::scope(|scope| {
        let threads: Vec<_> = (0..concurrency)
            .map(|_| thread::Builder::new().spawn_scoped(scope, || transfer(target, request)))
            .collect::<Result<_, _>>()?;
        Ok::<_, io::Error>(
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect::<Vec<_>>(),
        )
    })?;
    let mut all = LoadReport {
        elapsed: started_at.elapsed(),
        ..LoadReport::default()
    };
    reports.into_iter().for_each(|report| all.merge(report));
    Ok(all)
}

fn transfer(target: &Target, request: BackendRequest) -> LoadReport {
    let mut report = LoadReport::default();
    match target.exchange(request, &mut new_block()) {
        Ok(_) => {
            report.done = 1;
            report.bytes = request.response_bytes;
        }
        Err(error) => report.fail(&error),
    }
    report
}
