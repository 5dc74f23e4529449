//! Groups that are filled from DNS in the command language.

use super::name_server::NameServer;
use super::support::{add_group, controller, run};

const GROUP: &str = "add server-group g timeout 500 period 20 up 1 down 1";

#[tokio::test]
async fn a_host_name_and_a_port_belong_together() {
    let server = NameServer::answering(&[]);
    let controller = controller(&server);
    for (keys, complaint) in [
        (
            "resolve api",
            "port is missing, because resolve and port are given together",
        ),
        (
            "port 80",
            "resolve is missing, because resolve and port are given together",
        ),
        (
            "resolve 10.0.0.1 port 80",
            "resolve 10.0.0.1 is not valid; expected a host name",
        ),
        (
            "resolve a..b port 80",
            "resolve a..b is not valid; expected a host name",
        ),
        (
            "resolve api port 0",
            "port 0 is not valid; expected a port from 1 to 65535",
        ),
    ] {
        let error = run(&controller, &format!("{GROUP} {keys}")).await.unwrap_err();
        assert!(error.to_string().contains(complaint), "{keys}: {error}");
    }
    assert!(controller.groups().is_empty());
}

#[tokio::test]
async fn a_group_is_listed_and_saved_with_its_host_name() {
    let server = NameServer::answering(&[]);
    let controller = controller(&server);
    add_group(&controller, 8080).await;
    let listed = run(&controller, "list-detail server-group").await.unwrap();
    let about = "g -> timeout 500 period 20 up 1 down 1 method wrr resolve api.test port 8080";
    assert!(format!("{listed:?}").contains(about), "{listed:?}");
    let saved = controller.begin_handover().commands;
    assert_eq!(saved, [format!("{GROUP} method wrr resolve api.test port 8080")]);
}

#[tokio::test]
async fn its_servers_are_changed_where_they_come_from() {
    let server = NameServer::answering(&["127.0.0.2"]);
    let controller = controller(&server);
    add_group(&controller, 1).await;
    super::support::becomes(&controller, &["127.0.0.2"]).await;
    let remove = "remove server api.test@127.0.0.2:1 from server-group g";
    let error = run(&controller, remove).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("address of the host name that the group resolves"),
        "{error}"
    );
    let delegate = "add smart-group-delegate d service s zone z server-group g";
    let error = run(&controller, delegate).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("filled with the addresses of api.test already"),
        "{error}"
    );
}
