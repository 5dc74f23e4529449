//! Health checks over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sidecar::balance::{CheckConfig, Method, ServerGroup, Tried};
use sidecar::fault::Fault;
use sidecar::health;
use sidecar::own_listeners::{OwnListener, OwnListeners};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::support::{config, eventually, loopback, refusing, silent, within};

const RARELY: Duration = Duration::from_secs(3600);

fn checked(config: CheckConfig) -> (Arc<ServerGroup>, DropGuard) {
    let group = ServerGroup::new("g", config, Method::Wrr);
    let stop = CancellationToken::new();
    health::spawn(Arc::clone(&group), OwnListeners::default(), stop.clone());
    (group, stop.drop_guard())
}

async fn becomes(group: &ServerGroup, name: &str, up: bool) {
    eventually(|| {
        let server = group.servers().into_iter().find(|s| s.name == name);
        (server.as_ref().map(|s| s.up) != Some(up)).then(|| format!("{name} up {up}, but {server:?}"))
    })
    .await;
}

/// A server that counts connections.
async fn counting() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (address, count)
}

async fn reaches(count: &AtomicU64, least: u64) {
    eventually(|| {
        let now = count.load(Ordering::Relaxed);
        (now < least).then(|| format!("{now} checks, expected {least}"))
    })
    .await;
}

#[tokio::test]
async fn a_server_goes_up_down_and_up_with_its_listener() {
    let (group, _stop) = checked(config());
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    group.add("s", address, 10).unwrap();
    becomes(&group, "s", true).await;
    drop(listener);
    becomes(&group, "s", false).await;
    let _listener = sidecar::proxy::listener::bind(address).unwrap();
    becomes(&group, "s", true).await;
}

#[tokio::test]
async fn the_first_check_runs_at_once_and_decides() {
    let rarely = CheckConfig {
        period: RARELY,
        ..config()
    };
    let (group, _stop) = checked(rarely);
    let (address, _) = counting().await;
    group.add("s", address, 10).unwrap();
    becomes(&group, "s", true).await;
}

#[tokio::test]
async fn a_server_without_an_answer_goes_down() {
    let (_held, address) = silent().await;
    let (group, _stop) = checked(config());
    group.set_learned(vec![("s".to_owned(), address, 10)]);
    becomes(&group, "s", false).await;
}

#[tokio::test]
async fn a_failed_connection_triggers_a_check() {
    let rarely = CheckConfig {
        period: RARELY,
        down: 1,
        ..config()
    };
    let (group, _stop) = checked(rarely);
    let listener = TcpListener::bind(loopback()).await.unwrap();
    group.add("s", listener.local_addr().unwrap(), 10).unwrap();
    becomes(&group, "s", true).await;
    drop(listener);
    group
        .pick([127, 0, 0, 1].into(), &Tried::new(Instant::now()))
        .unwrap()
        .failed(Fault::Peer)
        .eject();
    becomes(&group, "s", false).await;
}

/// The instances that are silent hold their checks for an hour.
#[tokio::test]
async fn a_new_server_is_checked_however_many_others_do_not_answer() {
    let (_held, silent) = silent().await;
    let slow = CheckConfig {
        timeout: RARELY,
        period: RARELY,
        ..config()
    };
    let (group, _stop) = checked(slow);
    for index in 0..100 {
        group.add(&format!("silent-{index}"), silent, 10).unwrap();
    }
    let (address, _) = counting().await;
    group.add("new", address, 10).unwrap();
    becomes(&group, "new", true).await;
}

#[tokio::test]
async fn servers_that_do_not_answer_delay_no_check_of_one_that_is_up() {
    let (_held, silent) = silent().await;
    let (group, _stop) = checked(config());
    let (address, count) = counting().await;
    group.add("up", address, 10).unwrap();
    becomes(&group, "up", true).await;
    for index in 0..100 {
        group.add(&format!("silent-{index}"), silent, 10).unwrap();
    }
    eventually(|| {
        let servers = group.servers();
        let left = servers
            .iter()
            .filter(|s| s.name != "up" && s.checks.failed < 2)
            .count();
        (left > 0).then(|| format!("{left} servers have not failed two checks"))
    })
    .await;
    let slow = CheckConfig {
        timeout: RARELY,
        ..config()
    };
    group.set_check_config(slow);
    let before = count.load(Ordering::Relaxed);
    reaches(&count, before + 50).await;
}

