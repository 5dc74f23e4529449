//! Connections to an instance that goes down are reset; those to an instance that was withdrawn or removed live on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sidecar::balance::service::LastChoice;
use sidecar::balance::{CheckConfig, CheckOutcome, LearnedServer, Method, Server, ServerGroup};
use sidecar::fault::Fault;
use sidecar::proxy::Limits;
use sidecar::proxy::connect::{OnFailure, connect};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::support::{
    backends, config, eventually, expect_reset, instance, lb, loopback, open, prove, read_line, silent,
    within,
};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn learned(servers: &[(&str, SocketAddr)]) -> Vec<(String, SocketAddr, u32)> {
    servers
        .iter()
        .map(|(name, address)| ((*name).to_owned(), *address, 10))
        .collect()
}

fn server(group: &ServerGroup, name: &str) -> Arc<Server> {
    let found = group.checked().into_iter().find(|server| server.name() == name);
    found.expect("the server")
}

/// The node of `s0` is down, that of `s1` is up.
fn supersede(group: &ServerGroup, gone: SocketAddr, stays: SocketAddr) {
    let server = |name: &str, address, last_choice| LearnedServer {
        name: name.to_owned(),
        address,
        weight: 10,
        last_choice,
        at_node: true,
    };
    let list = [
        server("s1", stays, None),
        server("s0", gone, Some(LastChoice::NodeDown)),
    ];
    group.follow_mesh(list.into_iter(), |_| false);
}

async fn expect_echo(stream: &mut TcpStream) {
    stream.write_all(b"still\n").await.unwrap();
    assert_eq!(read_line(stream).await, "still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_relays_of_a_server_that_goes_down_are_reset_on_both_sides() {
    let victim = TcpListener::bind(loopback()).await.unwrap();
    let (gone, stays) = (victim.local_addr().unwrap(), instance("stays").await);
    let (groups, group) = backends("g", &[(gone, 10), (stays, 10)]);
    let lb = lb(groups, Limits::default());
    let mut through = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    let (mut at_instance, _) = within("connection", victim.accept()).await.unwrap();
    let (mut other, name) = open(&lb).await;
    assert_eq!(name, "stays");
    supersede(&group, gone, stays);
    expect_reset(&mut through).await;
    expect_reset(&mut at_instance).await;
    expect_echo(&mut other).await;
    eventually(|| (lb.listener().active() != 1).then(|| "the ended relay is still active".to_owned())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relays_of_a_server_that_was_withdrawn_or_changed_live_on() {
    let (one, two) = (instance("one").await, instance("two").await);
    let (groups, group) = backends("g", &[(one, 10), (two, 10)]);
    let lb = lb(groups, Limits::default());
    let (mut first, name) = open(&lb).await;
    assert_eq!(name, "one");
    group.set_learned(vec![("s0".to_owned(), one, 0), ("s1".to_owned(), two, 10)]);
    expect_echo(&mut first).await;
    group.set_learned(learned(&[("s1", two)]));
    expect_echo(&mut first).await;
    group.set_learned(Vec::new());
    expect_echo(&mut first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_without_an_answer_end_the_relays_and_refused_ones_do_not() {
    let (groups, group) = backends("g", &[(instance("a").await, 10)]);
    let lb = lb(groups, Limits::default());
    let (mut stream, _) = open(&lb).await;
    let server = server(&group, "s0");
    for _ in 0..config().down {
        group.report(&server, CheckOutcome::Refused);
    }
    assert!(!group.servers()[0].up);
    expect_echo(&mut stream).await;
    for _ in 0..config().up {
        group.report(&server, CheckOutcome::Passed);
    }
    for _ in 1..config().down {
        group.report(&server, CheckOutcome::Failed);
    }
    expect_echo(&mut stream).await;
    group.report(&server, CheckOutcome::Failed);
    expect_reset(&mut stream).await;
    for _ in 0..config().up {
        group.report(&server, CheckOutcome::Passed);
    }
    let (mut again, _) = open(&lb).await;
    expect_echo(&mut again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_to_a_server_that_goes_down_moves_on_to_the_next() {
    let (_held, gone) = silent().await;
    let stays = instance("stays").await;
    let slow_timeout = CheckConfig {
        timeout: Duration::from_secs(60),
        ..config()
    };
    let group = ServerGroup::new("g", slow_timeout, Method::Wrr);
    group.set_learned(learned(&[("s0", gone), ("s1", stays)]));
    prove(&group);
    let connecting = tokio::spawn({
        let group = Arc::clone(&group);
        async move { connect(|tried| group.pick(CLIENT, tried), &[], OnFailure::TryNext).await }
    });
    eventually(|| (group.counters().active() != 1).then(|| "no connection attempt".to_owned())).await;
    supersede(&group, gone, stays);
    let connected = within("connection", connecting).await.unwrap().unwrap();
    assert_eq!(connected.address, stays);
    let connects = group.connects();
    assert_eq!(
        (connects.failed.of(Fault::Unreachable), connects.failovers),
        (1, 1)
    );
}
