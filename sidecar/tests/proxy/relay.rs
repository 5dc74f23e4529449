//! The relay passes bytes on, buffers little, and does not wake up without work.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use sidecar::balance::Direction;
use sidecar::proxy::relay::{End, InitialData, Summary, relay};
use sidecar::proxy::{IdleClock, Keepalive};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::support::{DEADLINE, eventually, loopback, within};

/// A relay between two sockets whose other ends the test holds.
pub(crate) struct Relayed {
    pub(crate) client: TcpStream,
    pub(crate) instance: TcpStream,
    pub(crate) summary: JoinHandle<Summary>,
    pub(crate) abort: CancellationToken,
    pub(crate) to_instance: Arc<AtomicU64>,
    pub(crate) to_client: Arc<AtomicU64>,
    pub(crate) polls: Arc<AtomicU64>,
}

pub(crate) async fn relayed(initial: &[u8], idle: Duration) -> Relayed {
    let (client, inner_client) = pair().await;
    let (inner_instance, instance) = pair().await;
    let abort = CancellationToken::new();
    let [to_instance, to_client, polls] = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
    let initial = initial.to_vec();
    let summary = {
        let abort = abort.clone();
        let (to_instance, to_client) = (Arc::clone(&to_instance), Arc::clone(&to_client));
        let polls = Arc::clone(&polls);
        tokio::spawn(async move {
            let meter = |direction, bytes| {
                let counter = match direction {
                    Direction::ToInstance => &to_instance,
                    Direction::ToClient => &to_client,
                };
                counter.fetch_add(bytes, Ordering::Relaxed);
            };
            let initial = InitialData {
                bytes: initial,
                sent: 0,
            };
            let abort = pin!(async {
                abort.cancelled().await;
                End::Aborted
            });
            let clock = IdleClock::start(idle, Keepalive::default(), Instant::now());
            let mut relay = pin!(relay(
                &inner_client,
                &inner_instance,
                initial,
                clock,
                abort,
                meter
            ));
            std::future::poll_fn(|cx| -> Poll<Summary> {
                polls.fetch_add(1, Ordering::Relaxed);
                relay.as_mut().poll(cx)
            })
            .await
        })
    };
    Relayed {
        client,
        instance,
        summary,
        abort,
        to_instance,
        to_client,
        polls,
    }
}

/// Two ends of one connection with small buffers.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    SockRef::from(&listener).set_recv_buffer_size(64 * 1024).unwrap();
    let (outer, inner) = tokio::join!(
        TcpStream::connect(listener.local_addr().unwrap()),
        listener.accept()
    );
    let (outer, (inner, _)) = (outer.unwrap(), inner.unwrap());
    for stream in [&outer, &inner] {
        SockRef::from(stream).set_send_buffer_size(64 * 1024).unwrap();
        SockRef::from(stream).set_recv_buffer_size(64 * 1024).unwrap();
    }
    (outer, inner)
}

pub(crate) fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|i| (i as u8).wrapping_mul(31).wrapping_add((i >> 8) as u8) ^ seed)
        .collect()
}

pub(crate) async fn finish(summary: JoinHandle<Summary>) -> Summary {
    within("end of the relay", summary).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_arrive_whole_in_both_directions_at_once() {
    let relayed = relayed(b"", DEADLINE).await;
    let (up, down) = (pattern(5_000_000, 1), pattern(7_000_003, 2));
    let exchange = |stream: TcpStream, send: Vec<u8>| async move {
        let (mut reader, mut writer) = stream.into_split();
        let sending = tokio::spawn(async move {
            writer.write_all(&send).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.unwrap();
        sending.await.unwrap();
        received
    };
    let both = async {
        tokio::join!(
            exchange(relayed.client, up.clone()),
            exchange(relayed.instance, down.clone())
        )
    };
    let (at_client, at_instance) = within("exchange", both).await;
    assert!(at_client == down, "{} bytes of {}", at_client.len(), down.len());
    assert!(at_instance == up, "{} bytes of {}", at_instance.len(), up.len());
    let expected = Summary {
        to_instance: up.len() as u64,
        to_client: down.len() as u64,
        end: End::Finished,
    };
    assert_eq!(finish(relayed.summary).await, expected);
    assert_eq!(relayed.to_instance.load(Ordering::Relaxed), expected.to_instance);
    assert_eq!(relayed.to_client.load(Ordering::Relaxed), expected.to_client);
}

#[tokio::test]
async fn initial_data_goes_first_and_is_counted() {
    let mut relayed = relayed(b"hello ", DEADLINE).await;
    relayed.client.write_all(b"late").await.unwrap();
    relayed.client.shutdown().await.unwrap();
    let mut received = String::new();
    within("bytes", relayed.instance.read_to_string(&mut received))
        .await
        .unwrap();
    assert_eq!(received, "hello late");
    drop(relayed.instance);
    assert_eq!(finish(relayed.summary).await.to_instance, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backpressure_reaches_the_sender() {
    let mut relayed = relayed(b"", DEADLINE).await;
    let sent = pattern(32 << 20, 3);
    let (_client_reader, mut client) = relayed.client.into_split();
    let sending = {
        let sent = sent.clone();
        tokio::spawn(async move {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
        })
    };
    let passed = stalled(&relayed.to_instance).await;
    assert!(!sending.is_finished());
    // Far more than the buffers of two connections hold, far less than is sent.
    assert!(
        passed < 4 << 20,
        "{passed} bytes were taken for an instance that reads none"
    );
    stalled(&relayed.polls).await;

    let mut received = Vec::new();
    within("bytes", relayed.instance.read_to_end(&mut received))
        .await
        .unwrap();
    assert!(received == sent, "{} bytes of {}", received.len(), sent.len());
    sending.await.unwrap();
}

/// Waits until a counter has grown, and then is the same each time that it is looked at for a while. Time alone would not do: on
/// a busy machine the process may not run for long.
pub(crate) async fn stalled(counter: &AtomicU64) -> u64 {
    const LOOKS: u32 = 40;
    let (mut last, mut same) = (0, 0);
    eventually(|| {
        let now = counter.load(Ordering::Relaxed);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        (now == 0 || same < LOOKS).then(|| format!("{now} so far, and still growing"))
    })
    .await;
    last
}

#[tokio::test]
async fn an_idle_half_closed_connection_does_not_wake_the_relay() {
    for client_first in [true, false] {
        let mut relayed = relayed(b"", DEADLINE).await;
        let (first, second) = match client_first {
            true => (&mut relayed.client, &mut relayed.instance),
            false => (&mut relayed.instance, &mut relayed.client),
        };
        first.shutdown().await.unwrap();
        assert_eq!(
            within("end of stream", second.read(&mut [0; 8])).await.unwrap(),
            0
        );
        stalled(&relayed.polls).await;

        second.write_all(b"goodbye").await.unwrap();
        second.shutdown().await.unwrap();
        let mut received = String::new();
        within("answer", first.read_to_string(&mut received))
            .await
            .unwrap();
        assert_eq!(received, "goodbye");
        assert_eq!(finish(relayed.summary).await.end, End::Finished);
    }
}
