//! What a service's health check tells about its ports: which of them it calls by HTTP. Only a call to the container itself
//! counts, and none through a proxy, since a port that is a proxy itself takes other requests than a server.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::Value;

use super::value::{field, list, text};

/// Programs for which a URL without a scheme is one of HTTP.
const CLIENTS: [&str; 2] = ["curl", "wget"];
/// Programs that call gRPC, which is HTTP/2.
const GRPC_CLIENTS: [&str; 2] = ["grpc_health_probe", "grpc-health-probe"];
/// Parts of the names of options and variables with which a client does not connect as its URL says.
const INDIRECT: [&str; 3] = ["prox", "socks", "unix-socket"];
/// Names that have such a part, and mean the contrary.
const DIRECT: [&str; 3] = ["no-proxy", "no_proxy", "noproxy"];
/// Parts of the names of options whose value is a URL or a host that is not called.
const UNCALLED: [&str; 5] = ["bind", "doh", "interface", "origin", "refer"];

/// The ports that the health check of a service calls by HTTP or gRPC, without TLS. `None` if the file leaves the command
/// to the image.
pub(super) fn http_ports(service: &Value) -> Option<BTreeSet<u16>> {
    let check = field(service, "healthcheck")?;
    if field(check, "disable") == Some(&Value::Bool(true)) {
        return Some(BTreeSet::new());
    }
    if let Some(test) = field(check, "test").and_then(text) {
        return Some(called(&test));
    }
    let test: Vec<String> = list(check, "test").ok()?.iter().filter_map(text).collect();
    (!test.is_empty()).then(|| called_by(&test))
}

/// The ports that a command calls so, which begins with its kind, as the engine has it.
pub(super) fn called_by(test: &[String]) -> BTreeSet<u16> {
    match test.split_first() {
        Some((kind, command)) if kind.starts_with("CMD") => called(&command.join(" ")),
        _ => BTreeSet::new(),
    }
}

fn called(test: &str) -> BTreeSet<u16> {
    let mut ports = Ports::default();
    let words: Vec<&str> = test.split(is_between).collect();
    if !words.iter().any(|word| is_indirect(word)) {
        for command in test.split(['|', ';', '&', '\n', '`']) {
            let words: Vec<&str> = command
                .split(is_between)
                .filter(|word| !word.is_empty())
                .collect();
            ports.read(&words);
        }
    }
    &ports.http - &ports.tls
}

/// Whether a character separates words of a command, also within the code of an interpreter.
fn is_between(character: char) -> bool {
    character.is_whitespace() || "'\"\\(),<>|;&`".contains(character)
}

/// Whether a word has a client connect to something else than what its URL says.
fn is_indirect(word: &str) -> bool {
    // curl's short form of --proxy, also among other letters.
    if word.starts_with('-') && !word.starts_with("--") && word.contains('x') {
        return true;
    }
    // What follows is the path of a URL or of a program.
    let name = word.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    has(&INDIRECT) && !has(&DIRECT)
}

#[derive(Default)]
struct Ports {
    http: BTreeSet<u16>,
    tls: BTreeSet<u16>,
}

impl Ports {
    /// Reads one command.
    fn read(&mut self, words: &[&str]) {
        let mut before = "";
        let (mut client, mut grpc) = (false, false);
        let tls = words
            .iter()
            .any(|word| word.trim_start_matches('-').starts_with("tls"));
        for word in words {
            let program = word.rsplit('/').next().unwrap_or_default();
            let assigned = word.split_once('=').filter(|(name, _)| !name.contains('/'));
            let (option, value) = assigned.unwrap_or((before, word));
            if is_called(option) {
                if let Some(url) = value.strip_prefix("https://") {
                    self.tls.extend(own_port(url, 443));
                } else if let Some(url) = value.strip_prefix("http://") {
                    self.http.extend(own_port(url, 80));
                } else if client && assigned.is_none() {
                    self.http.extend(own_port(value, 80));
                } else if grpc && !tls && option.trim_start_matches('-') == "addr" {
                    let address = value.strip_prefix(':').map(|port| format!("localhost:{port}"));
                    self.http.extend(own_port(address.as_deref().unwrap_or(value), 0));
                }
            }
            client |= CLIENTS.contains(&program);
            grpc |= GRPC_CLIENTS.iter().any(|name| program.starts_with(name));
            before = word;
        }
    }
}

/// Whether a URL behind this word, which may be an option, is called.
fn is_called(before: &str) -> bool {
    let name = before.to_ascii_lowercase();
    // A field of a header, and curl's short form of --referer.
    let other = name.ends_with(':') || name == "-e";
    !other && !UNCALLED.iter().any(|part| name.contains(part))
}

/// The port of a URL without its scheme, if its host is the container itself.
fn own_port(url: &str, default: u16) -> Option<u16> {
    let authority = url.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, default),
    };
    let own = ["localhost", "0.0.0.0", "[::]", "[::1]"]
        .iter()
        .any(|own| own.eq_ignore_ascii_case(host))
        || host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback());
    (own && port > 0).then_some(port)
}

#[cfg(test)]
mod tests;
