//! Ports of HTTP: clients keep their connections, and their requests take turns.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use socket2::Socket;

use super::name_server::NameServer;
use super::ports::write;
use super::world::{DEADLINE, Endpoint, Waypoint, bound, command, free_port, free_port_of_two};

/// The head of a message, without its end; empty at the end of the stream.
fn head(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head)? == 0 {
            return Ok(String::new());
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &&'a str| {
        line.split_once(':')
            .is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
    };
    let line = head.lines().find(named)?;
    Some(line.split_once(':')?.1.trim())
}

/// A program that answers each request with its name and the host that the request names, and keeps its connections. A
/// connection that is upgraded gets back what it sends.
fn program(socket: Socket, name: &'static str) -> Endpoint {
    Endpoint::serving(socket, move |stream| {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut writer = stream;
        loop {
            let request = head(&mut reader)?;
            if request.is_empty() {
                return Ok(());
            }
            if field(&request, "upgrade").is_some() {
                let answer =
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
                writer.write_all(answer.as_bytes())?;
                std::io::copy(&mut reader, &mut writer)?;
                return Ok(());
            }
            let body = format!("{name} {}", field(&request, "host").unwrap_or_default());
            let length = body.len();
            write!(
                writer,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
            )?;
        }
    })
}

/// A client that keeps its connection.
struct KeepAlive(BufReader<TcpStream>);

impl KeepAlive {
    fn connect(port: u16) -> Self {
        Self::try_connect(port).unwrap()
    }

    /// `None` while the port is closed.
    fn try_connect(port: u16) -> Option<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Some(Self(BufReader::new(stream)))
    }

    /// Sends a request. Returns the head and the body of the answer; `None` if the connection has ended.
    fn send(&mut self, fields: &str) -> std::io::Result<Option<(String, String)>> {
        let request = format!("GET / HTTP/1.1\r\nHost: my_api:8080\r\n{fields}\r\n");
        self.0.get_mut().write_all(request.as_bytes())?;
        let head = head(&mut self.0)?;
        if head.is_empty() {
            return Ok(None);
        }
        let length = field(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Some((head, String::from_utf8(body).unwrap())))
    }

    /// The name of the endpoint that answers.
    fn ask(&mut self) -> String {
        let (head, body) = self.send("").unwrap().expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}{body}");
        let (name, host) = body.split_once(' ').unwrap();
        assert_eq!(host, "my_api:8080");
        name.to_owned()
    }

    /// The endpoints that answer the next requests.
    fn names(&mut self) -> BTreeSet<String> {
        (0..6).map(|_| self.ask()).collect()
    }
}

fn both() -> BTreeSet<String> {
    BTreeSet::from(["one".to_owned(), "two".to_owned()])
}

/// Waits until connections to a port reach both endpoints, each as a whole if the port is one of TCP.
fn wait_for_both(waypoint: &Waypoint, port: u16) {
    waypoint.logged("server is UP", 2);
    let mut names = BTreeSet::new();
    waypoint.eventually("both endpoints answer", || {
        names.extend(KeepAlive::try_connect(port).map(|mut client| client.ask()));
        names == both()
    });
}

#[test]
fn the_requests_of_a_connection_take_turns() {
    let server = NameServer::answering(&["127.0.0.2", "127.0.0.3"]);
    let (port, one, two) = free_port_of_two();
    let (_one, _two) = (program(one, "one"), program(two, "two"));
    let waypoint = Waypoint::start(&server, &[&format!("api:{port}/http")]);
    wait_for_both(&waypoint, port);
    let mut client = KeepAlive::connect(port);
    let names: Vec<String> = (0..20).map(|_| client.ask()).collect();
    assert!(
        names.windows(2).all(|pair| pair[0] != pair[1]),
        "{names:?}: {}",
        waypoint.log()
    );
}

