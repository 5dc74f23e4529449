//! Connections that wait while no endpoint takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sidecar::health;
use sidecar::own_listeners::OwnListeners;
use sidecar::proxy::{Limits, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::support::{backends, eventually, instance, instance_on, lb, prove, read_line, refusing, within};

/// Connections wait for longer than any test.
fn holding() -> Limits {
    Limits {
        hold: Duration::from_secs(300),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_connection_waits_for_its_first_endpoint() {
    let (groups, group) = backends("g", &[]);
    let lb = lb(groups, holding());
    let mut client = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    client.write_all(b"early\n").await.unwrap();
    eventually(|| (lb.listener().active() != 1).then(|| "it is not held".to_owned())).await;
    let address = instance("one").await;
    group.set_learned(vec![("one".to_owned(), address, 10)]);
    prove(&group);
    assert_eq!(within("name", read_line(&mut client)).await, "one");
    assert_eq!(within("echo", read_line(&mut client)).await, "early");
}

#[tokio::test]
async fn a_connection_that_fails_everywhere_waits_until_a_server_listens_again() {
    let (socket, address) = refusing();
    let (groups, group) = backends("g", &[(address, 10)]);
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    health::spawn(Arc::clone(&group), OwnListeners::default(), stop);
    let lb = lb(groups, holding());
    let mut client = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    let failed = || {
        group.servers()[0]
            .connects
            .failed
            .iter()
            .map(|(_, count)| count)
            .sum::<u64>()
    };
    eventually(|| (failed() == 0).then(|| "no attempt has failed".to_owned())).await;
    socket.listen(16).unwrap();
    socket.set_nonblocking(true).unwrap();
    instance_on(TcpListener::from_std(socket.into()).unwrap(), "again");
    assert_eq!(within("name", read_line(&mut client)).await, "again");
}

#[tokio::test]
async fn a_held_connection_is_reset_when_its_time_is_over() {
    let (groups, _) = backends("g", &[]);
    let limits = Limits {
        hold: Duration::from_millis(50),
        ..Limits::default()
    };
    let lb = lb(groups, limits);
    let mut client = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    let error = within("end", client.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    assert_eq!(lb.listener().refusals().of(Refusal::NoInstance), 1);
}

#[tokio::test]
async fn a_held_connection_ends_when_its_client_leaves() {
    let (groups, _) = backends("g", &[]);
    let lb = lb(groups, holding());
    for with_data in [true, false] {
        let mut client = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
        if with_data {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        }
        eventually(|| (lb.listener().active() != 1).then(|| "it is not held".to_owned())).await;
        drop(client);
        eventually(|| (lb.listener().active() != 0).then(|| "it is held without its client".to_owned()))
            .await;
    }
    assert_eq!(lb.listener().refusals().of(Refusal::Aborted), 2);
}

/// An endpoint that works on one request at a time, and counts the requests that it has.
#[tokio::test]
async fn a_released_crowd_does_not_stampede() {
    const CROWD: usize = 300;
    let (groups, group) = backends("g", &[]);
    let lb = lb(groups, holding());
    let mut clients = JoinSet::new();
    for _ in 0..CROWD {
        let address = lb.listener().local_addr();
        clients.spawn(async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"x").await.unwrap();
            client.read_u8().await
        });
    }
    eventually(|| {
        let held = lb.listener().active();
        (held < CROWD).then(|| format!("{held} are held"))
    })
    .await;
    let (waiting, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    let counted = (Arc::clone(&waiting), Arc::clone(&most));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (waiting, most) = (Arc::clone(&counted.0), Arc::clone(&counted.1));
            let turn = Arc::clone(&turn);
            let now = waiting.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            tokio::spawn(async move {
                stream.read_u8().await?;
                let turn = turn.lock().await;
                // What a request costs; the others wait for it.
                tokio::time::sleep(Duration::from_millis(2)).await;
                drop(turn);
                waiting.fetch_sub(1, Ordering::SeqCst);
                stream.write_all(b"y").await
            });
        }
    });
    group.set_learned(vec![("one".to_owned(), address, 10)]);
    prove(&group);
    while let Some(answer) = within("answer", clients.join_next()).await {
        assert_eq!(answer.unwrap().unwrap(), b'y');
    }
    let most = most.load(Ordering::SeqCst);
    assert!(most <= CROWD / 4, "{most} requests were at the endpoint at once");
}

#[tokio::test]
async fn without_holding_a_connection_is_refused_at_once() {
    let (groups, _) = backends("g", &[]);
    let lb = lb(groups, Limits::default());
    let mut client = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    let error = within("end", client.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    lb.listener().set_hold(Duration::from_millis(1));
    let mut client = TcpStream::connect(lb.listener().local_addr()).await.unwrap();
    assert!(within("end", client.read_u8()).await.is_err());
}
