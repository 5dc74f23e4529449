//! A caller that is gone before its command is done, as hyper then drops the command: it is done whole all the same.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::support::Door;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_removal_that_nobody_waits_for_frees_every_address() {
    let door = Door::open().await;
    door.run("add server-groups s").await;
    for name in ["a", "b", "c", "d", "e"] {
        let add = format!("add tcp-lb {name} address 127.0.0.1:0 server-groups s");
        door.run(&add).await;
    }
    let listeners = door.controller.listeners();
    let removal = "force-remove server-groups s".parse().expect("a command");
    // Begun, and dropped at the first thing that it waits for.
    tokio::select! {
        biased;
        outcome = door.controller.execute(removal) => assert!(outcome.is_ok()),
        () = std::future::ready(()) => {}
    }
    assert!(door.controller.listeners().is_empty());
    let deadline = Instant::now() + PATIENCE;
    for listener in listeners {
        while TcpStream::connect(listener.address).await.is_ok() {
            assert!(Instant::now() < deadline, "{} accepts", listener.address);
            tokio::task::yield_now().await;
        }
    }
}
