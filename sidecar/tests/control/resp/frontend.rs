//! Configures an empty sidecar as a frontend's over RESP, and checks the traffic after each step.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use redis::RedisConnectionInfo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_socks::tcp::Socks5Stream;

use super::process::{Client, Sidecar};

const WAIT_TIMEOUT: Duration = Duration::from_secs(20);
const A: &str = "a.my.service.com:80";
const B: &str = "b.my.service.com:80";

/// A service that sends its name, then echoes.
async fn service(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                if to.write_all(name.as_bytes()).await.is_ok() {
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                }
            });
        }
    });
    address
}

/// Executes a command that succeeds.
fn done(client: &mut Client, line: &str) {
    assert_eq!(client.run(line), Ok("OK".to_owned()), "{line}");
}

fn refused(client: &mut Client, line: &str, expected: &str) {
    let error = client.run::<redis::Value>(line).expect_err(line);
    // The client takes the first word for a code.
    let error = [error.code(), error.detail()]
        .map(Option::unwrap_or_default)
        .join(" ");
    assert!(error.contains(expected), "{line}: {error}");
}

fn listed(client: &mut Client, line: &str) -> Vec<String> {
    client.run(line).unwrap_or_else(|e| panic!("{line}: {e}"))
}

fn bound(client: &mut Client, listener: &str) -> SocketAddr {
    let addresses = listed(client, &format!("list-detail bind-server in {listener}"));
    let [address] = addresses.as_slice() else {
        panic!("{listener}: {addresses:?}");
    };
    address.parse().expect("an address")
}

/// Reads the name of the service, or returns the error.
async fn name(stream: &mut (impl AsyncReadExt + Unpin)) -> Result<String, String> {
    let mut name = [0; 1];
    let read = tokio::time::timeout(WAIT_TIMEOUT, stream.read_exact(&mut name)).await;
    read.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&name).into_owned())
}

async fn through_socks(proxy: SocketAddr, destination: &str) -> Result<String, String> {
    let connected = Socks5Stream::connect(proxy, destination).await;
    name(&mut connected.map_err(|e| e.to_string())?).await
}

async fn direct(address: SocketAddr) -> Result<String, String> {
    let mut stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    name(&mut stream).await
}

/// Waits until a destination is answered as expected.
async fn answered(proxy: SocketAddr, destination: &str, expected: &str) {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    loop {
        let got = through_socks(proxy, destination).await;
        if got.as_deref() == Ok(expected) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{destination} is to be answered by {expected}, got {got:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_configures_a_frontend_step_by_step() {
    let (first, second, third) = (service("1").await, service("2").await, service("3").await);
    let sidecar = Sidecar::start(&[], &[]);
    let mut client = sidecar
        .connect(RedisConnectionInfo::default())
        .expect("it accepts");
    let client = &mut client;
    for resource in [
        "server-groups",
        "server-group",
        "tcp-lb",
        "socks5-server",
        "security-group",
    ] {
        assert!(
            listed(client, &format!("list {resource}")).is_empty(),
            "{resource}"
        );
    }

    // No group has a server yet.
    done(client, "add server-groups sgs0");
    let check = "timeout 500 period 20 up 1 down 2";
    done(client, &format!("add server-group {A} {check}"));
    done(client, &format!("add server-group {B} {check}"));
    done(client, &format!("add server-group {A} to server-groups sgs0"));
    done(
        client,
        "add socks5-server sidecar address 127.0.0.1:0 server-groups sgs0",
    );
    let socks = bound(client, "socks5-server sidecar");
    for destination in [A, B, "elsewhere.example:80"] {
        through_socks(socks, destination).await.expect_err(destination);
    }

    // One group has a server.
    done(
        client,
        &format!("add server one to server-group {A} address {first}"),
    );
    answered(socks, A, "1").await;
    assert_eq!(
        listed(client, &format!("list-detail server in server-group {A}")),
        [format!("one -> connect-to {first} weight 10 currently UP")]
    );
    through_socks(socks, B).await.expect_err("it is not attached");

    // The other group is configured in short words.
    done(client, &format!("a svr three to sg {B} addr {third} w 5"));
    done(client, &format!("a sg {B} to sgs sgs0"));
    assert_eq!(
        listed(client, "L sg in sgs sgs0"),
        [A, B].map(|group| format!("{group} -> {check} method wrr weight 10"))
    );
    answered(socks, B, "3").await;
    answered(socks, A, "1").await;

    // A second server takes its share, and then all connections once the first has weight 0.
    done(
        client,
        &format!("add server two to server-group {A} address {second}"),
    );
    answered(socks, A, "2").await;
    answered(socks, A, "1").await;
    done(client, &format!("update server one in server-group {A} weight 0"));
    for _ in 0..8 {
        assert_eq!(through_socks(socks, A).await.as_deref(), Ok("2"));
    }

    // A load balancer uses the same groups; an error about their removal names it.
    done(client, "add server-groups sgs1");
    done(client, &format!("add server-group {B} to server-groups sgs1"));
    done(client, "add tcp-lb lb0 address 127.0.0.1:0 server-groups sgs1");
    let balancer = bound(client, "tcp-lb lb0");
    assert_eq!(direct(balancer).await.as_deref(), Ok("3"));
    refused(
        client,
        "remove server-groups sgs1",
        "server-groups sgs1 is used by tcp-lb lb0",
    );
    refused(
        client,
        "add tcp-lb lb0 address 127.0.0.1:0 server-groups sgs1",
        "the resource already exists",
    );
    refused(
        client,
        &format!("add tcp-lb lb1 address {balancer} server-groups sgs1"),
        "in use",
    );
    refused(client, "remove tcp-lb lb1", "the resource could not be found");
    assert!(
        client
            .run::<u64>("list accepted-conn-count in tcp-lb lb0")
            .expect("a number")
            >= 1
    );

    // Its security group changes while it listens.
    done(client, "add security-group nobody default deny");
    done(client, "update tcp-lb lb0 security-group nobody");
    direct(balancer).await.expect_err("no client is allowed");
    done(
        client,
        "add security-group-rule local to security-group nobody network 127.0.0.0/8 protocol TCP port-range 1,65535 default allow",
    );
    assert_eq!(direct(balancer).await.as_deref(), Ok("3"));

    // Commands that need a mesh are refused.
    let delegate = format!("add smart-group-delegate d service s zone z server-group {A}");
    refused(
        client,
        &delegate,
        "this sidecar is in no mesh: start it with --discovery-config",
    );
    refused(
        client,
        "add smart-node-delegate d service s zone z nic lo",
        "no mesh",
    );
    assert!(listed(client, "list smart-group-delegate").is_empty());

    // A connection outlives its listener.
    let mut kept = TcpStream::connect(balancer).await.expect("it listens");
    assert_eq!(name(&mut kept).await.as_deref(), Ok("3"));
    done(client, "remove tcp-lb lb0");
    direct(balancer).await.expect_err("the listener is closed");
    kept.write_all(b"x")
        .await
        .expect("the connection still reaches the service");
    assert_eq!(name(&mut kept).await.as_deref(), Ok("x"));
    done(client, "remove server-groups sgs1");

    // A detached group is no longer a destination; the other still is.
    done(
        client,
        &format!("remove server-group {B} from server-groups sgs0"),
    );
    through_socks(socks, B).await.expect_err("it is detached");
    assert_eq!(through_socks(socks, A).await.as_deref(), Ok("2"));
    sidecar.stop();
}
