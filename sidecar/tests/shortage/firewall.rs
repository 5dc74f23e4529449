//! A rule of this machine's own firewall rejects new connections.

use crate::namespace::{entered, run};
use crate::support::{Client, Sidecar, echo, free_address};

#[tokio::test]
async fn connections_outlive_a_rule_that_rejects_health_checks() {
    if !entered("firewall::connections_outlive_a_rule_that_rejects_health_checks") {
        return;
    }
    for rejection in ["icmp-port-unreachable", "icmp-host-prohibited"] {
        let (backend, listener) = (echo().await, free_address());
        let commands = format!(
            "add server-groups x\n\
             add server-group g timeout 2000 period 50 up 1 down 3\n\
             add server-group g to server-groups x\n\
             add server s to server-group g address {backend}\n\
             add tcp-lb lb address {listener} server-groups x\n"
        );
        let sidecar = Sidecar::start("exec", &commands, "").await;
        sidecar.logged("server is UP").await;
        let mut client = Client::connect(listener).await.unwrap();
        client.works().await;
        let port = backend.port();
        run(&format!(
            "iptables -A OUTPUT -p tcp --syn --dport {port} -j REJECT --reject-with {rejection}"
        ));
        sidecar.logged("a health check could not be made").await;
        let not_made = "sidecar_server_checks_total{group=\"g\",server=\"s\",outcome=\"not_made\"}";
        sidecar.grows(not_made, 10).await;
        client.works().await;
        assert!(!sidecar.log().contains("DOWN"), "{rejection}: {}", sidecar.log());
    }
}
