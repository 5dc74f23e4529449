//! Traffic on the simulated network: its volume, and the delay that losses cause.
//!
//! Counts what a network would carry: each packet with its IP and UDP or TCP header. An exchange consists of its
//! handshake (if no connection is kept), its data, an acknowledgement for every two segments of data, and its end.

use std::net::SocketAddr;
use std::time::Duration;

use sidecar::mesh::wire::{Answer, PATH_PREFIX, Request};

use super::{Place, World};

/// Headers of IPv4 and UDP, in bytes.
const DATAGRAM_HEADER: usize = 28;
/// Headers of IPv4 and TCP with timestamps, in bytes.
const SEGMENT_HEADER: usize = 52;
/// Data in one segment on Ethernet, in bytes.
const SEGMENT: usize = 1448;
/// Segments in the first flight; each flight has twice as many as the one before.
const FLIGHT: usize = 10;
/// Bytes that hyper and the client write in addition to path, host and body, and the server in addition to the body.
const REQUEST_HEAD: usize = "PUT  HTTP/1.1\r\nHost: \r\nUser-Agent: sidecar/0.1.0\r\n\
    Content-Type: application/json\r\nContent-Length: 12345\r\n\r\n"
    .len();
const ANSWER_HEAD: usize = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12345\r\n\
    date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
    .len();
/// Timeout for the first handshake, shorter than a kernel's; it doubles from attempt to attempt.
const HANDSHAKE: Duration = Duration::from_millis(250);
/// Timeout for the acknowledgement of data, in addition to the round trip.
const DATA_TIMEOUT: Duration = Duration::from_millis(200);

/// Traffic of one node. An exchange counts for the node that made it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) datagrams_sent: u64,
    pub(crate) datagrams_received: u64,
    pub(crate) exchanges: u64,
    /// TCP segments, sent and received.
    pub(crate) segments: u64,
    /// Bytes of all packets, sent and received.
    pub(crate) bytes: u64,
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl World {
    /// The traffic of each node since the last call.
    pub(crate) fn take_traffic(&mut self) -> Vec<Traffic> {
        let taken = std::mem::take(&mut self.traffic);
        let mut all: Vec<Traffic> = taken.into_values().collect();
        // Nodes that neither sent nor received count as well.
        all.resize(self.living.len().max(all.len()), Traffic::default());
        all
    }

    pub(super) fn sent_datagram(&mut self, from: Place, size: usize) {
        if !self.network.tcp {
            return;
        }
        let traffic = self.traffic.entry(from).or_default();
        traffic.datagrams_sent += 1;
        traffic.bytes += count(size + DATAGRAM_HEADER);
    }

    pub(super) fn received_datagram(&mut self, to: Place, size: usize) {
        if !self.network.tcp {
            return;
        }
        let traffic = self.traffic.entry(to).or_default();
        traffic.datagrams_received += 1;
        traffic.bytes += count(size + DATAGRAM_HEADER);
    }

    /// Delay until a request arrives; none if it never arrives.
    pub(super) fn asked(&mut self, from: Place, to: SocketAddr, request: &Request) -> Option<Duration> {
        let there = !self.apart(from, to.ip());
        if !self.network.tcp {
            return (there && !self.chance(self.network.loss)).then(|| self.delay());
        }
        self.traffic.entry(from).or_default().exchanges += 1;
        let keeps = self.living[&from].protocol.keeps_connection(to);
        let kept = if keeps && there {
            !self.kept.insert((from, to.ip()))
        } else {
            self.kept.remove(&(from, to.ip()))
        };
        if !there {
            // A SYN or data segment that is not answered.
            self.count_segments(from, to.ip(), 1, 0);
            return None;
        }
        let path = PATH_PREFIX.len() + request.kind().name().len();
        let body = request.body();
        if let Some(sealing) = &mut self.sealing {
            let path = format!("{PATH_PREFIX}{}", request.kind().name());
            sealing.request(from, to.ip(), &path, &body);
        }
        let size = REQUEST_HEAD + path + to.to_string().len() + body.len();
        let (begin, end) = (if kept { 0 } else { 3 }, if keeps { 0 } else { 3 });
        self.count_segments(from, to.ip(), begin + end, size);
        let mut time = self.transfer(size);
        if !kept {
            let mut pause = HANDSHAKE;
            while self.chance(self.network.loss) || self.chance(self.network.loss) {
                time += pause;
                pause *= 2;
            }
            time += self.delay() + self.delay();
        }
        Some(time)
    }

    /// Counts an answer. Returns its size.
    pub(super) fn answered(&mut self, from: Place, to: Place, answer: &Answer) -> usize {
        if !self.network.tcp {
            return 0;
        }
        let body = answer.body().unwrap_or_default();
        if let Some(sealing) = &mut self.sealing {
            sealing.answer(from, to, &body);
        }
        let size = ANSWER_HEAD + body.len();
        self.count_segments(from, to, 0, size);
        size
    }

    /// Time to transmit this many bytes on a connection.
    pub(super) fn transfer(&mut self, size: usize) -> Duration {
        let mut time = self.delay();
        if !self.network.tcp {
            return time;
        }
        let (mut left, mut flight) = (size.div_ceil(SEGMENT).max(1), FLIGHT);
        loop {
            let segments = i32::try_from(left.min(flight)).unwrap_or(i32::MAX);
            // The lost segments of a flight are retransmitted together.
            while self.chance(1.0 - (1.0 - self.network.loss).powi(segments)) {
                time += DATA_TIMEOUT + self.delay() + self.delay();
                if segments > 1 {
                    break;
                }
            }
            left = left.saturating_sub(flight);
            if left == 0 {
                return time;
            }
            flight *= 2;
            time += self.delay() + self.delay();
        }
    }

    fn count_segments(&mut self, one: Place, other: Place, overhead: usize, size: usize) {
        let data = size.div_ceil(SEGMENT);
        let segments = overhead + data + data.div_ceil(2);
        let bytes = segments * SEGMENT_HEADER + size;
        for place in [one, other] {
            let traffic = self.traffic.entry(place).or_default();
            traffic.segments += count(segments);
            traffic.bytes += count(bytes);
        }
    }
}
