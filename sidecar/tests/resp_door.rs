//! The RESP door as a program meets it: over a socket, with every right and wrong thing it may send.

#[path = "resp_common/answers.rs"]
mod answers;

use std::sync::Arc;
use std::time::Duration;

use answers::{Value, parse};
use sidecar::control::credential::Credential;
use sidecar::control::resp::{Limits, serve};
use sidecar::control::{Controller, Offers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

/// A door in this process.
struct Door {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Door {
    async fn open(password: Option<&str>, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let controller = Arc::new(Controller::new(Offers::new(), None));
        let credential = password.map(|p| Credential::from_text("test", p.as_bytes()).expect("a secret"));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, controller, credential, limits, stop.clone()));
        Self {
            address,
            stop,
            serving,
        }
    }

    async fn without_password() -> Self {
        Self::open(None, Limits::default()).await
    }

    async fn with_password() -> Self {
        Self::open(Some("secret"), Limits::default()).await
    }

    async fn client(&self) -> Client {
        Client {
            stream: TcpStream::connect(self.address).await.expect("the door is open"),
            received: Vec::new(),
        }
    }
}

struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.write_all(bytes.as_ref()).await;
        sent.expect("the door takes it");
    }

    /// The next answer; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((value, used)) = parse(&self.received) {
                self.received.drain(..used);
                return Some(value);
            }
            let read = self.stream.read_buf(&mut self.received);
            let count = timeout(PATIENCE, read).await.expect("an answer in time");
            if count.expect("a connection that ends in order") == 0 {
                assert!(self.received.is_empty(), "half an answer: {:?}", self.received);
                return None;
            }
        }
    }

    async fn ask(&mut self, line: &str) -> Value {
        self.send(format!("{line}\r\n")).await;
        self.next().await.unwrap_or_else(|| panic!("no answer to {line}"))
    }

    async fn error(&mut self, line: &str) -> String {
        match self.ask(line).await {
            Value::Error(text) => text,
            other => panic!("{line}: {other:?}"),
        }
    }
}

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

fn texts(value: &Value) -> Vec<String> {
    let Value::Array(items) = value else {
        panic!("no array: {value:?}");
    };
    let text = |item: &Value| match item {
        Value::Bulk(bytes) => String::from_utf8(bytes.clone()).expect("UTF-8"),
        other => panic!("no text: {other:?}"),
    };
    items.iter().map(text).collect()
}

