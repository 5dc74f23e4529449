//! The parsers of bytes from others, each with what holds of what it accepts. The fuzzer calls these functions as well.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hyper::Request as HttpRequest;
use hyper::header::HOST;
use sidecar::control::{Command, Script};
use sidecar::dns::message::Question;
use sidecar::dns::name_servers;
use sidecar::http::HostCheck;
use sidecar::interface::IpType;
use sidecar::mesh::DiscoverySettings;
use sidecar::mesh::key::Keys;
use sidecar::mesh::key::envelope::{self, Context, Kind};
use sidecar::mesh::wire::{Answer, Datagram, Dropped, ExchangeKind, Request};
use sidecar::proxy::socks5::wire;
use sidecar::waypoint::config::Config;

pub(crate) fn datagram(bytes: &[u8]) {
    let _ = Datagram::parse(bytes);
}

/// A request and an answer of one kind.
pub(crate) fn exchange(kind: ExchangeKind, bytes: &[u8]) {
    let _ = Request::parse(kind, bytes, &mut Dropped::default());
    let _ = Answer::parse(kind, bytes, &mut Dropped::default());
}

/// The keys and the context of sealed messages, with which a few of the inputs open.
pub(crate) fn sealing() -> (Keys, Context<'static>) {
    let keys = Keys::parse(&format!("{}=", "A".repeat(43))).unwrap_or_else(|e| panic!("{e}"));
    let context = Context {
        from: ([10, 0, 0, 1], 31000).into(),
        to: ([10, 0, 0, 2], 31000).into(),
        path: "khala.local",
        answers: None,
    };
    (keys, context)
}

pub(crate) fn envelope(bytes: &[u8]) {
    let (keys, context) = sealing();
    if let Some(kind) = Kind::of(bytes) {
        let _ = envelope::open(&keys, kind, context, bytes);
    }
    if let Some(request) = envelope::Request::read(bytes) {
        let _ = request.open(&keys, context);
    }
}

pub(crate) fn resp_requests(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some(decoded)) = sidecar::control::resp::request::decode(rest) {
        assert!(decoded.used > 0, "a request without a byte");
        rest = &rest[decoded.used..];
    }
}

pub(crate) fn socks5_messages(bytes: &[u8]) {
    if let Ok(Some((greeting, used))) = wire::Greeting::decode(bytes) {
        assert_eq!(greeting.encode(), bytes[..used]);
    }
    if let Ok(Some((request, used))) = wire::Request::decode(bytes) {
        let again = wire::Request::decode(&request.encode());
        assert_eq!(again, Ok(Some((request, used))));
    }
}

/// What a command says, it says again when it is written and read.
pub(crate) fn command(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(command) = text.parse::<Command>() else {
        return;
    };
    let written = command.to_string();
    let again: Command = written.parse().unwrap_or_else(|e| panic!("{written}: {e}"));
    assert_eq!(again.to_string(), written);
}

pub(crate) fn command_file(bytes: &[u8]) {
    let _ = Script::parse([("file", &*String::from_utf8_lossy(bytes))]);
}

pub(crate) fn discovery_settings(bytes: &[u8]) {
    let _ = DiscoverySettings::parse("file", &String::from_utf8_lossy(bytes));
}

pub(crate) fn key_file(bytes: &[u8]) {
    let _ = Keys::parse(&String::from_utf8_lossy(bytes));
}

/// The question that DNS answers answer.
pub(crate) fn question() -> Question<'static> {
    Question {
        id: 1,
        host: "api.example",
        family: IpType::V4,
    }
}

pub(crate) fn dns_answer(bytes: &[u8]) {
    let _ = question().answer(bytes);
}

pub(crate) fn resolv_conf(bytes: &[u8]) {
    let servers = name_servers::parse(&String::from_utf8_lossy(bytes));
    assert!((1..=3).contains(&servers.len()), "{servers:?}");
}

/// No port is listened on twice.
pub(crate) fn waypoint_file(bytes: &[u8]) {
    if let Ok(config) = Config::parse(&String::from_utf8_lossy(bytes)) {
        let ports: BTreeSet<u16> = config.ports.iter().map(|port| port.port).collect();
        assert_eq!(ports.len(), config.ports.len(), "{config:?}");
    }
}

/// What passes as the header Host is an address or a name of one label, unless other names are known.
pub(crate) fn host(bytes: &[u8]) {
    let Ok(request) = HttpRequest::get("/").header(HOST, bytes).body(()) else {
        return;
    };
    if HostCheck::default().check(&request).is_ok() {
        let text = String::from_utf8_lossy(bytes);
        let name = text.strip_prefix('[').map_or_else(
            || text.split(':').next().unwrap_or_default(),
            |rest| rest.split(']').next().unwrap_or_default(),
        );
        let name = name.strip_suffix('.').unwrap_or(name);
        assert!(name.parse::<IpAddr>().is_ok() || !name.contains('.'), "{text}");
    }
}
