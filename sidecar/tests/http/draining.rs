//! Listeners and instances that stop.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{ask, client, connect, eventually, get, lb, named, raw, read_head, send, text, within};

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_listener_that_stops_finishes_its_request_and_says_close() {
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = std::sync::Arc::new(tokio::sync::Mutex::new(Some(wait)));
    let address = raw(move |mut stream: TcpStream| {
        let wait = std::sync::Arc::clone(&wait);
        async move {
            read_head(&mut stream).await;
            let wait = wait.lock().await.take().unwrap();
            wait.await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await
                .unwrap();
            let _ = stream.read_u8().await;
        }
    })
    .await;
    let (lb, group) = lb(&[address]);
    let mut client = client(&lb).await;
    let asking = send(&mut client, get("/"));
    let stopping = async {
        eventually(|| (group.counters().active() == 0).then(|| "no request is active".to_owned())).await;
        lb.listener().stop_accepting();
        go.send(()).unwrap();
    };
    let (answer, ()) = tokio::join!(asking, stopping);
    assert_eq!(answer.headers()["connection"], "close");
    assert_eq!(text(answer).await, "ok");
    assert_eq!(within("drain", lb.listener().drain(LONG)).await, 0);
}

#[tokio::test]
async fn a_listener_that_stops_ends_idle_clients() {
    let (lb, _) = lb(&[named("one").await]);
    let mut idle = client(&lb).await;
    assert_eq!(ask(&mut idle, "/").await, "one");
    let mut silent = connect(&lb).await;
    eventually(|| (lb.listener().active() < 2).then(|| "not all are accepted".to_owned())).await;
    assert_eq!(within("drain", lb.listener().drain(LONG)).await, 0);
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_goes_on_asking_a_listener_that_stops_is_told_to_close() {
    let (lb, _) = lb(&[named("one").await]);
    let mut client = client(&lb).await;
    assert_eq!(ask(&mut client, "/").await, "one");
    lb.listener().stop_accepting();
    let answer = send(&mut client, get("/")).await;
    assert_eq!(answer.headers()["connection"], "close");
    assert_eq!(text(answer).await, "one");
}