#[tokio::test]
async fn commands_are_answered_in_their_own_shape() {
    let door = Door::without_password().await;
    let mut client = door.client().await;
    assert_eq!(client.ask("add server-groups sgs0").await, ok());
    assert_eq!(
        client.ask("a sg g timeout 500 period 1000 up 2 down 3").await,
        ok()
    );
    assert_eq!(client.ask("add server-group g to server-groups sgs0").await, ok());
    assert_eq!(
        client
            .ask("add tcp-lb lb0 address 127.0.0.1:0 server-groups sgs0")
            .await,
        ok()
    );
    assert_eq!(texts(&client.ask("list server-groups").await), ["sgs0"]);
    assert_eq!(
        texts(&client.ask("L sg").await),
        ["g -> timeout 500 period 1000 up 2 down 3 method wrr"]
    );
    assert_eq!(client.ask("list session in tcp-lb lb0").await, Value::Integer(0));
    assert_eq!(
        client.ask("L session in tcp-lb lb0").await,
        Value::Array(Vec::new())
    );
    assert_eq!(client.ask("list bytes-in in tcp-lb lb0").await, Value::Integer(0));
    for (line, expected) in [
        ("add server-groups sgs0", "ERR the resource already exists"),
        ("remove tcp-lb nope", "ERR the resource could not be found"),
        (
            "remove server-groups sgs0",
            "ERR server-groups sgs0 is used by tcp-lb lb0",
        ),
    ] {
        assert_eq!(client.error(line).await, expected, "{line}");
    }
    let unknown = client.error("foo bar").await;
    assert!(unknown.starts_with("ERR foo is not a valid action"), "{unknown}");
    let threads = client.error("add event-loop-group x").await;
    assert!(threads.contains("--workers"), "{threads}");
    assert_eq!(client.ask("R tl lb0").await, ok());
    assert_eq!(client.ask("remove server-groups sgs0").await, ok());
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_whatever_the_pieces() {
    let door = Door::without_password().await;
    let mut client = door.client().await;
    let mut stream = Vec::new();
    for n in 0..500 {
        stream.extend(format!("*2\r\n$4\r\nECHO\r\n$3\r\n{n:03}\r\n").bytes());
        stream.extend(format!("echo '{n:03}'\r\n\r\n").bytes());
    }
    for piece in stream.chunks(997) {
        client.send(piece).await;
    }
    for n in 0..1000 {
        let expected = format!("{:03}", n / 2).into_bytes();
        assert_eq!(client.next().await, Some(Value::Bulk(expected)), "answer {n}");
    }
    client
        .send("PING\r\nQUIT\r\nadd server-groups too-late\r\n")
        .await;
    assert_eq!(client.next().await, Some(Value::Simple("PONG".to_owned())));
    assert_eq!(client.next().await, Some(ok()));
    assert_eq!(client.next().await, None);
    let mut another = door.client().await;
    assert!(texts(&another.ask("list server-groups").await).is_empty());
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_itself_alone() {
    let limits = Limits {
        transfer: Duration::from_millis(300),
        ..Limits::default()
    };
    let door = Door::open(None, limits).await;
    let mut greedy = door.client().await;
    let word = "x".repeat(4000);
    let request = format!("*2\r\n$4\r\nECHO\r\n$4000\r\n{word}\r\n").repeat(16);
    let flood = async {
        // The kernel buffers some; then the door stops reading, and closes the connection in the end.
        while greedy.stream.write_all(request.as_bytes()).await.is_ok() {}
    };
    let serve_others = async {
        let mut other = door.client().await;
        for _ in 0..100 {
            assert_eq!(other.ask("PING").await, Value::Simple("PONG".to_owned()));
        }
    };
    let both = async { tokio::join!(flood, serve_others) };
    timeout(PATIENCE, both)
        .await
        .expect("the greedy client is cut off");
}

#[tokio::test]
async fn what_is_not_the_protocol_is_told_and_ends_the_connection() {
    let door = Door::without_password().await;
    for (bytes, says) in [
        ("*1\r\n*1\r\n$4\r\nPING\r\n", "expected '$', got '*'"),
        ("*1000000000\r\n", "invalid multibulk length"),
        ("*1\r\n$1000000000\r\n", "invalid bulk length"),
        ("*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        ("echo \"x\r\n", "unbalanced quotes"),
    ] {
        let mut client = door.client().await;
        client.send(format!("PING\r\n{bytes}PING\r\n")).await;
        assert_eq!(client.next().await, Some(Value::Simple("PONG".to_owned())));
        match client.next().await {
            Some(Value::Error(text)) => {
                assert!(text.starts_with("ERR Protocol error: "), "{text}");
                assert!(text.contains(says), "{text}");
            }
            other => panic!("{bytes:?}: {other:?}"),
        }
        assert_eq!(client.next().await, None, "{bytes:?}");
    }
    // Deep nesting, and a request without an end.
    for bytes in ["*1\r\n".repeat(100_000), "x".repeat(1 << 20)] {
        let mut client = door.client().await;
        let _ = client.stream.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, client.stream.read_to_end(&mut answer))
            .await
            .expect("the connection ends");
        assert!(!answer.starts_with(b"+"), "{answer:?}");
    }
    assert_eq!(
        door.client().await.ask("PING").await,
        Value::Simple("PONG".to_owned())
    );
}

#[tokio::test]
async fn a_web_page_cannot_send_commands() {
    let door = Door::without_password().await;
    for head in ["POST / HTTP/1.1\r\n", "PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\n"] {
        let mut client = door.client().await;
        client.send(format!("{head}\r\nadd server-groups evil\r\n")).await;
        while client.next().await.is_some() {}
    }
    let groups = door.client().await.ask("list server-groups").await;
    assert!(texts(&groups).is_empty(), "{groups:?}");
}

#[tokio::test]
async fn the_password_is_asked_for_and_wrong_ones_cost_time() {
    let door = Door::with_password().await;
    let mut client = door.client().await;
    assert_eq!(client.error("PING").await, "NOAUTH Authentication required.");
    assert_eq!(
        client.error("list tcp-lb").await,
        "NOAUTH Authentication required."
    );
    let begun = Instant::now();
    for wrong in ["AUTH nope", "AUTH default nope", "HELLO 3 AUTH default nope"] {
        let text = client.error(wrong).await;
        assert!(text.starts_with("WRONGPASS "), "{text}");
        assert!(!text.contains("nope") && !text.contains("secret"), "{text}");
    }
    // The delay is what is tested: 250, 500 and 1000 ms, from below.
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1700), "{took:?}");
    assert_eq!(client.ask("AUTH secret").await, ok());
    assert_eq!(client.ask("list tcp-lb").await, Value::Array(Vec::new()));
    let mut third = door.client().await;
    let Value::Map(about) = third.ask("HELLO 3 AUTH default secret").await else {
        panic!("a map");
    };
    assert!(about.contains(&Value::Bulk(b"proto".to_vec())));
    assert_eq!(third.ask("CLIENT GETNAME").await, Value::Null);
}

