//! Configures an empty sidecar as a frontend's over HTTP, and checks the traffic after each step.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clients::{Kept, SERVICE, Sidecar, by_socks5, direct, server, shares};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_configures_a_frontend_step_by_step() {
    let sidecar = Sidecar::start();
    let (one, two) = (server("one").await, server("two").await);
    assert_eq!(sidecar.read("/module/server-groups").await, json!([]));

    sidecar
        .change("POST", "/module/server-groups", &json!({"name": "sgs0"}))
        .await;
    let body = json!({"name": "sidecar", "address": "127.0.0.1:0", "backend": "sgs0"});
    sidecar.change("POST", "/module/socks5-server", &body).await;
    let socks5 = sidecar.read("/module/socks5-server/sidecar").await["address"].clone();
    let socks5 = socks5.as_str().expect("an address");
    assert_eq!(by_socks5(socks5).await, None, "there is no group of that name");

    let body = json!({"name": SERVICE, "timeout": 2000, "period": 100, "up": 1, "down": 5});
    sidecar.change("POST", "/module/server-group", &body).await;
    assert_eq!(by_socks5(socks5).await, None, "it is not attached");
    sidecar
        .change(
            "POST",
            "/module/server-groups/sgs0/server-group",
            &json!({"name": SERVICE}),
        )
        .await;
    assert_eq!(by_socks5(socks5).await, None, "it has no server");
    let servers = format!("/module/server-group/{SERVICE}/server");
    sidecar
        .change(
            "POST",
            &servers,
            &json!({"name": "s1", "address": one, "weight": 15}),
        )
        .await;
    sidecar.up("s1").await;
    assert_eq!(by_socks5(socks5).await.as_deref(), Some("one"));

    sidecar
        .change(
            "POST",
            "/module/tcp-lb",
            &json!({"name": "lb0", "address": "127.0.0.1:0", "backend": "sgs0"}),
        )
        .await;
    let lb = sidecar.read("/module/tcp-lb/lb0").await["address"].clone();
    let lb = lb.as_str().expect("an address");
    assert_eq!(direct(lb).await.as_deref(), Some("one"));

    weights_and_methods(&sidecar, lb, &servers, &two).await;
    security(&sidecar, lb, socks5).await;
    removal(&sidecar, lb, socks5).await;
}

async fn weights_and_methods(sidecar: &Sidecar, lb: &str, servers: &str, two: &str) {
    sidecar
        .change("POST", servers, &json!({"name": "s2", "address": two}))
        .await;
    sidecar.up("s2").await;
    let expected = |one, two| BTreeMap::from([("one".to_owned(), one), ("two".to_owned(), two)]);
    assert_eq!(
        shares(lb, 25).await,
        expected(15, 10),
        "weights 15 and 10, which is the default"
    );
    sidecar
        .change("PUT", &format!("{servers}/s1"), &json!({"weight": 10}))
        .await;
    sidecar
        .change("PUT", &format!("{servers}/s2"), &json!({"weight": 15}))
        .await;
    assert_eq!(shares(lb, 25).await, expected(10, 15), "weights 10 and 15");

    let group = format!("/module/server-group/{SERVICE}");
    sidecar.change("PUT", &group, &json!({"method": "source"})).await;
    assert_eq!(shares(lb, 10).await.len(), 1, "one client keeps its server");
    sidecar.change("PUT", &group, &json!({"method": "wlc"})).await;
    assert_eq!(
        shares(lb, 10).await.len(),
        2,
        "without connections the servers alternate"
    );
    sidecar
        .change("PUT", &group, &json!({"method": "wrr", "up": 2}))
        .await;
    assert_eq!(sidecar.read(&group).await["up"], 2);
    let accepted = sidecar.read("/statistics/tcp-lb/lb0/accepted-conn-count").await;
    assert_eq!(accepted, json!({"value": 71}), "1 + 25 + 25 + 10 + 10");
}

