//! What the harness asks of the engine, tried on single containers. Where a container needs a neighbour, this machine
//! is it: it has an address on every bridge network.

#![allow(
    clippy::unwrap_used,
    reason = "the fixture is part of every test here, and fails it as an assertion does"
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
/// Tells the part of this program that is killed what to start.
const HELD: &str = "ENGINE_TEST_HELD";

/// One container on a network of its own. It does nothing but wait for the end of its input, or for SIGTERM.
struct Lone {
    docker: Engine,
    netcut: Image,
    run: String,
    id: String,
    gateway: IpAddr,
}

impl Lone {
    /// Nothing where there is no Docker.
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

    /// The same, and it runs.
    async fn start() -> Option<Self> {
        let mut lone = Self::create().await?;
        lone.docker.start(&lone.id, &lone.run).await.unwrap();
        lone.until_ready().await;
        let IpAddr::V4(address) = lone.address().await else {
            panic!("an IPv4 network");
        };
        // The engine takes a network's first address for this machine.
        let [a, b, c, _] = address.octets();
        lone.gateway = IpAddr::from([a, b, c, 1]);
        Some(lone)
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

    async fn cut_network(&self, action: &NetworkCut) -> String {
        let labels = self.labels();
        let result = self.docker.cut_network(&self.netcut, &self.id, action, &labels);
        result.await.unwrap()
    }

    /// Whether a packet from the container comes back within `limit`: it refuses a connection to a closed port.
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

/// A container that blocks nothing, and so needs no capability.
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
async fn a_killed_container_has_ended_at_once_and_killing_it_again_is_no_error() {
    let Some(lone) = Lone::start().await else { return };
    lone.docker.kill(&lone.id).await.unwrap();
    let killed = lone.docker.container(&lone.id).await.unwrap();
    assert_eq!(killed.state, "exited");
    assert!(killed.status.contains("(137)"), "{}", killed.status);
    lone.docker.kill(&lone.id).await.unwrap();
    lone.docker.remove(&lone.id).await.unwrap();
    assert!(lone.docker.kill(&lone.id).await.is_err(), "it is gone");
    lone.end().await;
}

#[tokio::test]
async fn a_paused_container_goes_on_and_can_be_stopped_killed_and_removed() {
    let Some(lone) = Lone::start().await else { return };
    for _ in 0..2 {
        lone.docker.pause(&lone.id).await.unwrap();
        assert_eq!(lone.state().await, "paused");
    }
    for _ in 0..2 {
        lone.docker.unpause(&lone.id).await.unwrap();
        assert_eq!(lone.state().await, "running");
    }
    lone.docker.pause(&lone.id).await.unwrap();
    let code = lone.docker.stop(&lone.id, GRACE).await.unwrap();
    assert_eq!(code, 0, "it got the time to end by itself");

    lone.docker.start(&lone.id, &lone.run).await.unwrap();
    lone.docker.pause(&lone.id).await.unwrap();
    lone.docker.kill(&lone.id).await.unwrap();
    assert_eq!(lone.state().await, "exited");
    assert!(lone.docker.pause(&lone.id).await.is_err(), "it does not run");

    lone.docker.start(&lone.id, &lone.run).await.unwrap();
    lone.docker.pause(&lone.id).await.unwrap();
    lone.docker.remove(&lone.id).await.unwrap();
    assert!(lone.docker.container(&lone.id).await.is_err(), "it is gone");
    lone.end().await;
}

#[tokio::test]
async fn a_lifeline_holds_over_a_restart_and_its_end_ends_the_container() {
    let Some(lone) = Lone::start().await else { return };
    assert_eq!(lone.docker.stop(&lone.id, GRACE).await.unwrap(), 0);
    assert_eq!(lone.docker.container(&lone.id).await.unwrap().address, None);

    // Another connection to the engine holds it now, and is dropped.
    let other = tests::docker().await.unwrap().expect("it is there");
    other.start(&lone.id, &lone.run).await.unwrap();
    lone.until_ready().await;
    assert_eq!(lone.state().await, "running");
    drop(other);
    lone.until_state("exited").await;
    let ended = lone.docker.container(&lone.id).await.unwrap();
    assert!(
        ended.status.contains("(0)"),
        "it ended by itself: {}",
        ended.status
    );
    lone.end().await;
}

#[tokio::test]
async fn a_container_ends_with_the_process_that_started_it() {
    let Some(lone) = Lone::create().await else { return };
    let mut holder = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["holds_what_it_is_told_to", "--exact", "--ignored", "--nocapture"])
        .env(HELD, &lone.id)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    while lines.next_line().await.unwrap().expect("it ended") != "holding" {}
    lone.until_ready().await;
    assert_eq!(lone.state().await, "running");

    // SIGKILL.
    holder.kill().await.unwrap();
    let killed = Instant::now();
    lone.until_state("exited").await;
    println!("ended {:?} after the process", killed.elapsed());
    let ended = lone.docker.container(&lone.id).await.unwrap();
    assert!(
        ended.status.contains("(0)"),
        "it ended by itself: {}",
        ended.status
    );
    lone.end().await;
}

#[tokio::test]
#[ignore = "it is the process that another test kills"]
async fn holds_what_it_is_told_to() {
    let Ok(id) = std::env::var(HELD) else { return };
    let docker = tests::docker().await.unwrap().expect("it is there");
    docker.start(&id, "held").await.unwrap();
    println!("\nholding");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_cut_is_in_force_at_once_and_mended_at_once() {
    let Some(lone) = Lone::start().await else { return };
    let quick = Duration::from_millis(500);
    assert!(lone.answers(LIMIT).await);
    for _ in 0..2 {
        let begun = Instant::now();
        let helper = lone.cut_network(&NetworkCut::Block(vec![lone.gateway])).await;
        println!("cut after {:?}", begun.elapsed());
        assert!(!lone.answers(quick).await);
        let begun = Instant::now();
        lone.docker.heal_network(&helper).await.unwrap();
        println!("mended after {:?}", begun.elapsed());
        assert!(lone.answers(LIMIT).await);
        assert!(lone.docker.container(&helper).await.is_err(), "it is gone");
    }
    lone.end().await;
}

#[tokio::test]
async fn loss_comes_and_goes() {
    let Some(lone) = Lone::start().await else { return };
    let action = NetworkCut::Lose {
        percent: 50,
        addresses: vec![lone.gateway],
    };
    let helper = lone.cut_network(&action).await;
    // An answer of an untouched container takes less than a millisecond; a lost one comes a second later.
    for expected in [true, false, true, false] {
        let seen = async || match lone.answers(Duration::from_millis(50)).await {
            answer if answer == expected => Ok(()),
            answer => Err(vec![format!("answered: {answer}")]),
        };
        wait::until(LIMIT, Duration::from_millis(3), seen, |_| {})
            .await
            .unwrap();
    }
    lone.docker.heal_network(&helper).await.unwrap();
    assert!(lone.answers(LIMIT).await);
    lone.end().await;
}

#[tokio::test]
async fn what_cannot_be_cut_is_told_and_leaves_nothing() {
    let Some(lone) = Lone::start().await else { return };
    let elsewhere = NetworkCut::Block(vec!["203.0.113.1".parse().unwrap()]);
    let result = lone
        .docker
        .cut_network(&lone.netcut, &lone.id, &elsewhere, &lone.labels())
        .await;
    let error = result.unwrap_err().to_string();
    assert!(error.contains("203.0.113.1 is not another machine"), "{error}");
    lone.docker.stop(&lone.id, GRACE).await.unwrap();
    let result = lone
        .docker
        .cut_network(
            &lone.netcut,
            &lone.id,
            &NetworkCut::Block(Vec::new()),
            &lone.labels(),
        )
        .await;
    result.unwrap_err();
    let left = lone
        .docker
        .containers(&format!("{}={}", label::RUN, lone.run))
        .await
        .unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    lone.end().await;
}

#[tokio::test]
async fn the_engine_tells_what_happened_to_a_run() {
    let before = SystemTime::now();
    let Some(lone) = Lone::create().await else { return };
    let Some(other) = Lone::start().await else { return };
    // Told of what happens after this call, not after the first read.
    let events = lone.docker.events(&lone.run);
    lone.docker.start(&lone.id, &lone.run).await.unwrap();
    lone.until_ready().await;
    lone.docker.pause(&lone.id).await.unwrap();
    lone.docker.kill(&lone.id).await.unwrap();
    lone.docker.remove(&lone.id).await.unwrap();
    let mut told = Vec::new();
    let mut events = std::pin::pin!(events);
    let read = async {
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            assert!(event.at > before, "{event:?}");
            assert_eq!((&event.id, &event.name), (&lone.id, &lone.run));
            told.push(event.action.to_string());
            if event.action == Action::Destroy {
                break;
            }
        }
    };
    tokio::time::timeout(LIMIT, read).await.unwrap();
    for expected in ["start", "pause", "kill (signal 9)", "die (exit code 137)"] {
        assert!(told.iter().any(|text| text == expected), "{expected} in {told:?}");
    }
    lone.end().await;
    other.end().await;
}
