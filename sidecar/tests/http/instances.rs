//! Instances of HTTP/2 that limit, refuse and end streams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http_body_util::BodyExt;
use hyper::{Request, Response, StatusCode};
use sidecar::balance::CheckOutcome;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::streams::{ask, client, request, send};
use super::support::{body, eventually, lb, loopback, within};

type Stream = (Request<RecvStream>, SendResponse<Bytes>);

/// An instance that allows this number of streams at a time, and has `serve` answer those of each of its connections.
async fn limited<F, A>(limit: u32, serve: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(Connection<TcpStream, Bytes>) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut builder = h2::server::Builder::new();
            builder.max_concurrent_streams(limit);
            let connection = builder.handshake(stream).await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(connection));
        }
    });
    (address, count)
}

fn answer((_, mut respond): Stream, text: &'static str) {
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    body.send_data(Bytes::from(text), true).unwrap();
}

#[tokio::test]
async fn streams_beyond_the_limit_of_an_instance_get_another_connection() {
    let (streams, mut waiting) = mpsc::channel(8);
    let (address, connections) = limited(2, move |mut connection| {
        let streams = streams.clone();
        async move {
            while let Some(Ok(stream)) = connection.accept().await {
                streams.send(stream).await.unwrap();
            }
        }
    })
    .await;
    let (lb, _) = lb(&[address]);
    let client = client(&lb).await;
    let asking: Vec<_> = (0..6)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { ask(&client).await })
        })
        .collect();
    // All are there before one is answered.
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(within("stream", waiting.recv()).await.unwrap());
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
    for stream in streams {
        answer(stream, "late");
    }
    for asked in asking {
        assert_eq!(asked.await.unwrap(), "late");
    }
}

/// An instance that refuses the first stream of each of its connections.
async fn refusing(refused: Arc<AtomicUsize>) -> SocketAddr {
    let (address, _) = limited(100, move |mut connection| {
        let refused = Arc::clone(&refused);
        async move {
            let mut first = true;
            while let Some(Ok(mut stream)) = connection.accept().await {
                if std::mem::take(&mut first) {
                    refused.fetch_add(1, Ordering::SeqCst);
                    stream.1.send_reset(Reason::REFUSED_STREAM);
                } else {
                    answer(stream, "taken");
                }
            }
        }
    })
    .await;
    address
}

#[tokio::test]
async fn a_stream_that_an_instance_refuses_is_sent_again_whatever_its_method() {
    let refused = Arc::default();
    let (lb, group) = lb(&[refusing(Arc::clone(&refused)).await]);
    let client = client(&lb).await;
    let answer = send(&client, request("POST", body("x"))).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(refused.load(Ordering::SeqCst), 1);
    // The instance has not acted on it, so that it is no retry.
    assert_eq!(group.requests().read().retries, 0);
}

#[tokio::test]
async fn a_stream_that_an_instance_resets_is_not_doubled() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let (address, _) = limited(100, move |mut connection| {
        let counted = Arc::clone(&counted);
        async move {
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                respond.send_reset(Reason::INTERNAL_ERROR);
            }
        }
    })
    .await;
    let (lb, _) = lb(&[address]);
    let client = client(&lb).await;
    let answer = send(&client, request("POST", body("x"))).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers()["x-sidecar-error"], "no-answer");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_instance_that_goes_away_fails_no_stream() {
    let (address, connections) = limited(100, |mut connection| async move {
        // Each connection takes two streams, as one of a server that limits them.
        let mut taken = 0;
        while let Some(Ok(stream)) = connection.accept().await {
            taken += 1;
            answer(stream, "one");
            if taken == 2 {
                connection.graceful_shutdown();
            }
        }
    })
    .await;
    let (lb, _) = lb(&[address]);
    let client = client(&lb).await;
    for _ in 0..20 {
        let answer = send(&client, request("POST", body("x"))).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert!(connections.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn streams_of_an_instance_that_goes_down_end() {
    let (address, _) = limited(100, |mut connection| async move {
        let mut streams = Vec::new();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            // One answer is under way, the other one does not come.
            if request.method() == "GET" {
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                body.send_data(Bytes::from("begun"), false).unwrap();
                streams.push((request, respond, Some(body)));
            } else {
                streams.push((request, respond, None));
            }
        }
    })
    .await;
    let (lb, group) = lb(&[address]);
    let client = client(&lb).await;
    let begun = send(&client, request("GET", body(""))).await.into_body();
    let answering = send(&client, request("POST", body("")));
    let going_down = async {
        eventually(|| (group.counters().active() < 2).then(|| "not both are active".to_owned())).await;
        for server in group.checked() {
            for _ in 0..2 {
                group.report(&server, CheckOutcome::Failed);
            }
        }
    };
    let (answer, ()) = tokio::join!(answering, going_down);
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers()["x-sidecar-error"], "instance-down");
    assert!(within("end of the answer", begun.collect()).await.is_err());
}

#[tokio::test]
async fn a_client_without_a_byte_is_told_to_go_away_after_the_idle_timeout() {
    let (address, _) = limited(100, |mut connection| async move {
        while let Some(Ok(stream)) = connection.accept().await {
            answer(stream, "one");
        }
    })
    .await;
    let (lb, _) = lb(&[address]);
    lb.listener()
        .set_idle_timeout(std::time::Duration::from_millis(50));
    let mut peer = super::frames::Peer::connect(&lb).await;
    peer.write(&super::frames::get(1)).await;
    let end = peer.find(|frame| frame.kind == super::frames::GOAWAY).await;
    assert_eq!(end.expect("GOAWAY").code(), super::frames::NO_ERROR);
    // It does not go by itself.
    while peer.read().await.is_some() {}
    eventually(|| (lb.listener().active() > 0).then(|| "the connection is open".to_owned())).await;
}

#[tokio::test]
async fn a_request_whose_body_breaks_off_is_no_failure_of_the_instance() {
    let (address, _) = limited(100, |mut connection| async move {
        let mut bodies = Vec::new();
        while let Some(Ok((request, respond))) = connection.accept().await {
            bodies.push((request, respond));
        }
    })
    .await;
    let (lb, group) = lb(&[address]);
    let mut peer = super::frames::Peer::connect(&lb).await;
    let cancelled = [
        super::frames::post(1),
        super::frames::frame(super::frames::DATA, 0, 1, b"x"),
    ];
    peer.write(&cancelled.concat()).await;
    eventually(|| (group.counters().active() == 0).then(|| "no request is active".to_owned())).await;
    peer.write(&super::frames::frame(
        super::frames::RST_STREAM,
        0,
        1,
        &[0, 0, 0, 8],
    ))
    .await;
    eventually(|| (group.counters().active() > 0).then(|| "the request is active".to_owned())).await;
    let failed = group
        .requests()
        .read()
        .iter()
        .find(|(method, status, _)| (*method, *status) == ("other", "5xx"))
        .unwrap()
        .2;
    assert_eq!(failed, 0);
}
