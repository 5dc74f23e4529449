//! Two listeners share a limit of open files that is too low for their clients.

use std::time::Duration;

use crate::support::{Client, DEADLINE, Sidecar, echo, eventually, free_address, one_server};

/// Connections in use work on, further ones wait and are served in turn, and health checks, the status listener and new
/// servers get what they need.
#[tokio::test]
async fn a_lack_of_descriptors_costs_no_connection_and_no_check() {
    const CLIENTS: usize = 200;
    let (backend, listeners) = (echo().await, [free_address(), free_address()]);
    let dead = free_address();
    let commands = format!(
        "add server-groups x\n\
         add server-group g timeout 2000 period 50 up 1 down 3\n\
         add server-group g to server-groups x\n\
         add server s to server-group g address {backend}\n\
         add server-group other timeout 2000 period 50 up 1 down 3\n\
         add server dead to server-group other address {dead}\n\
         add tcp-lb one address {} server-groups x\n\
         add tcp-lb two address {} server-groups x\n",
        listeners[0], listeners[1]
    );
    let sidecar = Sidecar::start("ulimit -n 256 && exec", &commands, "").await;
    sidecar.logged("server is UP").await;

    let mut waiting = Vec::new();
    for number in 0..CLIENTS {
        let mut client = Client::connect(listeners[number % 2]).await.unwrap();
        client.send().await;
        waiting.push(client);
    }
    let mut served = Vec::new();
    eventually(async || {
        let mut still = Vec::new();
        for mut client in waiting.drain(..) {
            if client.receives(Duration::from_millis(1)).await.expect("no reset") {
                served.push(client);
            } else {
                still.push(client);
            }
        }
        waiting = still;
        (served.len() < 70).then(|| format!("{} clients are served", served.len()))
    })
    .await;
    sidecar
        .logged("all file descriptors for connections are in use")
        .await;

    // Checks of both groups go on: a check that failed three times would have taken the server down.
    let passed = "sidecar_server_checks_total{group=\"g\",server=\"s\",outcome=\"passed\"}";
    sidecar.grows(passed, 20).await;
    let failed = "sidecar_server_checks_total{group=\"other\",server=\"dead\",outcome=\"failed\"}";
    sidecar.grows(failed, 5).await;
    for client in &mut served {
        client.works().await;
    }
    let log = sidecar.log();
    assert!(!log.contains("DOWN") && !log.contains("reset"), "{log}");

    // Each client that ends makes room for one that waits.
    drop(served);
    for mut client in waiting {
        assert!(
            client.receives(DEADLINE).await.expect("no reset"),
            "a client still waits"
        );
    }
}

/// A limit that is lowered under the sidecar's feet, as by `prlimit`, which no budget foresees: then the system refuses
/// descriptors to health checks, too.
#[tokio::test]
async fn a_check_without_a_descriptor_says_nothing_about_the_server() {
    let (backend, listener) = (echo().await, free_address());
    let commands = one_server(listener, backend, 50);
    let sidecar = Sidecar::start("exec", &commands, "").await;
    sidecar.logged("server is UP").await;
    let mut client = Client::connect(listener).await.unwrap();
    client.works().await;
    sidecar.limit_descriptors(3);
    sidecar.logged("a health check could not be made").await;
    // The status listener cannot accept either, so the number of checks is not known. Several more are due in this time.
    for _ in 0..20 {
        client.works().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sidecar.limit_descriptors(1024);
    sidecar
        .grows(
            "sidecar_server_checks_total{group=\"g\",server=\"s\",outcome=\"passed\"}",
            5,
        )
        .await;
    client.works().await;
    let log = sidecar.log();
    assert!(!log.contains("DOWN"), "{log}");
    let not_made = "sidecar_server_checks_total{group=\"g\",server=\"s\",outcome=\"not_made\"}";
    let count = sidecar.metric(not_made).await;
    assert!(count >= 3, "only {count} checks could not be made");
}
