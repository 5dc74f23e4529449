//! The saved configuration: it is on disk when a command is answered, whole whenever the process dies, and the
//! next start begins from it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sidecar::control::autosave;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running sidecar with its RESP door; killed with SIGKILL when dropped.
struct Sidecar {
    process: Child,
    door: SocketAddr,
}

impl Sidecar {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sidecar"))
            .args(["--resp-controller", "127.0.0.1:0"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sidecar starts");
        let mut log = BufReader::new(process.stderr.take().expect("its log"));
        let mut line = String::new();
        let mut door = None;
        while !line.contains("ready") {
            line.clear();
            assert!(
                log.read_line(&mut line).expect("a log") > 0,
                "the sidecar ended at its start"
            );
            if let Some((_, address)) = line.split_once("--resp-controller address=") {
                door = address.trim().parse().ok();
            }
        }
        // The log is read on, lest the sidecar's writes fail; there is too little of it to matter.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self {
            process,
            door: door.expect("an address in the log"),
        }
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.door, PATIENCE).expect("the door is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        BufReader::new(stream)
    }

    /// Says a command and waits for its `OK`.
    fn run(&self, command: &str) {
        let mut stream = self.connect();
        stream
            .get_mut()
            .write_all(format!("{command}\r\n").as_bytes())
            .expect("sent");
        let mut answer = String::new();
        stream.read_line(&mut answer).expect("an answer");
        assert_eq!(answer, "+OK\r\n", "{command}");
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The commands that are saved.
fn saved(path: &Path) -> Vec<String> {
    let script = autosave::load(path)
        .expect("the file is whole")
        .expect("the file is there");
    script.lines.iter().map(|line| line.command.to_string()).collect()
}

#[test]
fn a_change_that_was_answered_is_there_after_a_crash() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("saved.conf");
    let arguments = ["--autosave", path.to_str().expect("UTF-8")];
    let sidecar = Sidecar::start(&arguments);
    assert_eq!(saved(&path), Vec::<String>::new(), "it is written at the start");
    sidecar.run("add server-groups sgs0");
    sidecar.run("add server-group sg0 timeout 500 period 1000 up 2 down 3");
    sidecar.run("add server-group sg0 to server-groups sgs0 weight 7");
    sidecar.run("add socks5-server s5 address 127.0.0.1:0 server-groups sgs0 allow-non-backend");
    sidecar.run("add server-groups gone");
    sidecar.run("update server-group sg0 method wlc");
    sidecar.run("remove server-groups gone");
    drop(sidecar);

    let expected = [
        "add server-group sg0 timeout 500 period 1000 up 2 down 3 method wlc",
        "add server-groups sgs0",
        "add server-group sg0 to server-groups sgs0 weight 7",
        "add socks5-server s5 address 127.0.0.1:0 server-groups sgs0 allow-non-backend",
    ];
    assert_eq!(saved(&path), expected);
    let sidecar = Sidecar::start(&arguments);
    sidecar.run("remove socks5-server s5");
    assert_eq!(saved(&path), expected[..3]);
}

#[test]
fn what_is_saved_goes_before_what_is_to_be_loaded() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, load) = (
        directory.path().join("saved.conf"),
        directory.path().join("load.conf"),
    );
    std::fs::write(&load, "add server-groups loaded\n").expect("written");
    let (path_text, load_text) = (path.to_str().expect("UTF-8"), load.to_str().expect("UTF-8"));
    let arguments = ["--autosave", path_text, "--load", load_text];
    Sidecar::start(&arguments).run("add server-groups added");
    Sidecar::start(&arguments).run("add server-groups more");
    let expected = [
        "add server-groups loaded",
        "add server-groups added",
        "add server-groups more",
    ];
    assert_eq!(saved(&path), expected);
}

#[test]
fn whenever_it_is_killed_the_file_is_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("saved.conf");
    let arguments = ["--autosave", path.to_str().expect("UTF-8")];
    for answers in 1..=20 {
        let sidecar = Sidecar::start(&arguments);
        let mut stream = sidecar.connect();
        // Many changes at once, and a kill while they are made: after one more answer each time.
        let first = saved(&path).len();
        let changes = (first..first + 50).map(|n| format!("add server-groups g{n}\r\n"));
        stream
            .get_mut()
            .write_all(changes.collect::<String>().as_bytes())
            .expect("sent");
        for _ in 0..answers {
            let mut answer = String::new();
            stream.read_line(&mut answer).expect("an answer");
            assert_eq!(answer, "+OK\r\n");
        }
        drop(sidecar);
        let now = saved(&path);
        assert!(
            now.len() >= first + answers,
            "{answers} changes of {now:?} from {first} on were answered"
        );
        let expected: Vec<String> = (0..now.len())
            .map(|n| format!("add server-groups g{n}"))
            .collect();
        assert_eq!(now, expected);
    }
}

#[test]
fn a_file_that_is_not_what_was_written_is_told_and_nothing_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("saved.conf");
    let arguments = ["--autosave", path.to_str().expect("UTF-8")];
    Sidecar::start(&arguments).run("add server-groups x");
    let whole = std::fs::read_to_string(&path).expect("the file");
    for (text, says) in [
        (&whole[..whole.len() - 10], "is torn or was changed"),
        ("add server-groups x\n", "was not written by --autosave"),
        ("", "was not written by --autosave"),
    ] {
        std::fs::write(&path, text).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_sidecar"))
            .args(arguments)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says) && said.contains(arguments[1]), "{said}");
        assert_eq!(
            std::fs::read_to_string(&path).expect("the file"),
            text,
            "it is left as it is"
        );
    }
}
