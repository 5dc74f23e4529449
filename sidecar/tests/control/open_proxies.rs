//! SOCKS5 servers that connect anyone who reaches them to any destination need the leave of the command line.

use sidecar::control::{Controller, Offers, Reply};

async fn run(controller: &Controller, command: &str) -> Result<Reply, String> {
    let parsed = command.parse().unwrap_or_else(|e| panic!("{command}: {e}"));
    controller
        .execute(parsed)
        .await
        .map_err(|error| error.to_string())
}

async fn lines(controller: &Controller) -> Vec<String> {
    match run(controller, "list-detail socks5-server").await {
        Ok(Reply::Lines(lines)) => lines,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_open_proxy_is_refused_without_the_flag() {
    let controller = Controller::new(Offers::new(), None);
    run(&controller, "add server-groups g").await.expect("added");
    for address in ["0.0.0.0:0", "[::]:0"] {
        let command = format!("add socks5-server x address {address} server-groups g allow-non-backend");
        let error = run(&controller, &command).await.expect_err("refused");
        assert!(error.contains("--allow-open-proxies"), "{error}");
        let error = run(&controller, &format!("{command} allow-local")).await;
        assert!(error.expect_err("refused").contains("--allow-open-proxies"));
    }
    assert!(lines(&controller).await.is_empty());
    run(
        &controller,
        "add socks5-server x address 0.0.0.0:0 server-groups g",
    )
    .await
    .expect("only backends");
    let error = run(&controller, "update socks5-server x allow-non-backend")
        .await
        .expect_err("refused");
    assert!(error.contains("--allow-open-proxies"), "{error}");
    let [line] = &lines(&controller).await[..] else {
        panic!("one server");
    };
    assert!(line.ends_with(" deny-non-backend"), "{line}");
    for (name, address) in [("a", "127.0.0.1:0"), ("b", "[::1]:0")] {
        let command = format!("add socks5-server {name} address {address} server-groups g allow-non-backend");
        run(&controller, &command).await.expect("on loopback");
    }
}

#[tokio::test]
async fn an_open_proxy_is_allowed_with_the_flag_and_keeps_its_flags() {
    let controller = Controller::new(Offers::new(), None).with_open_proxies(true);
    run(&controller, "add server-groups g").await.expect("added");
    let command = "add socks5-server x address 0.0.0.0:0 server-groups g allow-non-backend";
    run(&controller, command).await.expect("allowed");
    assert!(lines(&controller).await[0].ends_with(" allow-non-backend"));
    run(&controller, "update socks5-server x allow-local")
        .await
        .expect("updated");
    assert!(lines(&controller).await[0].ends_with(" allow-non-backend allow-local"));
    run(&controller, "update socks5-server x deny-non-backend deny-local")
        .await
        .expect("updated");
    assert!(lines(&controller).await[0].ends_with(" deny-non-backend"));
}
