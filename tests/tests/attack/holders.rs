//! Clients that hold what they can of a server and never get on: by what they send byte by byte, by what they never read, by
//! requests that never end, and by passwords that they guess.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::interval;

use crate::doors::log_in;
use crate::mesh::Member;
use crate::namespace::Host;

/// Connections held at once at each target.
const HELD: usize = 30;
/// Guessers of passwords at once at each member.
const GUESSERS: usize = 4;
/// Pause between two passes over all connections.
const PASS: Duration = Duration::from_millis(100);
const CONNECT: Duration = Duration::from_secs(1);

/// How a client holds its connection.
#[derive(Clone, Copy)]
pub(crate) enum Hold {
    /// It sends a byte of a head in each pass; the head never ends.
    Trickle,
    /// It sends requests of this path while the server takes them, and reads no answer.
    NeverRead(&'static str),
    /// It sends half of an exchange.
    HalfAnExchange,
}

impl Hold {
    /// What is sent next, after this many bytes.
    fn next(self, sent: usize) -> Vec<u8> {
        match self {
            Self::Trickle => {
                let head = b"GET / HTTP/1.1\r\nHost: node\r\nX-Slow: ";
                vec![head.get(sent).copied().unwrap_or(b'x')]
            }
            Self::NeverRead(path) => {
                let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n").into_bytes();
                let from = sent % request.len();
                [&request[from..], &request.repeat(20)].concat()
            }
            Self::HalfAnExchange => {
                let request = b"PUT /discovery/api/v1/exchange/node HTTP/1.1\r\nContent-Length: 9";
                request.get(sent..).unwrap_or_default().to_vec()
            }
        }
    }
}

/// Holds connections to each target, for ever; those that the server ends are made again.
pub(crate) async fn hold(from: &Host, targets: &[SocketAddr], hold: Hold) {
    let mut ticks = interval(PASS);
    let all = targets.iter().flat_map(|target| [*target; HELD]);
    let mut held: Vec<(SocketAddr, Option<TcpStream>, usize)> = all.map(|it| (it, None, 0)).collect();
    loop {
        ticks.tick().await;
        for (target, stream, sent) in &mut held {
            let Some(open) = stream else {
                let connecting = tokio::time::timeout(CONNECT, from.connect(*target)).await;
                (*stream, *sent) = (connecting.ok().and_then(Result::ok), 0);
                continue;
            };
            match open.try_write(&hold.next(*sent)) {
                Ok(written) => *sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => *stream = None,
            }
        }
    }
}

/// Guesses the passwords of these members' RESP controllers, for ever.
pub(crate) async fn guess(from: &Host, members: &[&Member]) {
    loop {
        let guesses = members.iter().flat_map(|member| [*member; GUESSERS]);
        // Each is refused, or there was no answer in time.
        futures_util::future::join_all(guesses.map(|member| log_in(from, member, "guess"))).await;
    }
}
