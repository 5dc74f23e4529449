//! The metrics page, parsed as Prometheus does.

mod http_requests;

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use prometheus_parse::{Sample, Scrape, Value};
use sidecar::control::{Controller, Offers};
use sidecar::http;
use sidecar::status::{Clients, Phase, Status};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A sidecar's control plane and status listener, without a mesh.
struct Sidecar {
    controller: Arc<Controller>,
    status: SocketAddr,
    stop: CancellationToken,
}

impl Sidecar {
    async fn start() -> Self {
        Self::start_in(Phase::Ready).await
    }

    async fn start_in(phase: Phase) -> Self {
        let controller = Arc::new(Controller::new(Offers::new(), None));
        let (_, phase) = watch::channel(phase);
        let status = Arc::new(Status::new(phase, Arc::clone(&controller), None));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let page = move |request| {
            let status = Arc::clone(&status);
            async move { status.answer(Ipv4Addr::LOCALHOST.into(), &request) }
        };
        tokio::spawn(http::serve(listener, page, stop.clone()));
        Self {
            controller,
            status: address,
            stop,
        }
    }

    async fn run(&self, command: &str) {
        let parsed = command.parse().unwrap_or_else(|e| panic!("{command}: {e}"));
        self.controller
            .execute(parsed)
            .await
            .unwrap_or_else(|e| panic!("{command}: {e}"));
    }

    fn listener(&self, name: &str) -> SocketAddr {
        let found = self
            .controller
            .listeners()
            .into_iter()
            .find(|l| l.name.name() == name);
        found.expect("a listener of this name").address
    }

    async fn ask(&self, method: &str, path: &str) -> String {
        let address = self.status;
        let request = format!("{method} {path} HTTP/1.1\r\nHost: sidecar\r\nConnection: close\r\n\r\n");
        let get = move || {
            let mut stream = TcpStream::connect_timeout(&address, std::time::Duration::from_secs(5))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        };
        let answer = tokio::task::spawn_blocking(get).await.expect("no panic");
        answer.expect("an answer")
    }

    async fn page(&self) -> String {
        let answer = self.ask("GET", "/metrics").await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
        body.to_owned()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn parse(page: &str) -> Scrape {
    Scrape::parse(page.lines().map(|line| Ok(line.to_owned())))
        .expect("the page is in the Prometheus text format")
}

/// The value of the sample that has all of these labels.
fn value(scrape: &Scrape, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |s: &&Sample| s.metric == metric && labels.iter().all(|(k, v)| s.labels.get(k) == Some(v));
    let samples: Vec<&Sample> = scrape.samples.iter().filter(fits).collect();
    assert_eq!(samples.len(), 1, "{metric} {labels:?}: {samples:?}");
    match samples[0].value {
        Value::Counter(v) | Value::Gauge(v) | Value::Untyped(v) => v,
        ref other => panic!("{metric} is {other:?}"),
    }
}

/// Answers each connection with 5 bytes after 3 bytes.
fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut asked = [0; 3];
            // A health check sends nothing.
            if stream.read_exact(&mut asked).is_ok() {
                stream.write_all(b"hello").expect("the client waits");
            }
        }
    });
    address
}

fn ask(lb: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&lb, std::time::Duration::from_secs(5))?;
    stream.write_all(b"hi!")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counters_match_the_traffic() {
    let sidecar = Sidecar::start().await;
    sidecar.run("add server-groups sgs0").await;
    sidecar
        .run("add server-group sg0 timeout 1000 period 50 up 1 down 1")
        .await;
    sidecar.run("add server-group sg0 to server-groups sgs0").await;
    sidecar
        .run(&format!(
            "add server s0 to server-group sg0 address {}",
            backend()
        ))
        .await;
    sidecar
        .run("add tcp-lb lb0 address 127.0.0.1:0 server-groups sgs0")
        .await;
    let lb = sidecar.listener("lb0");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let up = [("group", "sg0"), ("server", "s0")];
    while value(&parse(&sidecar.page().await), "sidecar_server_up", &up) < 1.0 {
        assert!(std::time::Instant::now() < deadline, "the server did not come up");
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        let answer = tokio::task::spawn_blocking(move || ask(lb))
            .await
            .expect("no panic");
        assert_eq!(answer.expect("an answer"), "hello");
    }
    sidecar.run("add security-group nobody default deny").await;
    sidecar.run("update tcp-lb lb0 security-group nobody").await;
    let denied = tokio::task::spawn_blocking(move || ask(lb))
        .await
        .expect("no panic");
    assert!(denied.is_err() || denied.is_ok_and(|answer| answer.is_empty()));

    // Sessions end shortly after their clients have seen the end.
    let of_listener = [("kind", "tcp-lb"), ("listener", "lb0")];
    let scrape = loop {
        let scrape = parse(&sidecar.page().await);
        if value(&scrape, "sidecar_listener_active_connections", &of_listener) < 1.0 {
            break scrape;
        }
        assert!(std::time::Instant::now() < deadline, "connections are still open");
        tokio::task::yield_now().await;
    };
    let with = |label, text| [of_listener[0], of_listener[1], (label, text)];
    assert_eq!(
        value(&scrape, "sidecar_listener_accepted_total", &of_listener),
        4.0
    );
    assert_eq!(
        value(
            &scrape,
            "sidecar_listener_refused_total",
            &with("reason", "denied")
        ),
        1.0
    );
    assert_eq!(
        value(
            &scrape,
            "sidecar_listener_refused_total",
            &with("reason", "refused")
        ),
        0.0
    );
    assert_eq!(
        value(
            &scrape,
            "sidecar_listener_bytes_total",
            &with("direction", "to_instance")
        ),
        9.0
    );
    assert_eq!(
        value(
            &scrape,
            "sidecar_listener_bytes_total",
            &with("direction", "to_client")
        ),
        15.0
    );
    assert_eq!(value(&scrape, "sidecar_server_connects_total", &up), 3.0);
    assert_eq!(
        value(&scrape, "sidecar_group_connects_total", &[("group", "sg0")]),
        3.0
    );
    let times = scrape
        .samples
        .iter()
        .find(|s| s.metric == "sidecar_group_connect_duration_seconds");
    let Value::Histogram(buckets) = &times.expect("a histogram").value else {
        panic!("{times:?}")
    };
    assert!(
        buckets.windows(2).all(|w| w[0].count <= w[1].count),
        "{buckets:?}"
    );
    let last = buckets.last().expect("buckets");
    assert_eq!((last.less_than, last.count), (f64::INFINITY, 3.0));
    assert!(value(&scrape, "process_resident_memory_bytes", &[]) > 0.0);
    assert!(value(&scrape, "process_open_fds", &[]) > 0.0);
}