#[tokio::test]
async fn a_new_server_whose_first_check_failed_is_checked_again_soon() {
    let rarely = CheckConfig {
        period: RARELY,
        up: 5,
        ..config()
    };
    let (group, _stop) = checked(rarely);
    let (held, address) = refusing();
    group.add("s", address, 10).unwrap();
    eventually(|| (group.servers()[0].checks.failed == 0).then(|| "no check was made".to_owned())).await;
    held.listen(10).unwrap();
    becomes(&group, "s", true).await;
}

#[tokio::test]
async fn checks_triggered_by_failed_connections_are_rate_limited() {
    let (address, count) = counting().await;
    let rarely = CheckConfig {
        period: RARELY,
        ..config()
    };
    let (group, _stop) = checked(rarely);
    group.set_learned(vec![("s".to_owned(), address, 10)]);
    reaches(&count, 1).await;
    let started = tokio::time::Instant::now();
    while started.elapsed() < Duration::from_millis(500) {
        group
            .pick([127, 0, 0, 1].into(), &Tried::new(Instant::now()))
            .unwrap()
            .failed(Fault::Peer)
            .eject();
        tokio::task::yield_now().await;
    }
    let checks = count.load(Ordering::Relaxed);
    assert!((2..=20).contains(&checks), "{checks} checks in half a second");
}

#[tokio::test]
async fn a_new_configuration_applies_to_checks_already_scheduled() {
    let (address, count) = counting().await;
    let rarely = CheckConfig {
        period: RARELY,
        ..config()
    };
    let (group, _stop) = checked(rarely);
    group.add("s", address, 10).unwrap();
    reaches(&count, 1).await;
    group.set_check_config(config());
    reaches(&count, 5).await;
}

#[tokio::test]
async fn a_removed_server_is_not_checked_any_more() {
    let (gone, gone_count) = counting().await;
    let (stays, stays_count) = counting().await;
    let (group, _stop) = checked(config());
    group.add("gone", gone, 10).unwrap();
    group.add("stays", stays, 10).unwrap();
    reaches(&gone_count, 2).await;
    group.remove("gone").unwrap();
    // One check may have been in flight.
    let most = gone_count.load(Ordering::Relaxed) + 1;
    reaches(&stays_count, stays_count.load(Ordering::Relaxed) + 10).await;
    let checks = gone_count.load(Ordering::Relaxed);
    assert!(checks <= most, "{checks} checks, at most {most} expected");
}

#[tokio::test]
async fn checks_end_when_they_are_stopped() {
    let (address, count) = counting().await;
    let group = ServerGroup::new("g", config(), Method::Wrr);
    group.add("s", address, 10).unwrap();
    let stop = CancellationToken::new();
    let running = health::spawn(Arc::clone(&group), OwnListeners::default(), stop.clone());
    reaches(&count, 1).await;
    stop.cancel();
    within("end of the checks", running).await.unwrap();
}

/// The address became a listener's after the server was added, for instance because an interface got it.
#[tokio::test]
async fn a_server_that_leads_to_a_proxy_of_this_sidecar_goes_down_without_connections() {
    let (address, count) = counting().await;
    let (group, own) = (
        ServerGroup::new("g", config(), Method::Wrr),
        OwnListeners::default(),
    );
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    health::spawn(Arc::clone(&group), own.clone(), stop);
    group.add("s", address, 10).unwrap();
    becomes(&group, "s", true).await;
    own.add(OwnListener {
        name: "tcp-lb lb".to_owned(),
        address,
        is_proxy: true,
    });
    becomes(&group, "s", false).await;
    let (checked, connected) = (group.servers()[0].checks.failed, count.load(Ordering::Relaxed));
    eventually(|| {
        let failed = group.servers()[0].checks.failed;
        (failed < checked + 5).then(|| format!("{failed} failed checks"))
    })
    .await;
    assert_eq!(count.load(Ordering::Relaxed), connected, "checks came back");
}
