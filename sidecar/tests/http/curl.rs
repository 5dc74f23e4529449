//! An empty sidecar becomes a frontend's sidecar, step by step, by curl alone; traffic flows as soon as it should.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(20);
/// The destination that SOCKS5 clients ask for, and the group of that name.
const SERVICE: &str = "a.my.service.com:80";

/// A sidecar without any configuration; killed when dropped.
struct Sidecar {
    process: Child,
    door: String,
}

impl Sidecar {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sidecar"))
            .args(["--http-controller", "127.0.0.1:0"])
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sidecar starts");
        let mut log = BufReader::new(process.stderr.take().expect("its log"));
        let (mut seen, mut line) = (String::new(), String::new());
        while !line.contains("--http-controller") {
            line.clear();
            assert!(
                log.read_line(&mut line).expect("a log in UTF-8") > 0,
                "no door opens:\n{seen}"
            );
            seen.push_str(&line);
        }
        let address = line
            .split("address=")
            .nth(1)
            .expect("an address in the line")
            .trim();
        let door = format!("http://{address}/api/v1");
        // The log is read to its end, or the sidecar would wait for its reader.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Self { process, door }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let url = format!("{}{path}", self.door);
        let mut arguments = vec!["-X", method, "-w", "\n%{http_code}"];
        let body = body.to_string();
        if body != "null" {
            arguments.extend(["-H", "content-type: application/json", "-d", &body]);
        }
        arguments.push(&url);
        let output = curl(&arguments);
        assert!(output.status.success(), "{method} {path}: {output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let (body, status) = text.rsplit_once('\n').expect("a status");
        (status.parse().expect("a status"), body.to_owned())
    }

    /// A change that is made.
    fn change(&self, method: &str, path: &str, body: &Value) {
        let answer = self.ask(method, path, body);
        assert_eq!(answer, (204, String::new()), "{method} {path} {body}");
    }

    fn read(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &Value::Null);
        assert_eq!(status, 200, "GET {path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    fn up(&self, server: &str) {
        let deadline = Instant::now() + PATIENCE;
        let path = format!("/module/server-group/{SERVICE}/server/{server}");
        loop {
            let found = self.read(&path);
            if found["status"] == "UP" {
                return;
            }
            assert!(Instant::now() < deadline, "{server} is not up: {found}");
        }
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn curl(arguments: &[&str]) -> Output {
    let run = || {
        Command::new("curl")
            .args(["-sS", "--max-time", "10", "--noproxy", ""])
            .args(arguments)
            .output()
    };
    tokio::task::block_in_place(run).unwrap_or_else(|e| {
        panic!("curl cannot be run ({e}): this test needs it, install the package `curl`")
    })
}

/// What a client of the listener gets: the server's name; `None` where it gets nothing.
fn direct(address: &str) -> Option<String> {
    got(&[&format!("http://{address}/")])
}

fn by_socks5(address: &str) -> Option<String> {
    got(&["--socks5-hostname", address, &format!("http://{SERVICE}/")])
}

fn got(arguments: &[&str]) -> Option<String> {
    let output = curl(arguments);
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).expect("text"))
}

/// How many of a number of clients, one after the other, each server gets.
fn shares(address: &str, clients: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..clients {
        *shares.entry(direct(address).expect("an answer")).or_default() += 1;
    }
    shares
}

/// An HTTP server that answers with its name, any number of times on a connection.
async fn server(name: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufStream::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                    if line.trim().is_empty() {
                        let answer =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                        let _ = stream.write_all(answer.as_bytes()).await;
                        let _ = stream.flush().await;
                    }
                    line.clear();
                }
            });
        }
    });
    address
}

/// A client that keeps its connection.
struct Kept(TcpStream);

impl Kept {
    async fn open(address: &str) -> Self {
        let mut kept = Self(TcpStream::connect(address).await.expect("the listener accepts"));
        assert!(kept.is_answered().await);
        kept
    }

