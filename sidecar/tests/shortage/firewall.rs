//! A rule of this machine's own firewall rejects new connections.

use crate::namespace::{entered, run};
use crate::support::{Client, Sidecar, echo, free_address, one_server};

#[tokio::test]
async fn connections_outlive_a_rule_that_rejects_health_checks() {
    if !entered("firewall::connections_outlive_a_rule_that_rejects_health_checks") {
        return;
    }
    for rejection in ["icmp-port-unreachable", "icmp-host-prohibited"] {
        let (backend, listener) = (echo().await, free_address());
        let commands = one_server(listener, backend, 50);
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
