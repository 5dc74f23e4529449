//! A SOCKS5 server that does what a test wants, and a record of what it was asked for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What the server does with a connection.
#[derive(Clone)]
pub(crate) enum Manner {
    /// Connects the n-th request to the n-th of these, in turn.
    Connect(Vec<SocketAddr>),
    /// Waits with the reply until it is told, then connects.
    ConnectWhenTold(Arc<Notify>, SocketAddr),
    /// Replies with this code.
    Refuse(u8),
    /// Asks for this authentication method.
    Authenticate(u8),
    /// Answers the greeting with these bytes and closes.
    Say(&'static [u8]),
    /// Closes at once.
    Close,
    /// Takes the connection and says nothing.
    SilentAtOnce,
    /// Answers the greeting and then says nothing.
    SilentAfterGreeting,
    /// Says yes and then nothing.
    SilentAfterReply,
}

pub(crate) struct FakeSocks5 {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeSocks5 {
    pub(crate) async fn start(manner: Manner) -> FakeSocks5 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner.clone(), Arc::clone(&record)));
            }
        });
        FakeSocks5 { address, asked }
    }

    /// The destinations asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("the record").clone()
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, asked: Arc<Mutex<Vec<String>>>) -> Option<()> {
    match manner {
        Manner::Close => return None,
        Manner::SilentAtOnce => std::future::pending().await,
        _ => {}
    }
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).await.ok()?;
    assert_eq!(greeting, [5, 1, 0]);
    match manner {
        Manner::Say(bytes) => return stream.write_all(bytes).await.ok(),
        Manner::Authenticate(method) => return stream.write_all(&[5, method]).await.ok(),
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
    let instance = match manner {
        Manner::Connect(instances) => instances[nth % instances.len()],
        Manner::ConnectWhenTold(told, instance) => {
            told.notified().await;
            instance
        }
        Manner::Refuse(code) => return stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok(),
        Manner::SilentAfterGreeting => std::future::pending().await,
        _ => {
            stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.ok()?;
            std::future::pending().await
        }
    };
    let mut instance = TcpStream::connect(instance).await.expect("the instance");
    // A domain name as the bound address is unusual and allowed.
    stream.write_all(b"\x05\x00\x00\x03\x03abc\x00\x50").await.ok()?;
    copy_bidirectional(&mut stream, &mut instance).await.ok()?;
    Some(())
}
