//! An urgent byte is not part of the stream (tcp(7)) and is dropped; the bytes after it are not.

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::relay::{finish, pattern, relayed};
use super::support::{DEADLINE, within};

/// Sends `before` bytes, an urgent byte and `after` more, and compares what arrives.
async fn arrives(before: usize, after: usize) {
    let relayed = relayed(b"", DEADLINE * 2).await;
    let (mut client, mut instance) = (relayed.client, relayed.instance);
    let sent = pattern(before + after, 1);
    let sending = {
        let sent = sent.clone();
        tokio::spawn(async move {
            client.write_all(&sent[..before]).await.unwrap();
            client.writable().await.unwrap();
            assert_eq!(SockRef::from(&client).send_out_of_band(b"!").unwrap(), 1);
            client.write_all(&sent[before..]).await.unwrap();
            client.shutdown().await.unwrap();
            client
        })
    };
    let mut received = Vec::new();
    within("end of the bytes", instance.read_to_end(&mut received))
        .await
        .unwrap();
    assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
    drop((instance, within("end of the sender", sending).await.unwrap()));
    assert_eq!(finish(relayed.summary).await.to_instance, sent.len() as u64);
}

#[tokio::test]
async fn a_long_flow_goes_on_after_an_urgent_byte() {
    arrives(1 << 20, 4 << 20).await;
}

#[tokio::test]
async fn a_long_flow_passes_the_bytes_after_an_urgent_byte_at_its_end() {
    arrives(1 << 20, 1000).await;
}
