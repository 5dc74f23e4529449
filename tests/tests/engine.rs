//! The Docker engine's operations on single containers. A container's peer is the host, which has an address on every
//! bridge network.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt;
use harness::cluster::checkout::Checkout;
use harness::cluster::cleanup;
use harness::cluster::image;
use harness::compose::Service;
use harness::console::Progress;
use harness::engine::{Action, ContainerSpec, Engine, Image, NetworkCut, label};
use harness::wait;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(15);
const PERIOD: Duration = Duration::from_millis(20);
const GRACE: Duration = Duration::from_secs(5);
/// The variable that passes the container's id to the process that starts it and is killed.
const HELD: &str = "ENGINE_TEST_HELD";

/// A container on its own network. It waits for SIGTERM or the end of its standard input.
struct Fixture {
    docker: Engine,
    netcut: Image,
    run: String,
    id: String,
    gateway: IpAddr,
}

impl Fixture {
    /// Creates the container; `None` without Docker.
    async fn create() -> Option<Self> {
        let docker = tests::docker().await.unwrap()?;
        let checkout = Checkout::find().unwrap();
        let netcut = image::ensure(
            &docker,
            &checkout,
            image::Kind::Netcut,
            image::NETCUT_IMAGE,
            &Progress::silent(),
        )
        .await
        .unwrap()
        .image;
        let run = format!("engine-{:016x}", rand::random::<u64>());
        let labels = BTreeMap::from([(label::RUN.to_owned(), run.clone())]);
        let network = docker.create_network(&run, &labels).await.unwrap();
        let spec = ContainerSpec {
            service: service(&run, &netcut),
            network,
            labels,
            lifeline: true,
        };
        let id = docker.create(spec).await.unwrap();
        Some(Self {
            docker,
            netcut,
            run,
            id,
            gateway: IpAddr::from([0, 0, 0, 0]),
        })
    }

    /// Creates and starts the container.
    async fn start() -> Option<Self> {
        let mut fixture = Self::create().await?;
        fixture.docker.start(&fixture.id, &fixture.run).await.unwrap();
        fixture.until_ready().await;
        let IpAddr::V4(address) = fixture.address().await else {
            panic!("an IPv4 network");
        };
        // The host has the first address of each network.
        let [a, b, c, _] = address.octets();
        fixture.gateway = IpAddr::from([a, b, c, 1]);
        Some(fixture)
    }

    async fn until_ready(&self) {
        let ready = async || {
            let lines = self.docker.last_lines(&self.id, 10).await;
            if lines.iter().any(|line| line == "ready") {
                Ok(())
            } else {
                Err(lines)
            }
        };
        wait::until(LIMIT, PERIOD, ready, |_| {}).await.unwrap();
    }

    async fn until_state(&self, expected: &str) {
        let reached = async || {
            let container = self.docker.container(&self.id).await.unwrap();
            if container.state == expected {
                Ok(())
            } else {
                Err(vec![container.status])
            }
        };
        wait::until(LIMIT, PERIOD, reached, |_| {}).await.unwrap();
    }

    async fn state(&self) -> String {
        self.docker.container(&self.id).await.unwrap().state
    }

    async fn address(&self) -> IpAddr {
        let container = self.docker.container(&self.id).await.unwrap();
        container.address.expect("a running container has an address")
    }

    fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(label::RUN.to_owned(), self.run.clone())])
    }

    async fn cut_network(&self, cut: &NetworkCut) -> String {
        let labels = self.labels();
        let result = self.docker.cut_network(&self.netcut, &self.id, cut, &labels);
        result.await.unwrap()
    }

    /// Whether the container refuses a connection to a closed port within `limit`, which needs a packet from it.
    async fn answers(&self, limit: Duration) -> bool {
        let port = SocketAddr::new(self.address().await, 9);
        match tokio::time::timeout(limit, TcpStream::connect(port)).await {
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => true,
            Err(_) => false,
            other => panic!("{other:?}"),
        }
    }

    async fn end(self) {
        cleanup::remove_labelled(&self.docker, label::RUN, &self.run)
            .await
            .unwrap();
    }
}

