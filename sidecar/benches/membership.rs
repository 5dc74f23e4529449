//! Cost of the mesh's pure parts by its size: the hash that every datagram carries, datagrams and lists.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use sidecar::mesh::protocol::Config;
use sidecar::mesh::protocol::membership::Membership;
use sidecar::mesh::protocol::peer::{PeerEvent, Source};
use sidecar::mesh::wire::{Datagram, DatagramKind, Dropped, ExchangeKind, Node, Request};

/// Nodes of the meshes.
const SIZES: [u16; 3] = [5, 100, 1000];

fn node(index: u16) -> Node {
    let [high, low] = index.to_be_bytes();
    let address = IpAddr::from(Ipv4Addr::new(10, 0, high, low));
    Node::new(&format!("node-{index}"), address, 31000, 31000).unwrap()
}

/// The membership of a node in a mesh with this many nodes that are up, itself included.
fn membership(size: u16) -> Membership {
    let mut membership = Membership::new(node(0), Arc::default());
    for index in 1..size {
        let other = node(index);
        membership.hear(Duration::ZERO, &other, Source::Direct);
        membership.apply(Duration::ZERO, other.endpoint(), PeerEvent::Verified);
    }
    membership
}

/// A node goes down and comes up; the hash is computed each time.
fn change(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("down-and-up");
    let failures = Config::default().checks_until_down;
    for size in SIZES {
        let mut membership = membership(size);
        let endpoint = node(size / 2).endpoint();
        bench.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                for _ in 0..failures {
                    membership.apply(Duration::ZERO, endpoint, PeerEvent::CheckFailed);
                }
                let without = membership.hash();
                membership.apply(Duration::ZERO, endpoint, PeerEvent::Verified);
                (without, membership.hash())
            });
        });
    }
    bench.finish();
}

/// The list of all nodes, as sent.
fn list(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("node-list");
    for size in SIZES {
        let membership = membership(size);
        bench.bench_function(BenchmarkId::new("write", size), |bencher| {
            bencher.iter(|| Request::Nodes(membership.states()).body());
        });
        let body = Request::Nodes(membership.states()).body();
        bench.bench_function(BenchmarkId::new("read", size), |bencher| {
            bencher.iter(|| {
                Request::parse(ExchangeKind::Nodes, black_box(&body), &mut Dropped::default()).unwrap()
            });
        });
    }
    bench.finish();
}

fn datagram(criterion: &mut Criterion) {
    let datagram = Datagram {
        kind: DatagramKind::ALL[0],
        node_name: "node-1".into(),
        udp_port: 31000,
        tcp_port: 31000,
        hash: membership(5).hash(),
        cookie: None,
    };
    let bytes = datagram.encode();
    let mut bench = criterion.benchmark_group("datagram");
    bench.bench_function("write", |bencher| bencher.iter(|| black_box(&datagram).encode()));
    bench.bench_function("read", |bencher| {
        bencher.iter(|| Datagram::parse(black_box(&bytes)).unwrap());
    });
    bench.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    change(&mut criterion);
    list(&mut criterion);
    datagram(&mut criterion);
    criterion.final_summary();
}