    /// Asks once more; false where the connection has ended.
    async fn is_answered(&mut self) -> bool {
        let ask = self.0.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut answer = [0; 256];
        let read = tokio::time::timeout(PATIENCE, self.0.read(&mut answer));
        let read = read.await.expect("an answer or an end in time");
        ask.is_ok() && read.is_ok_and(|count| count > 0)
    }

    async fn has_ended(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.0.read(&mut [0; 16])).await;
        read.is_ok_and(|outcome| outcome.map_or(true, |count| count == 0))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_sidecar_becomes_a_frontends() {
    let sidecar = Sidecar::start();
    let (one, two) = (server("one").await, server("two").await);
    assert_eq!(sidecar.read("/module/server-groups"), json!([]));

    sidecar.change("POST", "/module/server-groups", &json!({"name": "sgs0"}));
    let body = json!({"name": "sidecar", "address": "127.0.0.1:0", "backend": "sgs0"});
    sidecar.change("POST", "/module/socks5-server", &body);
    let socks5 = sidecar.read("/module/socks5-server/sidecar")["address"].clone();
    let socks5 = socks5.as_str().expect("an address");
    assert_eq!(by_socks5(socks5), None, "there is no group of that name");

    let body = json!({"name": SERVICE, "timeout": 2000, "period": 100, "up": 1, "down": 5});
    sidecar.change("POST", "/module/server-group", &body);
    assert_eq!(by_socks5(socks5), None, "it is not attached");
    sidecar.change(
        "POST",
        "/module/server-groups/sgs0/server-group",
        &json!({"name": SERVICE}),
    );
    assert_eq!(by_socks5(socks5), None, "it has no server");
    let servers = format!("/module/server-group/{SERVICE}/server");
    sidecar.change(
        "POST",
        &servers,
        &json!({"name": "s1", "address": one, "weight": 15}),
    );
    sidecar.up("s1");
    assert_eq!(by_socks5(socks5).as_deref(), Some("one"));

    sidecar.change(
        "POST",
        "/module/tcp-lb",
        &json!({"name": "lb0", "address": "127.0.0.1:0", "backend": "sgs0"}),
    );
    let lb = sidecar.read("/module/tcp-lb/lb0")["address"].clone();
    let lb = lb.as_str().expect("an address");
    assert_eq!(direct(lb).as_deref(), Some("one"));

    weights_and_methods(&sidecar, lb, &servers, &two);
    security(&sidecar, lb, socks5);
    removal(&sidecar, lb, socks5).await;
}

fn weights_and_methods(sidecar: &Sidecar, lb: &str, servers: &str, two: &str) {
    sidecar.change("POST", servers, &json!({"name": "s2", "address": two}));
    sidecar.up("s2");
    let expected = |one, two| BTreeMap::from([("one".to_owned(), one), ("two".to_owned(), two)]);
    assert_eq!(
        shares(lb, 25),
        expected(15, 10),
        "weights 15 and 10, which is the default"
    );
    sidecar.change("PUT", &format!("{servers}/s1"), &json!({"weight": 10}));
    sidecar.change("PUT", &format!("{servers}/s2"), &json!({"weight": 15}));
    assert_eq!(shares(lb, 25), expected(10, 15), "weights 10 and 15");

    let group = format!("/module/server-group/{SERVICE}");
    sidecar.change("PUT", &group, &json!({"method": "source"}));
    assert_eq!(shares(lb, 10).len(), 1, "one client keeps its server");
    sidecar.change("PUT", &group, &json!({"method": "wlc"}));
    assert_eq!(shares(lb, 10).len(), 2, "nobody is connected: they take turns");
    sidecar.change("PUT", &group, &json!({"method": "wrr", "up": 2}));
    assert_eq!(sidecar.read(&group)["up"], 2);
    let accepted = sidecar.read("/statistics/tcp-lb/lb0/accepted-conn-count");
    assert_eq!(accepted, json!({"value": 71}), "1 + 25 + 25 + 10 + 10");
}

fn security(sidecar: &Sidecar, lb: &str, socks5: &str) {
    let port: u16 = lb.rsplit_once(':').expect("a port").1.parse().expect("a port");
    sidecar.change(
        "POST",
        "/module/security-group",
        &json!({"name": "secg0", "defaultRule": "allow"}),
    );
    sidecar.change("PUT", "/module/tcp-lb/lb0", &json!({"securityGroup": "secg0"}));
    assert!(direct(lb).is_some(), "no rule speaks against it");
    let rules = "/module/security-group/secg0/security-group-rule";
    let rule = json!({"name": "r0", "clientNetwork": "127.0.0.0/8", "protocol": "TCP",
                      "serverPortMin": port, "serverPortMax": port, "rule": "deny"});
    sidecar.change("POST", rules, &rule);
    assert_eq!(direct(lb), None, "the rule denies it");
    assert!(by_socks5(socks5).is_some(), "the rule is the other listener's");
    sidecar.change("DELETE", &format!("{rules}/r0"), &Value::Null);
    assert!(direct(lb).is_some(), "the rule is gone");
    sidecar.change(
        "PUT",
        "/module/security-group/secg0",
        &json!({"defaultRule": "deny"}),
    );
    assert_eq!(direct(lb), None, "the default denies it");
    let (status, message) = sidecar.ask("DELETE", "/module/security-group/secg0", &Value::Null);
    assert_eq!(status, 400);
    assert!(
        message.contains("security-group secg0 is used by tcp-lb lb0"),
        "{message}"
    );
    sidecar.change(
        "PUT",
        "/module/tcp-lb/lb0",
        &json!({"securityGroup": "(allow-all)"}),
    );
    sidecar.change("DELETE", "/module/security-group/secg0", &Value::Null);
    assert!(direct(lb).is_some(), "it guards no more");
}

async fn removal(sidecar: &Sidecar, lb: &str, socks5: &str) {
    let (mut kept, mut cut) = (Kept::open(lb).await, Kept::open(lb).await);
    let client = cut.0.local_addr().expect("an address").to_string();
    let sessions = sidecar.read("/channel/tcp-lb/lb0/session");
    let clients = sessions
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| s["client"].clone());
    assert!(clients.collect::<Vec<_>>().contains(&json!(client)), "{sessions}");
    sidecar.change(
        "DELETE",
        &format!("/channel/tcp-lb/lb0/session/%2F%5E{client}%2F"),
        &Value::Null,
    );
    assert!(cut.has_ended().await, "its session is removed");
    let (status, _) = sidecar.ask(
        "DELETE",
        &format!("/channel/tcp-lb/lb0/session/{client}"),
        &Value::Null,
    );
    assert_eq!(status, 400, "it is gone");

    let (status, message) = sidecar.ask("DELETE", "/module/server-groups/sgs0", &Value::Null);
    assert_eq!(status, 400);
    assert!(
        message.contains("server-groups sgs0 is used by tcp-lb lb0"),
        "{message}"
    );
    sidecar.change("DELETE", "/module/tcp-lb/lb0", &Value::Null);
    assert_eq!(direct(lb), None, "it accepts no more");
    assert!(kept.is_answered().await, "established connections live on");
    assert!(by_socks5(socks5).is_some());

    sidecar.change(
        "DELETE",
        &format!("/module/server-group/{SERVICE}?force=true"),
        &Value::Null,
    );
    assert_eq!(by_socks5(socks5), None, "the group is gone");
    sidecar.change("DELETE", "/module/server-groups/sgs0?force=true", &Value::Null);
    assert_eq!(
        sidecar.read("/module/socks5-server"),
        json!([]),
        "its user went with it"
    );
    assert!(
        kept.is_answered().await,
        "established connections live on, whatever is removed"
    );
}
