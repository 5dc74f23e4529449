//! Long flows go through pipes, which are reused: no flow gets another's bytes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::relay::{finish, pattern, relayed, stalled};
use super::support::{DEADLINE, within};

/// On one thread, so that the flows reuse the same pipes.
#[tokio::test]
async fn bytes_of_an_aborted_flow_reach_no_other() {
    for round in 0..8 {
        // Aborted while its receiver reads nothing, so that bytes are left in its pipe.
        let broken = relayed(b"", DEADLINE).await;
        let (_reader, mut client) = broken.client.into_split();
        let sending = tokio::spawn(async move { client.write_all(&pattern(16 << 20, 0xaa)).await });
        let passed = stalled(&broken.to_instance).await;
        assert!(passed > 256 * 1024, "{passed} bytes make no long flow");
        broken.abort.cancel();
        finish(broken.summary).await;
        let _ = within("end of the sender", sending).await;

        let relayed = relayed(b"", DEADLINE).await;
        let sent = pattern(4 << 20, round);
        let (mut client, mut instance) = (relayed.client, relayed.instance);
        let sending = {
            let sent = sent.clone();
            tokio::spawn(async move {
                client.write_all(&sent).await.unwrap();
                client.shutdown().await.unwrap();
                client
            })
        };
        let mut received = Vec::new();
        within("bytes", instance.read_to_end(&mut received))
            .await
            .unwrap();
        assert!(
            received == sent,
            "round {round}: {} of {} bytes",
            received.len(),
            sent.len()
        );
        drop(instance);
        drop(sending.await.unwrap());
        assert_eq!(finish(relayed.summary).await.to_instance, sent.len() as u64);
    }
}

#[tokio::test]
async fn short_messages_after_a_long_one_arrive_at_once() {
    let relayed = relayed(b"", DEADLINE).await;
    let (mut client, mut instance) = (relayed.client, relayed.instance);
    let long = pattern(3 << 20, 9);
    let (sent, received) = tokio::join!(
        async {
            client.write_all(&long).await.unwrap();
        },
        async {
            let mut received = vec![0; long.len()];
            within("bytes", instance.read_exact(&mut received)).await.unwrap();
            received
        }
    );
    let () = sent;
    assert!(received == long);
    for word in ["one", "two", "six"] {
        client.write_all(word.as_bytes()).await.unwrap();
        let mut received = [0; 3];
        within("word", instance.read_exact(&mut received)).await.unwrap();
        assert_eq!(received, word.as_bytes());
        instance.write_all(&received).await.unwrap();
        within("echo", client.read_exact(&mut received)).await.unwrap();
    }
}