#[test]
fn a_change_of_the_protocol_is_taken_up_without_a_refusal() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("api.json");
    let server = NameServer::answering(&["127.0.0.2", "127.0.0.3"]);
    let (port, one, two) = free_port_of_two();
    let (_one, _two) = (program(one, "one"), program(two, "two"));
    let of = |protocol: &str| format!(r#"{{"host": "api", "ports": [{{"port": {port}{protocol}}}]}}"#);
    write(&file, &of(""));
    let waypoint = Waypoint::start(&server, &["--file", file.to_str().unwrap(), "api"]);
    wait_for_both(&waypoint, port);
    let mut before = KeepAlive::connect(port);
    let kept = before.names();
    assert_eq!(
        kept.len(),
        1,
        "a connection of TCP is balanced as a whole: {kept:?}"
    );

    write(&file, &of(r#", "protocol": "http""#));
    waypoint.eventually("requests take turns", || {
        KeepAlive::connect(port).names() == both()
    });
    assert_eq!(before.names(), kept, "an open connection goes on as it is");
    let mut of_http = KeepAlive::connect(port);
    let url = format!("http://{}/metrics", waypoint.status());
    let metrics = command(&["get", &url]).output().unwrap().stdout;
    let metrics = String::from_utf8(metrics).unwrap();
    let shown =
        format!(r#"sidecar_listener_protocol{{kind="tcp-lb",listener="api:{port}",protocol="http"}} 1"#);
    assert!(metrics.contains(&shown), "{metrics}");

    assert_eq!(of_http.names(), both());
    write(&file, &of(""));
    waypoint.eventually("connections are balanced as a whole", || {
        KeepAlive::connect(port).names().len() == 1
    });
    assert_eq!(of_http.names(), both(), "an open connection goes on as it is");
}

#[test]
fn a_request_waits_while_the_only_endpoint_is_replaced() {
    let server = NameServer::answering(&["127.0.0.2"]);
    let (port, socket) = free_port();
    let target = format!("api:{port}/http");
    let waypoint = Waypoint::start(&server, &["--hold", "60000", &target]);
    let one = program(socket, "one");
    waypoint.eventually("the port is open", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    let mut client = KeepAlive::connect(port);
    assert_eq!(client.ask(), "one");
    drop(one);
    server.answer(&[]);
    waypoint.logged("the host name no longer leads to an address", 1);
    let asking = std::thread::spawn(move || client.ask());
    let _two = program(bound([127, 0, 0, 3], port).unwrap(), "two");
    server.answer(&["127.0.0.3"]);
    assert_eq!(asking.join().unwrap(), "two");
}

#[test]
fn a_restart_answers_each_request_and_keeps_the_protocol() {
    let server = NameServer::answering(&["127.0.0.2", "127.0.0.3"]);
    let (port, one, two) = free_port_of_two();
    let (_one, _two) = (program(one, "one"), program(two, "two"));
    let waypoint = Waypoint::start(&server, &[&format!("api:{port}/http")]);
    wait_for_both(&waypoint, port);
    waypoint.signal("-USR2");
    let mut client = KeepAlive::connect(port);
    waypoint.eventually("two processes were ready", || {
        let (head, body) = client.send("").unwrap().expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}{body}");
        if field(&head, "connection") == Some("close") {
            client = KeepAlive::connect(port);
        }
        waypoint.log().matches(" ready").count() >= 2
    });
    assert_eq!(KeepAlive::connect(port).names(), both());
}

#[test]
fn an_upgraded_connection_is_passed_on_and_what_is_no_http_is_refused() {
    let server = NameServer::answering(&["127.0.0.2"]);
    let (port, socket) = free_port();
    let _one = program(socket, "one");
    let waypoint = Waypoint::start(&server, &[&format!("api:{port}/http")]);
    waypoint.eventually("the port is open", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    let mut client = KeepAlive::connect(port);
    let (head, _) = client
        .send("Connection: Upgrade\r\nUpgrade: echo\r\n")
        .unwrap()
        .unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client.0.get_mut().write_all(b"\x00\xffraw").unwrap();
    let mut echoed = [0; 5];
    client.0.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"\x00\xffraw");

    // The beginning of a TLS handshake.
    let mut client = KeepAlive::connect(port);
    client
        .0
        .get_mut()
        .write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = client.0.read_to_end(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}
