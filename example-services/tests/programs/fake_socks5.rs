//! A SOCKS5 server with scripted behaviour that records the requested destinations.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// How the server handles a connection.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// Connects requests to these addresses in turn.
    Connect(Vec<SocketAddr>),
    /// Connects after a notification.
    ConnectWhenNotified(Arc<Notify>, SocketAddr),
    /// Replies with this code.
    Refuse(u8),
    /// Asks for this authentication method.
    Authenticate(u8),
    /// Answers the greeting with these bytes and closes.
    Say(&'static [u8]),
    /// Closes the connection at once.
    Close,
    /// Sends nothing.
    SilentAtOnce,
    /// Answers the greeting, then sends nothing.
    SilentAfterGreeting,
    /// Replies with success, then sends nothing.
    SilentAfterReply,
}

pub(crate) struct FakeSocks5 {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeSocks5 {
    pub(crate) async fn start(behaviour: Behaviour) -> FakeSocks5 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, behaviour.clone(), Arc::clone(&record)));
            }
        });
        FakeSocks5 { address, asked }
    }

    /// The destinations requested so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("the record").clone()
    }
}

async fn serve(mut stream: TcpStream, behaviour: Behaviour, asked: Arc<Mutex<Vec<String>>>) -> Option<()> {
    match behaviour {
        Behaviour::Close => return None,
        Behaviour::SilentAtOnce => std::future::pending().await,
        _ => {}
    }
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).await.ok()?;
    assert_eq!(greeting, [5, 1, 0]);
    match behaviour {
        Behaviour::Say(bytes) => return stream.write_all(bytes).await.ok(),
        Behaviour::Authenticate(method) => return stream.write_all(&[5, method]).await.ok(),
        _ => stream.write_all(&[5, 0]).await.ok()?,
    }

    let mut head = [0; 5];
    stream.read_exact(&mut head).await.ok()?;
    assert_eq!(head[..4], [5, 1, 0, 3]);
    let mut rest = vec![0; usize::from(head[4]) + 2];
    stream.read_exact(&mut rest).await.ok()?;
    let (domain, port) = rest.split_at(usize::from(head[4]));
    let domain = std::str::from_utf8(domain).expect("a domain name in UTF-8");
    let nth = {
        let mut asked = asked.lock().expect("the record");
        asked.push(format!("{domain}:{}", u16::from_be_bytes([port[0], port[1]])));
        asked.len() - 1
    };
    let instance = match behaviour {
        Behaviour::Connect(instances) => instances[nth % instances.len()],
        Behaviour::ConnectWhenNotified(notify, instance) => {
            notify.notified().await;
            instance
        }
        Behaviour::Refuse(code) => return stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok(),
        Behaviour::SilentAfterGreeting => std::future::pending().await,
        _ => {
            stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.ok()?;
            std::future::pending().await
        }
    };
    let mut instance = TcpStream::connect(instance).await.expect("the instance");
    // A domain name is a valid, if unusual, bound address.
    stream.write_all(b"\x05\x00\x00\x03\x03abc\x00\x50").await.ok()?;
    copy_bidirectional(&mut stream, &mut instance).await.ok()?;
    Some(())
}