#[tokio::test]
async fn guessing_does_not_hold_up_who_is_in_already() {
    let door = Door::with_password().await;
    let mut known = door.client().await;
    assert_eq!(known.ask("AUTH secret").await, ok());
    let mut guessers = Vec::new();
    for _ in 0..40 {
        let mut guesser = door.client().await;
        guesser.send("AUTH nope\r\n".repeat(5)).await;
        guessers.push(guesser);
    }
    for _ in 0..50 {
        assert_eq!(known.ask("PING").await, Value::Simple("PONG".to_owned()));
    }
    // After the first tries they take turns; most are turned away.
    for guesser in &mut guessers {
        while let Some(Value::Error(text)) = guesser.next().await {
            if text.contains("too many wrong passwords") {
                return;
            }
        }
    }
    panic!("nobody was turned away");
}

#[tokio::test]
async fn places_are_bounded_and_free_again_when_a_client_leaves() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let door = Door::open(None, limits).await;
    let (mut first, mut second) = (door.client().await, door.client().await);
    first.ask("PING").await;
    second.ask("PING").await;
    let mut third = door.client().await;
    assert_eq!(
        third.next().await,
        Some(Value::Error("ERR max number of clients reached".to_owned()))
    );
    assert_eq!(third.next().await, None);
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut client = door.client().await;
        // A client that is turned away may find the connection reset when it writes.
        let asked = client.stream.write_all(b"PING\r\n").await.is_ok();
        let mut answer = [0; 5];
        if asked && client.stream.read_exact(&mut answer).await.is_ok() && answer == *b"+PONG" {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "the place of a client that left is not free"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn silent_and_slow_clients_are_let_go() {
    let short = Duration::from_millis(200);
    let limits = Limits {
        idle: short,
        authentication: short,
        transfer: short,
        ..Limits::default()
    };
    for password in [None, Some("secret")] {
        let door = Door::open(password, limits).await;
        let mut silent = door.client().await;
        assert_eq!(silent.next().await, None, "silent");
        let mut slow = door.client().await;
        let drip = async {
            while slow.stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, drip).await.expect("a slow client is let go");
    }
    let door = Door::open(Some("secret"), limits).await;
    let mut busy = door.client().await;
    let chatter = async { while let Ok(()) = busy.stream.write_all(b"PING\r\n").await {} };
    timeout(PATIENCE, chatter)
        .await
        .expect("talking is not authenticating");
}

#[tokio::test]
async fn it_stops_in_time_whatever_its_clients_do() {
    let door = Door::with_password().await;
    let _silent = door.client().await;
    let mut guessing = door.client().await;
    guessing.send("AUTH nope\r\n".repeat(50)).await;
    assert!(matches!(guessing.next().await, Some(Value::Error(_))));
    let mut half = door.client().await;
    half.error("PING").await;
    half.send("*2\r\n$4\r\nECHO\r\n$100\r\nx").await;
    door.stop.cancel();
    timeout(PATIENCE, door.serving)
        .await
        .expect("it stops in time")
        .expect("and in order");
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, half.stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection outlived the door");
}