/// A container that blocks no address and therefore needs no capability.
fn service(name: &str, image: &Image) -> Service {
    Service {
        name: name.to_owned(),
        container_name: name.to_owned(),
        image: image.id.clone(),
        command: vec!["block".to_owned()],
        stop_grace_period: GRACE,
        read_only: true,
        cap_drop: vec!["ALL".to_owned()],
        ..Service::default()
    }
}

#[tokio::test]
async fn kill_returns_after_the_container_has_exited_and_can_be_repeated() {
    let Some(fixture) = Fixture::start().await else {
        return;
    };
    fixture.docker.kill(&fixture.id).await.unwrap();
    let killed = fixture.docker.container(&fixture.id).await.unwrap();
    assert_eq!(killed.state, "exited");
    assert!(killed.status.contains("(137)"), "{}", killed.status);
    fixture.docker.kill(&fixture.id).await.unwrap();
    fixture.docker.remove(&fixture.id).await.unwrap();
    assert!(fixture.docker.kill(&fixture.id).await.is_err(), "it is gone");
    fixture.end().await;
}

#[tokio::test]
async fn a_paused_container_can_be_resumed_stopped_killed_and_removed() {
    let Some(fixture) = Fixture::start().await else {
        return;
    };
    for _ in 0..2 {
        fixture.docker.pause(&fixture.id).await.unwrap();
        assert_eq!(fixture.state().await, "paused");
    }
    for _ in 0..2 {
        fixture.docker.unpause(&fixture.id).await.unwrap();
        assert_eq!(fixture.state().await, "running");
    }
    fixture.docker.pause(&fixture.id).await.unwrap();
    let code = fixture.docker.stop(&fixture.id, GRACE).await.unwrap();
    assert_eq!(code, 0, "it was stopped gracefully");

    fixture.docker.start(&fixture.id, &fixture.run).await.unwrap();
    fixture.docker.pause(&fixture.id).await.unwrap();
    fixture.docker.kill(&fixture.id).await.unwrap();
    assert_eq!(fixture.state().await, "exited");
    assert!(
        fixture.docker.pause(&fixture.id).await.is_err(),
        "it is not running"
    );

    fixture.docker.start(&fixture.id, &fixture.run).await.unwrap();
    fixture.docker.pause(&fixture.id).await.unwrap();
    fixture.docker.remove(&fixture.id).await.unwrap();
    assert!(fixture.docker.container(&fixture.id).await.is_err(), "it is gone");
    fixture.end().await;
}

#[tokio::test]
async fn a_container_ends_with_the_connection_that_last_started_it() {
    let Some(fixture) = Fixture::start().await else {
        return;
    };
    assert_eq!(fixture.docker.stop(&fixture.id, GRACE).await.unwrap(), 0);
    assert_eq!(fixture.docker.container(&fixture.id).await.unwrap().address, None);

    // The lifeline now belongs to another connection to the engine.
    let other = tests::docker().await.unwrap().expect("it is there");
    other.start(&fixture.id, &fixture.run).await.unwrap();
    fixture.until_ready().await;
    assert_eq!(fixture.state().await, "running");
    drop(other);
    fixture.until_state("exited").await;
    let ended = fixture.docker.container(&fixture.id).await.unwrap();
    assert!(
        ended.status.contains("(0)"),
        "it exited gracefully: {}",
        ended.status
    );
    fixture.end().await;
}

#[tokio::test]
async fn a_container_ends_with_the_process_that_started_it() {
    let Some(fixture) = Fixture::create().await else {
        return;
    };
    let mut holder = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "process_that_starts_a_container",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(HELD, &fixture.id)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    while lines.next_line().await.unwrap().expect("it ended") != "holding" {}
    fixture.until_ready().await;
    assert_eq!(fixture.state().await, "running");

    // SIGKILL.
    holder.kill().await.unwrap();
    let killed = Instant::now();
    fixture.until_state("exited").await;
    println!("ended {:?} after the process", killed.elapsed());
    let ended = fixture.docker.container(&fixture.id).await.unwrap();
    assert!(
        ended.status.contains("(0)"),
        "it exited gracefully: {}",
        ended.status
    );
    fixture.end().await;
}

