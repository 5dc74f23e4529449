//! Idle connections.

use std::net::TcpStream;

use super::LoadReport;
use super::client::{Target, new_block};
use crate::request::BackendRequest;

/// Failures after which no more connections are opened.
const MAX_FAILURES: u64 = 10;

/// Opens `count` connections one after another. Each carries a response of one byte before the next is opened.
pub(super) fn run(target: &Target, count: usize) -> (LoadReport, Vec<TcpStream>) {
    let request = BackendRequest {
        response_bytes: 1,
        keep_open: true,
    };
    let mut report = LoadReport::default();
    let mut held = Vec::new();
    let mut block = new_block();
    while held.len() < count && report.failed < MAX_FAILURES {
        match target.exchange(request, &mut block) {
            Ok(stream) => {
                report.done += 1;
                held.push(stream);
            }
            Err(error) => report.fail(&error),
        }
    }
    (report, held)
}
