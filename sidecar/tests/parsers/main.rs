//! Parsers of bytes from others get inputs that are nearly right: recorded or typical ones with random changes, the same
//! in every run. None may panic or loop, and what is accepted can be written again.

mod http;
mod mutation;

use std::io::Write;
use std::time::{Duration, Instant};

use mutation::Mutations;
use serde_json::Value;
use sidecar::control::{Command, Script};
use sidecar::mesh::DiscoverySettings;
use sidecar::mesh::wire::{Answer, Datagram, Dropped, ExchangeKind, PATH_PREFIX, Request};
use sidecar::proxy::socks5::wire;

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

fn capture(list: &str) -> Vec<Value> {
    let capture: Value =
        serde_json::from_str(include_str!("../vectors/discovery-capture.json")).expect("JSON");
    capture[list].as_array().expect("a list").clone()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn datagrams() {
    let payload = |packet: &Value| packet["payload"].as_str().expect("text").as_bytes().to_vec();
    feed(
        INPUTS,
        capture("datagrams").iter().map(payload).collect(),
        |bytes| {
            let _ = Datagram::parse(bytes);
        },
    );
}

#[test]
fn exchanges() {
    for kind in ExchangeKind::ALL {
        let path = format!("{PATH_PREFIX}{} ", kind.name());
        let bodies = capture("exchanges")
            .into_iter()
            .filter(|exchange| {
                exchange["request"]
                    .as_str()
                    .is_some_and(|text| text.contains(&path))
            })
            .flat_map(|exchange| ["request", "response"].map(|side| exchange[side].clone()))
            .filter_map(|message| Some(message.as_str()?.split_once("\r\n\r\n")?.1.as_bytes().to_vec()));
        let own = r#"{"digests":{"node":"q"},"nodes":[],"khalaNodes":[{"type":"server","service":"s","zone":"z"}]}"#;
        let seeds = bodies.chain(texts(&[own])).collect();
        feed(INPUTS, seeds, |bytes| {
            let _ = Request::parse(kind, bytes, &mut Dropped::default());
            let _ = Answer::parse(kind, bytes, &mut Dropped::default());
        });
    }
}

#[test]
fn resp_requests() {
    let seeds = texts(&[
        "*3\r\n$3\r\nadd\r\n$13\r\nserver-groups\r\n$1\r\nx\r\n",
        "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n",
        "add server-groups \"a\\x41\\n\" 'it''s'\r\nPING\r\n",
        "\r\n*0\r\n*-1\r\nHELLO 3\n",
    ]);
    feed(INPUTS, seeds, |bytes| {
        let mut rest = bytes;
        while let Ok(Some(decoded)) = sidecar::control::resp::request::decode(rest) {
            assert!(decoded.used > 0, "a request without a byte");
            rest = &rest[decoded.used..];
        }
    });
}

#[test]
fn socks5_messages() {
    let seeds = vec![
        vec![5, 2, 0, 2],
        vec![5, 1, 0, 1, 127, 0, 0, 1, 0, 80],
        [&[5, 1, 0, 3, 9][..], b"a.example", &[0, 80]].concat(),
        [&[5, 1, 0, 4][..], &[0; 16], &[0, 80]].concat(),
    ];
    feed(INPUTS, seeds, |bytes| {
        if let Ok(Some((greeting, used))) = wire::Greeting::decode(bytes) {
            assert_eq!(greeting.encode(), bytes[..used]);
        }
        if let Ok(Some((request, used))) = wire::Request::decode(bytes) {
            let again = wire::Request::decode(&request.encode());
            assert_eq!(again, Ok(Some((request, used))));
        }
    });
}

const COMMANDS: &str = "add server-group g timeout 500 period 1000 up 2 down 3 method wrr
add server s to server-group g address 127.0.0.1:80 weight 10
add server-groups gs
add server-group g to server-groups gs weight 10
add tcp-lb lb address [::1]:8080 server-groups gs security-group sg
add socks5-server s5 address 127.0.0.1:1080 server-groups gs allow-non-backend
add security-group sg default deny
add security-group-rule r to security-group sg network 10.0.0.0/8 protocol TCP port-range 1,65535 default allow
add smart-group-delegate d service s zone z server-group g
add smart-node-delegate d service s zone z nic eth0 ip-type v4 port 8080 weight 5
update server s in server-group g weight 0
list-detail connection in tcp-lb lb
remove server-groups gs cascade
";

/// What a command says, it says again when it is written and read.
#[test]
fn commands() {
    let seeds = COMMANDS.lines().map(|line| line.as_bytes().to_vec()).collect();
    feed(INPUTS, seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let Ok(command) = text.parse::<Command>() else {
            return;
        };
        let written = command.to_string();
        let again: Command = written.parse().unwrap_or_else(|e| panic!("{written}: {e}"));
        assert_eq!(again.to_string(), written);
    });
}

#[test]
fn command_files() {
    feed(FILES, texts(&[COMMANDS]), |bytes| {
        let _ = Script::parse([("file", &*String::from_utf8_lossy(bytes))]);
    });
}

#[test]
fn discovery_settings() {
    let text = "# comment\ndiscovery.nic = eth0\ndiscovery.ip_type = v4\ndiscovery.address = 127.0.0.1\n\
                discovery.udp_port = 31000\ndiscovery.search.mask = 24\n\
                discovery.search.min_udp_port = 31000\ndiscovery.search.max_udp_port = 31001\n";
    feed(INPUTS, texts(&[text]), |bytes| {
        let _ = DiscoverySettings::parse("file", &String::from_utf8_lossy(bytes));
    });
}
