//! Two load balancers on two machines that lead to each other: each connection would be made again until one of them is out of
//! descriptors.

use tokio::net::TcpStream;

use crate::namespace::{Neighbour, entered};
use crate::support::{Sidecar, eventually, one_server};

const HERE: &str = "10.77.0.1:7001";
const THERE: &str = "10.77.0.2:7002";

/// The limit, and what the checks of both hold.
const MOST: u64 = 256 + 32;

#[tokio::test]
async fn load_balancers_that_lead_to_each_other_are_bounded_and_named() {
    if !entered("loops::load_balancers_that_lead_to_each_other_are_bounded_and_named") {
        return;
    }
    let neighbour = Neighbour::connect();
    let commands =
        |listener: &str, server: &str| one_server(listener.parse().unwrap(), server.parse().unwrap(), 200);
    // The other one's log says that it is ready, but its status listener is out of reach.
    let there = Sidecar::start(&neighbour.launch(), &commands(THERE, HERE), "").await;
    let here = Sidecar::start("exec", &commands(HERE, THERE), "").await;
    for sidecar in [&here, &there] {
        sidecar.logged("connections may go in a circle").await;
    }
    // One client on top, however much its connection is multiplied.
    let _client = TcpStream::connect(HERE).await.unwrap();
    let refused = "sidecar_listener_refused_total{kind=\"tcp-lb\",listener=\"lb\",reason=\"loop\"}";
    here.grows(refused, 5).await;
    let active = "sidecar_listener_active_connections";
    for _ in 0..50 {
        let open = here.metric(active).await;
        assert!(open <= MOST, "{open} connections are open");
    }
    eventually(async || {
        let log = here.log();
        let line = log
            .lines()
            .find(|line| line.contains("connections may go in a circle"));
        let named = |line: &str| [HERE, "10.77.0.2", THERE].iter().all(|name| line.contains(name));
        (!line.is_some_and(named)).then(|| format!("no line names both sides:\n{log}"))
    })
    .await;
    let lines = here.log().matches("connections may go in a circle").count();
    assert_eq!(lines, 1, "a spell is logged once:\n{}", here.log());
}
