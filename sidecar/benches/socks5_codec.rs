//! The cost of decoding and encoding SOCKS5 messages.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

use std::hint::black_box;

use criterion::Criterion;
use sidecar::proxy::socks5::wire::{
    CONNECT, Destination, Greeting, NO_AUTHENTICATION, Reply, ReplyCode, Request,
};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut bench = criterion.benchmark_group("socks5");
    let greeting = Greeting {
        methods: vec![NO_AUTHENTICATION, 2],
    }
    .encode();
    bench.bench_function("greeting", |bencher| {
        bencher.iter(|| Greeting::decode(black_box(&greeting)).unwrap().unwrap());
    });
    for (name, destination) in [
        (
            "request-domain",
            Destination::Domain("a.my.service.com".to_owned(), 80),
        ),
        (
            "request-v4",
            Destination::Address("192.0.2.1:80".parse().unwrap()),
        ),
        (
            "request-v6",
            Destination::Address("[2001:db8::1]:80".parse().unwrap()),
        ),
    ] {
        let request = Request {
            command: CONNECT,
            destination,
        }
        .encode();
        bench.bench_function(name, |bencher| {
            bencher.iter(|| Request::decode(black_box(&request)).unwrap().unwrap());
        });
    }
    let reply = Reply {
        code: ReplyCode::Succeeded,
        bound: "192.0.2.1:80".parse().unwrap(),
    };
    bench.bench_function("reply", |bencher| bencher.iter(|| black_box(&reply).encode()));
    bench.finish();
    criterion.final_summary();
}