#[tokio::test]
async fn names_keep_the_conventions_and_every_sample_belongs_to_a_described_metric() {
    let sidecar = Sidecar::start().await;
    sidecar.run("add server-groups sgs0").await;
    sidecar
        .run("add server-group \"odd\\name\" timeout 1000 period 1000 up 1 down 1")
        .await;
    sidecar
        .run("add socks5-server s5 address 127.0.0.1:0 server-groups sgs0")
        .await;
    let page = sidecar.page().await;
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut described = HashSet::new();
    for line in page.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "TYPE", name, kind] => assert!(kinds.insert(name, kind).is_none(), "{name} twice"),
            ["#", "HELP", name, help] => assert!(!help.is_empty() && described.insert(*name), "{line}"),
            _ => {
                let name = line.split(['{', ' ']).next().expect("a name");
                let of_histogram = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|s| name.strip_suffix(s));
                let base = of_histogram
                    .filter(|b| kinds.get(b) == Some(&"histogram"))
                    .unwrap_or(name);
                assert!(kinds.contains_key(base), "{line}");
            }
        }
    }
    for (name, kind) in &kinds {
        assert!(described.contains(name), "{name} has no HELP");
        assert_eq!(*kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        assert!(!name.contains("milli"), "{name} is not in base units");
    }
    parse(&page);
    let escaped = r#"sidecar_group_connects_total{group="\"odd\\name\""} 0"#;
    assert!(
        page.lines().any(|line| line == escaped),
        "{escaped} is missing in\n{page}"
    );
}

/// The names that Prometheus' own client libraries use.
#[tokio::test]
async fn the_standard_metrics_of_the_process_have_their_standard_names() {
    let since_epoch = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("after 1970").as_secs_f64()
    };
    let sidecar = Sidecar::start().await;
    let page = sidecar.page().await;
    let scrape = parse(&page);
    let metric = |name: &str| value(&scrape, name, &[]);
    let (start, now) = (metric("process_start_time_seconds"), since_epoch());
    // The time of the boot is in whole seconds.
    assert!(
        start <= now + 2.0 && start > now - 3600.0,
        "started at {start}, it is {now}"
    );
    let again = parse(&sidecar.page().await);
    assert_eq!(
        value(&again, "process_start_time_seconds", &[]),
        start,
        "it stays"
    );
    let (open, most) = (metric("process_open_fds"), metric("process_max_fds"));
    assert!(open >= 3.0 && open < most, "{open} of {most}");
    let (resident, all) = (
        metric("process_resident_memory_bytes"),
        metric("process_virtual_memory_bytes"),
    );
    assert!(resident > 1e6 && resident < all, "{resident} of {all}");
    assert!(all < metric("process_virtual_memory_max_bytes"));
    assert!(metric("process_cpu_seconds_total") >= 0.0);
    assert!(page.contains("# TYPE process_start_time_seconds gauge\n"));
    assert!(page.contains("# TYPE process_cpu_seconds_total counter\n"));
}

/// RFC 9110, section 15.5.6.
#[tokio::test]
async fn other_methods_are_refused_with_those_that_are_allowed() {
    let sidecar = Sidecar::start().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = sidecar.ask(method, "/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"), "{answer}");
    }
    let head = sidecar.ask("HEAD", "/metrics").await;
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn an_answer_that_it_is_not_ready_says_when_to_ask_again() {
    let sidecar = Sidecar::start_in(Phase::Draining).await;
    let answer = sidecar.ask("GET", "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
}

#[test]
fn with_networks_only_their_clients_and_loopback_see_the_pages() {
    let controller = Arc::new(Controller::new(Offers::new(), None));
    let (_, phase) = watch::channel(Phase::Ready);
    let networks = vec!["192.0.2.0/24".parse().expect("a network")];
    let open = Status::new(phase.clone(), Arc::clone(&controller), None);
    let status = Status::new(phase, controller, None).for_clients(Clients::of(networks));
    let answered = |status: &Status, client: &str, path: &str| {
        let client: IpAddr = client.parse().expect("an address");
        let request = hyper::Request::get(path).body(()).expect("a request");
        status.answer(client, &request).status().as_u16()
    };
    for path in ["/healthz", "/readyz", "/mesh", "/metrics", "/nope"] {
        assert_eq!(answered(&status, "198.51.100.1", path), 403, "{path}");
        assert_eq!(answered(&status, "::ffff:198.51.100.1", path), 403, "{path}");
        for client in ["192.0.2.9", "::ffff:192.0.2.9", "127.0.0.1"] {
            let expected = answered(&open, "198.51.100.1", path);
            assert_eq!(answered(&status, client, path), expected, "{path} by {client}");
        }
    }
}
