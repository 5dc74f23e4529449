//! The control plane while the sidecar drains: resources stay and can be removed, and none can be added.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sidecar::balance::service::Instances;
use sidecar::control::{Controller, Offers, autosave};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const DEADLINE: Duration = Duration::from_secs(10);

async fn run(controller: &Controller, line: &str) -> Result<(), String> {
    let command = line.parse().expect("a command");
    let outcome = tokio::time::timeout(DEADLINE, controller.execute(command)).await;
    outcome
        .expect("an outcome")
        .map(drop)
        .map_err(|error| error.to_string())
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// An instance that reads and discards.
async fn instance() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await });
        }
    });
    address
}

#[tokio::test]
async fn resources_can_be_removed_but_not_added_while_draining() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("saved.conf");
    let offers = Offers::new();
    let offered = offers.subscribe();
    let (_mesh, instances) = watch::channel(Arc::new(Instances::default()));
    let controller = Controller::new(offers, Some(instances));
    let controller = Arc::new(controller.saving_to(file.clone()).await);

    let at = instance().await;
    let port = at.port();
    for line in [
        "add server-groups s",
        "add server-group g timeout 500 period 10 up 1 down 3",
        "add server-group g to server-groups s weight 10",
        &format!("add server i to server-group g address {at} weight 10"),
        "add tcp-lb lb address 127.0.0.1:0 server-groups s",
        &format!("add smart-node-delegate d service x zone z nic lo port {port}"),
    ] {
        assert_eq!(run(&controller, line).await, Ok(()), "{line}");
    }
    eventually("the server", || controller.groups()[0].servers[0].up).await;
    eventually("the offer", || offered.borrow().len() == 1).await;
    let listener = controller.listeners()[0].address;
    let client = TcpStream::connect(listener).await.expect("it accepts");
    eventually("the connection", || controller.listeners()[0].totals.active == 1).await;

    let draining = {
        let controller = Arc::clone(&controller);
        tokio::spawn(async move { controller.drain(DEADLINE * 2).await })
    };
    let is_free = || std::net::TcpListener::bind(listener).is_ok();
    eventually("the end of accepting", is_free).await;
    let totals = controller.listeners()[0].totals;
    assert_eq!(
        (totals.active, controller.groups().len()),
        (1, 1),
        "all are listed"
    );
    let stopping = Err("the sidecar is stopping: nothing is added any more".to_owned());
    assert_eq!(run(&controller, "add server-groups late").await, stopping);
    assert_eq!(run(&controller, "remove smart-node-delegate d").await, Ok(()));
    assert!(offered.borrow().is_empty(), "not withdrawn at once");

    drop(client);
    let drained = tokio::time::timeout(DEADLINE, draining).await;
    assert_eq!(drained.expect("the end").expect("no panic"), 0);
    let saved = autosave::load(&file).expect("whole").expect("there");
    let saved: Vec<String> = saved.lines.iter().map(|l| l.command.to_string()).collect();
    assert_eq!(saved.len(), 5, "all but the registration: {saved:?}");
}

#[tokio::test]
async fn listeners_removed_together_are_all_drained() {
    let controller = Controller::new(Offers::new(), None);
    let at = instance().await;
    for line in [
        "add server-groups s",
        "add server-group g timeout 500 period 10 up 1 down 3",
        "add server-group g to server-groups s weight 10",
        &format!("add server i to server-group g address {at} weight 10"),
        "add tcp-lb first address 127.0.0.1:0 server-groups s",
        "add tcp-lb second address 127.0.0.1:0 server-groups s",
    ] {
        assert_eq!(run(&controller, line).await, Ok(()), "{line}");
    }
    eventually("the server", || controller.groups()[0].servers[0].up).await;
    let first = controller.listeners()[0].address;
    // On one thread, nothing is accepted until this task yields: the connection is in the backlog when the listener
    // is removed.
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    client.connect(&first.into()).expect("it accepts");
    assert_eq!(run(&controller, "remove server-groups s cascade").await, Ok(()));
    let cut = tokio::time::timeout(DEADLINE, controller.drain(Duration::from_millis(50))).await;
    assert_eq!(cut.expect("the end"), 1, "the connection was not waited for");
    drop(client);
}
