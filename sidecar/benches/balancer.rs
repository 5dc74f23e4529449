//! The cost of picking an endpoint.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use sidecar::balance::{CheckConfig, CheckOutcome, Method, ServerGroup, ServerGroups, Tried};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A group of servers that are up, with different weights.
fn group(name: &str, method: Method, servers: u8) -> Arc<ServerGroup> {
    let config = CheckConfig {
        timeout: Duration::from_millis(500),
        period: Duration::from_secs(1),
        up: 1,
        down: 3,
    };
    let group = ServerGroup::new(name, config, method);
    for index in 0..servers {
        let address = SocketAddr::from(([10, 0, 0, index], 8000));
        let weight = 10 + u32::from(index % 3);
        group.add(&format!("s{index}"), address, weight).unwrap();
    }
    for server in group.checked() {
        group.report(&server, CheckOutcome::Passed);
    }
    group
}

/// One pick and the end of its connection.
fn pick(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("pick");
    for (name, method) in [
        ("wrr", Method::Wrr),
        ("wlc", Method::Wlc),
        ("source", Method::Source),
    ] {
        for servers in [2, 16, 250] {
            let group = group("group", method, servers);
            bench.bench_function(BenchmarkId::new(name, servers), |bencher| {
                bencher.iter(|| {
                    group
                        .pick(black_box(CLIENT), &Tried::new(Instant::now()))
                        .unwrap()
                });
            });
        }
    }
    bench.finish();
}

/// The same with several groups attached, as in a listener's backends.
fn pick_of_groups(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("pick-of-groups");
    for count in [1, 4] {
        let groups = ServerGroups::new("groups");
        for index in 0..count {
            let group = group(&format!("g{index}.my.service.com:80"), Method::Wrr, 2);
            groups.attach(group, 10).unwrap();
        }
        bench.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                groups
                    .pick(black_box(CLIENT), &Tried::new(Instant::now()))
                    .unwrap()
            });
        });
        bench.bench_function(BenchmarkId::new("by-name", count), |bencher| {
            bencher.iter(|| groups.group_named(black_box("g0.my.service.com:80")).unwrap());
        });
    }
    bench.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    pick(&mut criterion);
    pick_of_groups(&mut criterion);
    criterion.final_summary();
}
