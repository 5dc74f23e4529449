//! A healthy local service stays announced while the sidecar cannot check it.

use tokio::net::TcpStream;

use crate::namespace::{entered, limit_ports};
use crate::support::{Sidecar, ask, echo, eventually, free_address, get};

const PATH: &str = "/api/v1/module/smart-node-delegate";

#[tokio::test]
async fn a_service_stays_announced_while_ports_are_short() {
    if !entered("registration::a_service_stays_announced_while_ports_are_short") {
        return;
    }
    let discovery = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        discovery.path(),
        "discovery.nic = lo\ndiscovery.address = 127.0.0.1\ndiscovery.search.mask = 30\n",
    )
    .unwrap();
    let (service, controller) = (echo().await, free_address());
    let arguments = format!(
        "--http-controller {controller} --discovery-config '{}'",
        discovery.path().display()
    );
    let sidecar = Sidecar::start("exec", "", &arguments).await;
    let body = format!(
        r#"{{"name":"s","service":"s","zone":"z","nic":"lo","exposedPort":{}}}"#,
        service.port()
    );
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert!(ask(controller, &request).await.starts_with("HTTP/1.1 204"));
    let view = format!("{PATH}/s");
    eventually(async || {
        let shown = get(controller, &view).await;
        (!shown.contains(r#""status":"UP""#)).then_some(shown)
    })
    .await;

    limit_ports(300);
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(service).await {
        clients.push(client);
    }
    // Clients retry, and take every port that a check leaves.
    let mut views = 0;
    eventually(async || {
        while let Ok(client) = TcpStream::connect(service).await {
            clients.push(client);
        }
        let shown = get(controller, &view).await;
        assert!(
            shown.contains(r#""status":"UP""#),
            "withdrawn: {shown}\n{}",
            sidecar.log()
        );
        let met = sidecar.log().contains("a local service could not be checked");
        views += u32::from(met);
        (views < 100).then(|| format!("{views} views, the log:\n{}", sidecar.log()))
    })
    .await;
}
