//! What editors of other systems make of text files: a byte order mark, line ends with a carriage return, UTF-16.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Sidecar, run};

/// A file of an editor that writes a byte order mark and carriage returns.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path.display().to_string()
    }

    fn marked(&self, name: &str, text: &str) -> String {
        self.write(name, format!("\u{feff}{}", text.replace('\n', "\r\n")).as_bytes())
    }

    fn utf16(&self, name: &str, text: &str) -> String {
        let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
        let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        self.write(name, &bytes)
    }
}

fn ask(address: &str, request: &str) -> String {
    let address = address.trim().parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(20)).expect("it listens");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_skipped_in_every_file() {
    let files = Files::new();
    let mut sidecar = Sidecar::start(&[
        "--load",
        &files.marked("a.conf", "add server-groups a\nadd server-groups b\n"),
        &files.marked("b.conf", "# a comment\n\nadd server-groups c"),
        "--http-controller",
        "127.0.0.1:0",
        "--http-token-file",
        &files.marked("token", "secret\n"),
        "--resp-controller",
        "127.0.0.1:0",
        "--resp-password-file",
        &files.marked("password", "secret\n"),
    ]);
    let mut address = |flag: &str| {
        let line = sidecar.logged(flag);
        line.split("address=").nth(1).expect("an address").to_owned()
    };
    let (http, resp) = (address("--http-controller"), address("--resp-controller"));
    let answer = ask(
        &http,
        "GET /api/v1/module/server-groups HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Bearer secret\r\n\r\n",
    );
    assert!(
        answer.ends_with(r#"[{"name":"a"},{"name":"b"},{"name":"c"}]"#),
        "{answer}"
    );
    assert_eq!(ask(&resp, "AUTH secret\r\nQUIT\r\n"), "+OK\r\n+OK\r\n");
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_skipped_in_the_discovery_settings() {
    let files = Files::new();
    let file = files.marked(
        "discovery.conf",
        "discovery.nic = lo\n# a comment\ndiscovery.tcp_port = many\n",
    );
    let (_, output) = run(&["--discovery-config", &file]);
    let errors: Vec<&str> = output
        .lines()
        .filter(|line| line.contains("discovery.conf:"))
        .collect();
    let [error] = errors[..] else {
        panic!("one error was expected: {output}");
    };
    assert!(
        error.contains("discovery.conf:3: `discovery.tcp_port`") && error.ends_with("found `many`"),
        "{error:?}"
    );
}

#[test]
fn files_in_utf16_are_refused_with_their_name() {
    let files = Files::new();
    let wide = files.utf16("wide.conf", "add server-groups a\r\n");
    let bare = files.write("bare.conf", b"a\0d\0d\0");
    for (flag, file) in [
        ("--load", &wide),
        ("--load", &bare),
        ("--discovery-config", &wide),
        ("--http-token-file", &wide),
        ("--resp-password-file", &wide),
    ] {
        let controllers = [
            "--http-controller",
            "127.0.0.1:0",
            "--resp-controller",
            "127.0.0.1:0",
        ];
        let (code, output) = run(&[&[flag, file][..], &controllers].concat());
        assert_eq!(code, Some(1), "{flag}: {output}");
        assert!(
            output.contains(file.as_str()) && output.contains("save it as UTF-8"),
            "{flag}: {output}"
        );
    }
}
