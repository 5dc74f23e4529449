//! How a relay ends: resets are passed on, and the idle timeout and aborts end it.

use std::io::ErrorKind;
use std::time::Duration;

use sidecar::proxy::relay::{End, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::relay::{Relayed, finish, relayed, stalled};
use super::support::{DEADLINE, expect_reset, reset, within};

/// The two outer ends: that of `side`, then the other.
fn ends(relayed: Relayed, side: Side) -> (TcpStream, TcpStream, Relay) {
    let (one, other) = match side {
        Side::Client => (relayed.client, relayed.instance),
        Side::Instance => (relayed.instance, relayed.client),
    };
    let counter = match side {
        Side::Client => relayed.to_instance,
        Side::Instance => relayed.to_client,
    };
    (one, other, (relayed.summary, counter))
}

type Relay = (
    tokio::task::JoinHandle<sidecar::proxy::relay::Summary>,
    std::sync::Arc<std::sync::atomic::AtomicU64>,
);

/// Waits until the socket reports an error although nothing is read or written, and returns it.
async fn error_at_rest(stream: &TcpStream) -> ErrorKind {
    within("error", stream.ready(Interest::ERROR)).await.unwrap();
    stream.take_error().unwrap().expect("an error").kind()
}

#[tokio::test]
async fn a_reset_is_passed_on() {
    for side in [Side::Client, Side::Instance] {
        let (mut one, mut other, (summary, _)) = ends(relayed(b"", DEADLINE).await, side);
        one.write_all(b"before").await.unwrap();
        let mut received = [0; 6];
        within("bytes", other.read_exact(&mut received)).await.unwrap();
        reset(one);
        expect_reset(&mut other).await;
        let summary = finish(summary).await;
        assert_eq!(summary.end, End::Reset(side));
        let counted = match side {
            Side::Client => summary.to_instance,
            Side::Instance => summary.to_client,
        };
        assert_eq!(counted, 6, "bytes are counted however the relay ends");
    }
}

/// As after a server that answers and closes without having read everything.
#[tokio::test]
async fn bytes_sent_right_before_a_reset_arrive() {
    for side in [Side::Client, Side::Instance] {
        let (one, mut other, (summary, _)) = ends(relayed(b"", DEADLINE).await, side);
        // Both happen before the relay is polled.
        assert_eq!(one.try_write(b"last words").unwrap(), 10);
        reset(one);
        let mut received = [0; 10];
        within("bytes", other.read_exact(&mut received)).await.unwrap();
        assert_eq!(&received, b"last words");
        expect_reset(&mut other).await;
        assert_eq!(finish(summary).await.end, End::Reset(side));
    }
}

/// The kernel reports a reset once, here to the write; a read then sees the end of the stream.
#[tokio::test]
async fn a_reset_found_by_a_write_is_passed_on() {
    for side in [Side::Client, Side::Instance] {
        let (mut one, mut other, (summary, _)) = ends(relayed(b"", DEADLINE).await, side);
        // Polled once, so that the relay waits.
        one.write_all(b"before").await.unwrap();
        within("bytes", other.read_exact(&mut [0; 6])).await.unwrap();
        // Both happen before the relay is polled.
        assert_eq!(other.try_write(b"too late").unwrap(), 8);
        reset(one);
        expect_reset(&mut other).await;
        assert_eq!(finish(summary).await.end, End::Reset(side));
    }
}

#[tokio::test]
async fn a_reset_after_the_end_of_stream_is_passed_on() {
    for side in [Side::Client, Side::Instance] {
        let (mut one, mut other, (summary, _)) = ends(relayed(b"", DEADLINE).await, side);
        one.shutdown().await.unwrap();
        assert_eq!(within("end of stream", other.read(&mut [0; 8])).await.unwrap(), 0);
        reset(one);
        let kind = error_at_rest(&other).await;
        assert!(
            matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
            "{kind}"
        );
        assert_eq!(finish(summary).await.end, End::Reset(side));
    }
}

#[tokio::test]
async fn a_reset_by_the_side_that_got_the_end_of_stream_is_passed_on() {
    for side in [Side::Client, Side::Instance] {
        let (one, mut other, (summary, _)) = ends(relayed(b"", DEADLINE).await, side);
        other.shutdown().await.unwrap();
        let mut one = one;
        assert_eq!(within("end of stream", one.read(&mut [0; 8])).await.unwrap(), 0);
        reset(one);
        expect_reset(&mut other).await;
        assert_eq!(finish(summary).await.end, End::Reset(side));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_noticed_while_the_other_side_does_not_read() {
    for side in [Side::Client, Side::Instance] {
        let (one, other, (summary, counter)) = ends(relayed(b"", DEADLINE).await, side);
        loop {
            match one.try_write(&[7; 16 * 1024]) {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    let before = counter.load(std::sync::atomic::Ordering::Relaxed);
                    stalled(&counter).await;
                    // The buffers are full: what passed while we waited left no room.
                    if counter.load(std::sync::atomic::Ordering::Relaxed) == before {
                        break;
                    }
                    tokio::task::yield_now().await;
                    let _ = tokio::time::timeout(Duration::from_millis(50), one.writable()).await;
                }
            }
        }
        reset(one);
        assert_eq!(error_at_rest(&other).await, ErrorKind::ConnectionReset);
        assert_eq!(finish(summary).await.end, End::Reset(side));
    }
}

#[tokio::test]
async fn an_idle_connection_is_reset() {
    let mut relayed = relayed(b"", Duration::from_millis(50)).await;
    expect_reset(&mut relayed.client).await;
    expect_reset(&mut relayed.instance).await;
    assert_eq!(finish(relayed.summary).await.end, End::Idle);
}

#[tokio::test]
async fn bytes_in_either_direction_restart_the_idle_timeout() {
    let idle = Duration::from_secs(1);
    let mut relayed = relayed(b"", idle).await;
    let started = Instant::now();
    let mut turn = false;
    while started.elapsed() < idle * 5 / 2 {
        turn = !turn;
        let (from, to) = match turn {
            true => (&mut relayed.client, &mut relayed.instance),
            false => (&mut relayed.instance, &mut relayed.client),
        };
        from.write_all(b"x").await.unwrap();
        within("byte", to.read_exact(&mut [0; 1])).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    expect_reset(&mut relayed.client).await;
    assert_eq!(finish(relayed.summary).await.end, End::Idle);
}

#[tokio::test]
async fn an_abort_resets_both_sides_at_once() {
    let mut relayed = relayed(b"", DEADLINE).await;
    relayed.client.write_all(b"x").await.unwrap();
    within("byte", relayed.instance.read_exact(&mut [0; 1]))
        .await
        .unwrap();
    relayed.abort.cancel();
    expect_reset(&mut relayed.client).await;
    expect_reset(&mut relayed.instance).await;
    let summary = finish(relayed.summary).await;
    assert_eq!((summary.end, summary.to_instance), (End::Aborted, 1));
}