async fn security(sidecar: &Sidecar, lb: &str, socks5: &str) {
    let port: u16 = lb.rsplit_once(':').expect("a port").1.parse().expect("a port");
    sidecar
        .change(
            "POST",
            "/module/security-group",
            &json!({"name": "secg0", "defaultRule": "allow"}),
        )
        .await;
    sidecar
        .change("PUT", "/module/tcp-lb/lb0", &json!({"securityGroup": "secg0"}))
        .await;
    assert!(direct(lb).await.is_some(), "no rule denies the client");
    let rules = "/module/security-group/secg0/security-group-rule";
    let rule = json!({"name": "r0", "clientNetwork": "127.0.0.0/8", "protocol": "TCP",
                      "serverPortMin": port, "serverPortMax": port, "rule": "deny"});
    sidecar.change("POST", rules, &rule).await;
    assert_eq!(direct(lb).await, None, "the rule denies it");
    assert!(
        by_socks5(socks5).await.is_some(),
        "the rule belongs to the other listener"
    );
    sidecar
        .change("DELETE", &format!("{rules}/r0"), &Value::Null)
        .await;
    assert!(direct(lb).await.is_some(), "the rule is gone");
    sidecar
        .change(
            "PUT",
            "/module/security-group/secg0",
            &json!({"defaultRule": "deny"}),
        )
        .await;
    assert_eq!(direct(lb).await, None, "the default denies it");
    let (status, message) = sidecar
        .ask("DELETE", "/module/security-group/secg0", &Value::Null)
        .await;
    assert_eq!(status, 400);
    assert!(
        message.contains("security-group secg0 is used by tcp-lb lb0"),
        "{message}"
    );
    sidecar
        .change(
            "PUT",
            "/module/tcp-lb/lb0",
            &json!({"securityGroup": "(allow-all)"}),
        )
        .await;
    sidecar
        .change("DELETE", "/module/security-group/secg0", &Value::Null)
        .await;
    assert!(direct(lb).await.is_some(), "its security group is removed");
}

async fn removal(sidecar: &Sidecar, lb: &str, socks5: &str) {
    let (mut kept, mut cut) = (Kept::open(lb).await, Kept::open(lb).await);
    let client = cut.0.local_addr().expect("an address").to_string();
    let sessions = sidecar.read("/channel/tcp-lb/lb0/session").await;
    let clients = sessions
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| s["client"].clone());
    assert!(clients.collect::<Vec<_>>().contains(&json!(client)), "{sessions}");
    sidecar
        .change(
            "DELETE",
            &format!("/channel/tcp-lb/lb0/session/%2F%5E{client}%2F"),
            &Value::Null,
        )
        .await;
    assert!(cut.has_ended().await, "its session is removed");
    let (status, _) = sidecar
        .ask(
            "DELETE",
            &format!("/channel/tcp-lb/lb0/session/{client}"),
            &Value::Null,
        )
        .await;
    assert_eq!(status, 400, "it is gone");

    let (status, message) = sidecar
        .ask("DELETE", "/module/server-groups/sgs0", &Value::Null)
        .await;
    assert_eq!(status, 400);
    assert!(
        message.contains("server-groups sgs0 is used by tcp-lb lb0"),
        "{message}"
    );
    sidecar.change("DELETE", "/module/tcp-lb/lb0", &Value::Null).await;
    assert_eq!(direct(lb).await, None, "the listener is closed");
    assert!(kept.is_answered().await, "established connections live on");
    assert!(by_socks5(socks5).await.is_some());

    sidecar
        .change(
            "DELETE",
            &format!("/module/server-group/{SERVICE}?cascade=true"),
            &Value::Null,
        )
        .await;
    assert_eq!(by_socks5(socks5).await, None, "the group is gone");
    sidecar
        .change("DELETE", "/module/server-groups/sgs0?cascade=true", &Value::Null)
        .await;
    assert_eq!(
        sidecar.read("/module/socks5-server").await,
        json!([]),
        "its user is removed, too"
    );
    assert!(
        kept.is_answered().await,
        "established connections live on, whatever is removed"
    );
}
