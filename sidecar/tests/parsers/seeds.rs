//! Recorded or typical inputs of the parsers, by the names of the fuzzer's targets.

use std::path::Path;

use serde_json::Value;
use sidecar::mesh::key::envelope::{self, Kind, Nonce};
use sidecar::mesh::wire::{ExchangeKind, PATH_PREFIX};

use crate::{door, parse};

type Seeds = Vec<Vec<u8>>;

fn capture(list: &str) -> Vec<Value> {
    let capture: Value =
        serde_json::from_str(include_str!("../vectors/discovery-capture.json")).expect("JSON");
    capture[list].as_array().expect("a list").clone()
}

fn texts(texts: &[&str]) -> Seeds {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn datagrams() -> Seeds {
    let payload = |packet: &Value| packet["payload"].as_str().expect("text").as_bytes().to_vec();
    capture("datagrams").iter().map(payload).collect()
}

pub(crate) fn exchanges(kind: ExchangeKind) -> Seeds {
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
    let own =
        r#"{"digests":{"node":"q"},"nodes":[],"khalaNodes":[{"type":"server","service":"s","zone":"z"}]}"#;
    bodies.chain(texts(&[own])).collect()
}

pub(crate) fn envelopes() -> Seeds {
    let (keys, context) = parse::sealing();
    let nonce = Nonce {
        boot: 1,
        counter: 2,
        random: 3,
    };
    vec![
        envelope::seal(&keys, Kind::Datagram, nonce, context, b"datagram"),
        envelope::seal(&keys, Kind::Answer, nonce, context, b"answer"),
        envelope::seal_request(&keys, nonce, context, b"request"),
        vec![Kind::Proof as u8; 120],
    ]
}

pub(crate) fn resp_requests() -> Seeds {
    texts(&[
        "*3\r\n$3\r\nadd\r\n$13\r\nserver-groups\r\n$1\r\nx\r\n",
        "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n",
        "add server-groups \"a\\x41\\n\" 'it''s'\r\nPING\r\n",
        "\r\n*0\r\n*-1\r\nHELLO 3\n",
    ])
}

pub(crate) fn socks5_messages() -> Seeds {
    vec![
        vec![5, 2, 0, 2],
        vec![5, 1, 0, 1, 127, 0, 0, 1, 0, 80],
        [&[5, 1, 0, 3, 9][..], b"a.example", &[0, 80]].concat(),
        [&[5, 1, 0, 4][..], &[0; 16], &[0, 80]].concat(),
    ]
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

pub(crate) fn commands() -> Seeds {
    COMMANDS.lines().map(|line| line.as_bytes().to_vec()).collect()
}

pub(crate) fn command_files() -> Seeds {
    texts(&[COMMANDS])
}

pub(crate) fn discovery_settings() -> Seeds {
    texts(&[
        "# comment\ndiscovery.nic = eth0\ndiscovery.ip_type = v4\ndiscovery.address = 127.0.0.1\n\
         discovery.udp_port = 31000\ndiscovery.search.mask = 24\n\
         discovery.search.min_udp_port = 31000\ndiscovery.search.max_udp_port = 31001\n",
    ])
}

pub(crate) fn key_files() -> Seeds {
    let key = |byte: &str| format!("{}=\n", byte.repeat(43));
    let text = format!("# keys\n{}\n{}", key("A"), key("Q"));
    vec![text.into_bytes()]
}

/// An answer with an alias and an address, whose names are compressed.
pub(crate) fn dns_answers() -> Seeds {
    let mut message = parse::question().encode();
    message[2] |= 0x80;
    message[7] = 2;
    message[11] = 0;
    // Without the record that says what size the asker takes.
    message.truncate(message.len() - 11);
    let alias = [&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4][..], b"\x01x\xc0\x10"].concat();
    let address = [0xc0, 41, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1];
    let plain = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 2];
    let two = [
        [&message[..], &alias[..], &address[..]].concat(),
        [&message[..], &plain[..], &plain[..]].concat(),
    ];
    message[7] = 0;
    [&two[..], &[message]].concat()
}

/// Bodies for the HTTP controller; the first byte numbers their request.
fn http_bodies() -> Seeds {
    let recorded = door::recorded().into_iter().enumerate();
    let seed = |(number, request): (usize, door::Recorded)| {
        let number = u8::try_from(number).expect("few requests");
        [vec![number], request.body].concat()
    };
    recorded.map(seed).collect()
}

/// Writes the seeds into the fuzzer's directories, if the variable `FUZZ_CORPUS` names where they are.
#[test]
fn seeds_are_written_for_the_fuzzer() {
    let Some(corpus) = std::env::var_os("FUZZ_CORPUS") else {
        return;
    };
    let of_kind = |(index, kind): (usize, &ExchangeKind)| {
        let number = u8::try_from(index).expect("few kinds");
        exchanges(*kind)
            .into_iter()
            .map(move |seed| [vec![number], seed].concat())
    };
    let exchanges = ExchangeKind::ALL.iter().enumerate().flat_map(of_kind).collect();
    let targets: [(&str, Seeds); 11] = [
        ("datagram", datagrams()),
        ("exchange", exchanges),
        ("envelope", envelopes()),
        ("resp_requests", resp_requests()),
        ("socks5_messages", socks5_messages()),
        ("command", commands()),
        ("command_file", command_files()),
        ("discovery_settings", discovery_settings()),
        ("key_file", key_files()),
        ("dns_answer", dns_answers()),
        ("http_body", http_bodies()),
    ];
    for (target, seeds) in targets {
        let directory = Path::new(&corpus).join(target);
        std::fs::create_dir_all(&directory).expect("a directory");
        for (number, seed) in seeds.into_iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{number}")), seed).expect("a file");
        }
    }
}
