//! What the kernel holds for a receiver that stops reading is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sidecar::proxy::{Limits, RECEIVE_BUFFER, UNSENT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use super::support::{DEADLINE, backends, lb, loopback, within};

/// Buffers of the test's own sockets, which the kernel doubles.
const OWN: u32 = 64 * 1024;

/// Bytes that pass before the receiver stops, so that the kernel grows what it may.
const FIRST: usize = 64 << 20;

/// The most that the relay may hold, the test's own buffers included.
const MOST: usize = 2 * RECEIVE_BUFFER + 4 * UNSENT as usize + 4 * OWN as usize + (256 << 10);

async fn write(mut stream: TcpStream, written: Arc<AtomicUsize>) {
    let chunk = vec![7; 64 << 10];
    while let Ok(count) = stream.write(&chunk).await {
        written.fetch_add(count, Ordering::Relaxed);
    }
}

async fn read(stream: &mut TcpStream) {
    let mut buffer = vec![0; 256 << 10];
    let mut left = FIRST;
    while left > 0 {
        let end = left.min(buffer.len());
        let count = within("byte", stream.read(&mut buffer[..end])).await.unwrap();
        assert!(count > 0, "the stream ended");
        left -= count;
    }
}

/// The bytes written, once no more are.
async fn settled(written: &AtomicUsize) -> usize {
    let (deadline, mut last, mut same) = (Instant::now() + DEADLINE, 0, 0);
    while same < 20 {
        assert!(Instant::now() < deadline, "{last} bytes and counting");
        sleep(Duration::from_millis(25)).await;
        let now = written.load(Ordering::Relaxed);
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

/// A client and its instance, connected through a load balancer that is leaked.
async fn connected() -> (TcpStream, TcpStream) {
    let own = TcpSocket::new_v4().unwrap();
    own.set_send_buffer_size(OWN).unwrap();
    own.set_recv_buffer_size(OWN).unwrap();
    own.bind(loopback()).unwrap();
    let listener = own.listen(16).unwrap();
    let (groups, _) = backends("g", &[(listener.local_addr().unwrap(), 10)]);
    let lb = Box::leak(Box::new(lb(groups, Limits::default())));
    let own = TcpSocket::new_v4().unwrap();
    own.set_send_buffer_size(OWN).unwrap();
    own.set_recv_buffer_size(OWN).unwrap();
    let client = own.connect(lb.listener().local_addr()).await.unwrap();
    let (instance, _) = within("connection", listener.accept()).await.unwrap();
    (client, instance)
}

async fn holds(mut reader: TcpStream, writer: TcpStream) -> usize {
    let written = Arc::new(AtomicUsize::new(0));
    tokio::spawn(write(writer, Arc::clone(&written)));
    read(&mut reader).await;
    settled(&written).await - FIRST
}

#[tokio::test]
async fn a_client_that_stops_reading_pins_a_bounded_amount_of_memory() {
    let (client, instance) = connected().await;
    let held = holds(client, instance).await;
    assert!(held <= MOST, "{held} bytes are held, at most {MOST} expected");
}

#[tokio::test]
async fn an_instance_that_stops_reading_pins_a_bounded_amount_of_memory() {
    let (client, instance) = connected().await;
    let held = holds(instance, client).await;
    assert!(held <= MOST, "{held} bytes are held, at most {MOST} expected");
}
