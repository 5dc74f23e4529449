//! The worker of benches of HTTP: the backend, the load, or the bare relay that proxies are compared with. As the other
//! workers (`bench::worker`) it prints one line, and ends at the end of its standard input; the relay is stopped by a
//! signal, as every proxy.

mod backend;
mod load;
mod relay;
mod threads;

use std::io::{self, Write};
use std::net::SocketAddr;

use bench::http::HttpVersion;
use clap::Parser;

#[derive(Debug, Parser)]
#[command(version, about)]
enum Command {
    /// Answers GET /N with N bytes, in HTTP/1.1 or HTTP/2
    Backend {
        /// Number of threads
        threads: usize,
    },
    /// Runs a load and reports it
    Load {
        /// The load, as JSON
        task: String,
    },
    /// Passes requests on, with hyper's server and client and nothing else
    Relay {
        /// Address to listen at
        listen: SocketAddr,
        /// Address to pass requests on to
        backend: SocketAddr,
        /// Number of threads
        threads: usize,
        /// Speak HTTP/2 with prior knowledge on both sides
        #[arg(long)]
        http2: bool,
    },
}

fn main() -> io::Result<()> {
    match Command::parse() {
        Command::Backend { threads } => backend::run(threads),
        Command::Load { task } => {
            let load = serde_json::from_str(&task)?;
            load::run(&load, |report| print_line(&serde_json::to_string(report)?))
        }
        Command::Relay {
            listen,
            backend,
            threads,
            http2,
        } => {
            let version = if http2 {
                HttpVersion::Http2
            } else {
                HttpVersion::Http1
            };
            relay::run(listen, backend, threads, version)
        }
    }
}

fn print_line(line: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

fn wait_for_input_end() {
    // A read error counts as the end.
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
}
