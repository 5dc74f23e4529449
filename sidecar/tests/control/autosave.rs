//! Saving the configuration: it is on disk before a command is answered, it is complete whenever the process is
//! killed, and the next start reads it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sidecar::control::autosave;

/// Timeout of an answer.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// A running sidecar with its controllers; killed with SIGKILL when dropped.
struct Sidecar {
    process: Child,
    resp: SocketAddr,
    http: SocketAddr,
}

impl Sidecar {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sidecar"))
            .args([
                "--resp-controller",
                "127.0.0.1:0",
                "--http-controller",
                "127.0.0.1:0",
            ])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sidecar starts");
        let mut log = BufReader::new(process.stderr.take().expect("its log"));
        let mut line = String::new();
        let address = |line: &str, flag: &str| -> Option<SocketAddr> {
            let (_, address) = line.split_once(&format!("{flag} address="))?;
            address.trim().parse().ok()
        };
        let (mut resp, mut http) = (None, None);
        while !line.contains("ready") {
            line.clear();
            assert!(
                log.read_line(&mut line).expect("a log") > 0,
                "the sidecar ended at its start"
            );
            resp = resp.or(address(&line, "--resp-controller"));
            http = http.or(address(&line, "--http-controller"));
        }
        // The pipe stays open, otherwise the sidecar's writes fail. The log is too short to fill it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self {
            process,
            resp: resp.expect("an address in the log"),
            http: http.expect("an address in the log"),
        }
    }

    fn connect(&self) -> BufReader<TcpStream> {
        BufReader::new(connect(self.resp))
    }

    /// Sends a command and waits for its answer.
    fn answer(&self, command: &str) -> String {
        let mut stream = self.connect();
        stream
            .get_mut()
            .write_all(format!("{command}\r\n").as_bytes())
            .expect("sent");
        let mut answer = String::new();
        stream.read_line(&mut answer).expect("an answer");
        answer
    }

    /// Executes a command that succeeds.
    fn run(&self, command: &str) {
        assert_eq!(self.answer(command), "+OK\r\n", "{command}");
    }

    /// Sends an HTTP request; returns the answer with its head.
    fn post(&self, path: &str, body: &str) -> String {
        let mut stream = connect(self.http);
        let length = body.len();
        let request = format!(
            "POST /api/v1/module/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, WAIT_TIMEOUT).expect("the controller accepts");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a socket");
    stream
}

/// Runs a sidecar that does not start, and returns its error.
fn not_started(path: &Path) -> String {
    let output = Command::new("timeout")
        .args(["--kill-after=1", &WAIT_TIMEOUT.as_secs().to_string()])
        .arg(env!("CARGO_BIN_EXE_sidecar"))
        .arg("--autosave")
        .arg(path)
        .args(["--", "true"])
        .output()
        .expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    message
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The saved commands.
fn saved(path: &Path) -> Vec<String> {
    let script = autosave::load(path)
        .expect("a complete file")
        .expect("the file exists");
    script.lines.iter().map(|line| line.command.to_string()).collect()
}

#[test]
fn an_answered_change_survives_a_crash() {
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
fn the_saved_configuration_takes_precedence_over_load() {
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
fn the_file_is_complete_whenever_the_sidecar_is_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("saved.conf");
    let arguments = ["--autosave", path.to_str().expect("UTF-8")];
    for answers in 1..=20 {
        let sidecar = Sidecar::start(&arguments);
        let mut stream = sidecar.connect();
        // A pipeline of changes, killed after one more answer in each round.
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
fn an_edited_file_is_reported_and_nothing_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("saved.conf");
    let arguments = ["--autosave", path.to_str().expect("UTF-8")];
    Sidecar::start(&arguments).run("add server-groups x");
    let whole = std::fs::read_to_string(&path).expect("the file");
    for (text, expected) in [
        (&whole[..whole.len() - 10], "is truncated or was edited"),
        ("add server-groups x\n", "was not written by --autosave"),
        ("", "was not written by --autosave"),
    ] {
        std::fs::write(&path, text).expect("written");
        let message = not_started(&path);
        assert!(
            message.contains(expected) && message.contains(arguments[1]),
            "{message}"
        );
        assert_eq!(
            std::fs::read_to_string(&path).expect("the file"),
            text,
            "the file is unchanged"
        );
    }
}

#[test]
fn a_path_that_is_not_a_file_is_reported_without_waiting() {
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    for path in [pipe.as_path(), directory.path(), Path::new("/dev/null")] {
        let message = not_started(path);
        let expected = format!("{} is not a regular file", path.display());
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn a_disk_that_hangs_is_reported_and_does_not_block_the_exit() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("saved.conf");
    // The new file is a named pipe: opening it blocks until there is a reader.
    let hangs = directory.path().join("saved.conf.new");
    let made = Command::new("mkfifo").arg(&hangs).status().expect("mkfifo runs");
    assert!(made.success());
    let message = not_started(&path);
    let expected = format!(
        "--autosave: cannot save to {}: it is not written after",
        path.display()
    );
    assert!(message.contains(&expected), "{message}");
}

#[test]
fn an_unwritable_path_is_reported_and_nothing_starts() {
    for directory in ["/no/such/directory", "/proc"] {
        let path = Path::new(directory).join("saved.conf");
        let message = not_started(&path);
        let expected = format!("--autosave: cannot save to {}: ", path.display());
        assert!(message.contains(&expected), "{message}");
        assert!(!message.contains("ready"), "{message}");
    }
}

#[test]
fn an_unsaved_change_is_reported_and_saved_with_the_next() {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("directory");
    let path = directory.join("saved.conf");
    std::fs::create_dir(&directory).expect("a directory");
    let sidecar = Sidecar::start(&["--autosave", path.to_str().expect("UTF-8")]);
    std::fs::remove_dir_all(&directory).expect("removed");

    let expected = format!(
        "the change is made, but is lost at the next start: cannot save to {}: No such file",
        path.display()
    );
    let answer = sidecar.answer("add server-groups a");
    assert!(answer.starts_with(&format!("-UNSAVED {expected}")), "{answer}");
    let answer = sidecar.post("server-groups", r#"{"name":"b"}"#);
    assert!(
        answer.starts_with("HTTP/1.1 500 ") && answer.contains(&expected),
        "{answer}"
    );

    std::fs::create_dir(&directory).expect("a directory");
    sidecar.run("add server-groups c");
    let all = ["a", "b", "c"].map(|name| format!("add server-groups {name}"));
    assert_eq!(saved(&path), all, "the changes were made");
}
