//! The servers of a group follow the answers.

use simple_dns::RCODE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::name_server::{Behaviour, NameServer};
use super::support::{add_group, becomes, controller, grows, listeners, port, run, serve, servers};

#[tokio::test]
async fn servers_come_and_go_with_the_answers() {
    let [one, two] = listeners([[127, 0, 0, 2], [127, 0, 0, 3]]).await;
    let port = port(&one);
    serve(one);
    serve(two);
    let server = NameServer::answering(&["127.0.0.3", "127.0.0.2"]);
    let controller = controller(&server);
    add_group(&controller, port).await;
    becomes(&controller, &["+127.0.0.2", "+127.0.0.3"]).await;
    assert_eq!(servers(&controller)[0].name, format!("api.test@127.0.0.2:{port}"));
    server.answer(&["127.0.0.3", "127.0.0.4"]);
    becomes(&controller, &["+127.0.0.3", "127.0.0.4"]).await;
    server.behave(Behaviour::Fail(RCODE::NameError));
    becomes(&controller, &[]).await;
    server.answer(&["127.0.0.2"]);
    becomes(&controller, &["+127.0.0.2"]).await;
    server.answer(&[]);
    becomes(&controller, &[]).await;
}

#[tokio::test]
async fn a_connection_outlives_the_address_of_its_server() {
    let [one] = listeners([[127, 0, 0, 2]]).await;
    let port = port(&one);
    serve(one);
    let server = NameServer::answering(&["127.0.0.2"]);
    let controller = controller(&server);
    add_group(&controller, port).await;
    for command in [
        "add server-groups s",
        "add server-group g to server-groups s",
        "add tcp-lb lb address 127.0.0.1:0 server-groups s",
    ] {
        run(&controller, command).await.unwrap();
    }
    becomes(&controller, &["+127.0.0.2"]).await;
    let mut client = TcpStream::connect(controller.listeners()[0].address)
        .await
        .unwrap();
    let mut echo = [0; 4];
    client.write_all(b"one.").await.unwrap();
    client.read_exact(&mut echo).await.unwrap();
    server.answer(&[]);
    becomes(&controller, &[]).await;
    client.write_all(b"two.").await.unwrap();
    client.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"two.");
}

#[tokio::test]
async fn no_answer_keeps_the_servers() {
    let server = NameServer::answering(&["127.0.0.2", "127.0.0.3"]);
    let controller = controller(&server);
    let [closed] = listeners([[127, 0, 0, 2]]).await;
    add_group(&controller, port(&closed)).await;
    drop(closed);
    becomes(&controller, &["127.0.0.2", "127.0.0.3"]).await;
    for behaviour in [Behaviour::Fail(RCODE::ServerFailure), Behaviour::Silent] {
        server.behave(behaviour);
        grows("the number of questions", 3, || server.questions() as u64).await;
        becomes(&controller, &["127.0.0.2", "127.0.0.3"]).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_for_udp_is_fetched_by_tcp() {
    let all: Vec<String> = (1..=200).map(|n| format!("127.0.1.{n}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let server = NameServer::answering(&all);
    let controller = controller(&server);
    let [closed] = listeners([[127, 0, 1, 1]]).await;
    add_group(&controller, port(&closed)).await;
    drop(closed);
    becomes(&controller, &all).await;
    assert!(server.by_tcp() > 0);
    // As many as plain UDP would be cut to in Docker, and more.
    server.answer(&all[..30]);
    becomes(&controller, &all[..30]).await;
}

#[tokio::test]
async fn own_addresses_and_those_of_other_networks_do_not_count() {
    let server = NameServer::answering(&["127.0.0.1", "192.0.2.7", "127.0.0.2", "fd00::1"]);
    let controller = controller(&server);
    let [closed] = listeners([[127, 0, 0, 2]]).await;
    add_group(&controller, port(&closed)).await;
    drop(closed);
    becomes(&controller, &["127.0.0.2"]).await;
}

/// Its address may have been given to another container.
#[tokio::test]
async fn a_server_that_is_down_comes_up_only_after_its_name_was_resolved_again() {
    let [one] = listeners([[127, 0, 0, 2]]).await;
    let (address, port) = (one.local_addr().unwrap(), port(&one));
    let server = NameServer::answering(&["127.0.0.2"]);
    let controller = controller(&server);
    add_group(&controller, port).await;
    becomes(&controller, &["+127.0.0.2"]).await;
    drop(one);
    becomes(&controller, &["127.0.0.2"]).await;
    server.behave(Behaviour::Fail(RCODE::ServerFailure));
    grows("the number of questions", 2, || server.questions() as u64).await;
    let foreign = tokio::net::TcpListener::bind(address).await.unwrap();
    let failed = || servers(&controller)[0].checks.failed;
    grows("the number of failed checks", 3, failed).await;
    assert!(!servers(&controller)[0].up);
    let accepted = tokio::time::timeout(std::time::Duration::ZERO, foreign.accept()).await;
    assert!(accepted.is_err(), "it was connected to");
    server.answer(&["127.0.0.2"]);
    becomes(&controller, &["+127.0.0.2"]).await;
    drop(foreign);
    becomes(&controller, &["127.0.0.2"]).await;
    server.answer(&[]);
    becomes(&controller, &[]).await;
}

#[tokio::test]
async fn the_next_process_knows_the_servers_before_there_is_an_answer() {
    let [one] = listeners([[127, 0, 0, 2]]).await;
    let port = port(&one);
    serve(one);
    let server = NameServer::answering(&["127.0.0.2"]);
    let first = controller(&server);
    add_group(&first, port).await;
    becomes(&first, &["+127.0.0.2"]).await;
    server.behave(Behaviour::Silent);
    let state = first.begin_handover();
    let next = controller(&server);
    for line in &state.script().unwrap().lines {
        next.execute(line.command.clone()).await.unwrap();
    }
    next.resume(&state);
    let found = servers(&next);
    assert!(found.len() == 1 && found[0].up, "{found:?}");
    grows("the number of questions", 3, || server.questions() as u64).await;
    becomes(&next, &["+127.0.0.2"]).await;
    server.answer(&[]);
    becomes(&next, &[]).await;
}
