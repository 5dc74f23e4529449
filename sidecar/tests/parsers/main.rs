//! Parsers of bytes from others get inputs that are nearly right: recorded or typical ones with random changes, the same
//! in every run. None may panic or loop, and what is accepted can be written again.

mod door;
mod http;
mod mutation;
mod parse;
mod seeds;

use std::io::Write;
use std::time::{Duration, Instant};

use mutation::Mutations;
use sidecar::mesh::wire::ExchangeKind;

/// Changed inputs for each parser.
const INPUTS: usize = 10_000;
/// Changed files of many lines, each of which may fail with a suggestion.
const FILES: usize = 500;
/// The seed of the changes.
const SEED: u64 = 1;
/// Limit of one input: far more than a slow machine takes.
const LIMIT: Duration = Duration::from_secs(20);

/// Shows the input that fails a test.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "the input: {}", self.0.escape_ascii());
        }
    }
}

/// Gives a parser its seeds and their changes.
fn feed(count: usize, seeds: Vec<Vec<u8>>, parse: impl Fn(&[u8])) {
    let changed = Mutations::new(seeds.clone(), SEED).take(count);
    for input in seeds.into_iter().chain(changed) {
        let _shown = Shown(&input);
        let began = Instant::now();
        parse(&input);
        assert!(began.elapsed() < LIMIT, "it took {:?}", began.elapsed());
    }
}

#[test]
fn datagrams() {
    feed(INPUTS, seeds::datagrams(), parse::datagram);
}

#[test]
fn exchanges() {
    for kind in ExchangeKind::ALL {
        feed(INPUTS, seeds::exchanges(kind), |bytes| {
            parse::exchange(kind, bytes);
        });
    }
}

#[test]
fn envelopes() {
    feed(INPUTS, seeds::envelopes(), parse::envelope);
}

#[test]
fn resp_requests() {
    feed(INPUTS, seeds::resp_requests(), parse::resp_requests);
}

#[test]
fn socks5_messages() {
    feed(INPUTS, seeds::socks5_messages(), parse::socks5_messages);
}

#[test]
fn commands() {
    feed(INPUTS, seeds::commands(), parse::command);
}

#[test]
fn command_files() {
    feed(FILES, seeds::command_files(), parse::command_file);
}

#[test]
fn discovery_settings() {
    feed(INPUTS, seeds::discovery_settings(), parse::discovery_settings);
}

#[test]
fn key_files() {
    feed(INPUTS, seeds::key_files(), parse::key_file);
}

#[test]
fn dns_answers() {
    let seeds = seeds::dns_answers();
    for seed in &seeds {
        assert!(parse::question().answer(seed).is_ok(), "{}", seed.escape_ascii());
    }
    feed(INPUTS, seeds, parse::dns_answer);
}

#[test]
fn resolv_confs() {
    feed(INPUTS, seeds::resolv_confs(), parse::resolv_conf);
}

#[test]
fn waypoint_files() {
    feed(INPUTS, seeds::waypoint_files(), parse::waypoint_file);
}

#[test]
fn hosts() {
    feed(INPUTS, seeds::hosts(), parse::host);
}