#[tokio::test]
#[ignore = "started and killed by another test"]
async fn process_that_starts_a_container() {
    let Ok(id) = std::env::var(HELD) else { return };
    let docker = tests::docker().await.unwrap().expect("it is there");
    docker.start(&id, "held").await.unwrap();
    println!("\nholding");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_cut_and_its_healing_are_active_when_their_calls_return() {
    let Some(fixture) = Fixture::start().await else {
        return;
    };
    let quick = Duration::from_millis(500);
    assert!(fixture.answers(LIMIT).await);
    for _ in 0..2 {
        let started_at = Instant::now();
        let helper = fixture
            .cut_network(&NetworkCut::Block(vec![fixture.gateway]))
            .await;
        println!("cut after {:?}", started_at.elapsed());
        assert!(!fixture.answers(quick).await);
        let started_at = Instant::now();
        fixture.docker.heal_network(&helper).await.unwrap();
        println!("healed after {:?}", started_at.elapsed());
        assert!(fixture.answers(LIMIT).await);
        assert!(fixture.docker.container(&helper).await.is_err(), "it is gone");
    }
    fixture.end().await;
}

#[tokio::test]
async fn packets_are_lost_in_bursts() {
    let Some(fixture) = Fixture::start().await else {
        return;
    };
    let action = NetworkCut::Lose {
        percent: 50,
        addresses: vec![fixture.gateway],
    };
    let helper = fixture.cut_network(&action).await;
    // Without loss a response takes less than a millisecond; after a loss, TCP retransmits a second later.
    for expected in [true, false, true, false] {
        let seen = async || match fixture.answers(Duration::from_millis(50)).await {
            answer if answer == expected => Ok(()),
            answer => Err(vec![format!("answered: {answer}")]),
        };
        wait::until(LIMIT, Duration::from_millis(3), seen, |_| {})
            .await
            .unwrap();
    }
    fixture.docker.heal_network(&helper).await.unwrap();
    assert!(fixture.answers(LIMIT).await);
    fixture.end().await;
}

#[tokio::test]
async fn a_cut_that_fails_names_the_address_and_leaves_no_helper() {
    let Some(fixture) = Fixture::start().await else {
        return;
    };
    let elsewhere = NetworkCut::Block(vec!["203.0.113.1".parse().unwrap()]);
    let result = fixture
        .docker
        .cut_network(&fixture.netcut, &fixture.id, &elsewhere, &fixture.labels())
        .await;
    let error = result.unwrap_err().to_string();
    assert!(error.contains("203.0.113.1 is not another machine"), "{error}");
    fixture.docker.stop(&fixture.id, GRACE).await.unwrap();
    let result = fixture
        .docker
        .cut_network(
            &fixture.netcut,
            &fixture.id,
            &NetworkCut::Block(Vec::new()),
            &fixture.labels(),
        )
        .await;
    result.unwrap_err();
    let left = fixture
        .docker
        .containers(&format!("{}={}", label::RUN, fixture.run))
        .await
        .unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    fixture.end().await;
}

#[tokio::test]
async fn the_engine_reports_the_events_of_a_run() {
    let before = SystemTime::now();
    let Some(fixture) = Fixture::create().await else {
        return;
    };
    let Some(other) = Fixture::start().await else {
        return;
    };
    // The stream has the events since this call, not since its first poll.
    let events = fixture.docker.events(&fixture.run);
    fixture.docker.start(&fixture.id, &fixture.run).await.unwrap();
    fixture.until_ready().await;
    fixture.docker.pause(&fixture.id).await.unwrap();
    fixture.docker.kill(&fixture.id).await.unwrap();
    fixture.docker.remove(&fixture.id).await.unwrap();
    let mut actions = Vec::new();
    let mut events = std::pin::pin!(events);
    let read = async {
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            assert!(event.at > before, "{event:?}");
            assert_eq!((&event.id, &event.name), (&fixture.id, &fixture.run));
            actions.push(event.action.to_string());
            if event.action == Action::Destroy {
                break;
            }
        }
    };
    tokio::time::timeout(LIMIT, read).await.unwrap();
    for expected in ["start", "pause", "kill (signal 9)", "die (exit code 137)"] {
        assert!(
            actions.iter().any(|text| text == expected),
            "{expected} in {actions:?}"
        );
    }
    fixture.end().await;
    other.end().await;
}
