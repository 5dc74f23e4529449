//! Asks a name server once: by UDP, and by TCP if the answer does not fit.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::message::{Answer, Question};
use crate::interface::IpType;
use crate::limits::{BUDGET, CheckLane};

/// Largest message by UDP that is read, in bytes; servers keep to the size in the question.
const MAX_DATAGRAM: usize = 4096;

/// Why a host name's addresses are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// The server was not reached.
    #[error("name server {0}: {1}")]
    Unreached(SocketAddr, io::Error),
    /// The server does not know either.
    #[error("name server {0} answers with code {1}")]
    Failed(SocketAddr, u8),
    /// The server did not answer in time.
    #[error("name server {0} does not answer")]
    TooSlow(SocketAddr),
    /// There is no server to ask.
    #[error("no name server is known")]
    NoServer,
}

/// Asks the servers in order until one knows the addresses of a host name, each for its share of `limit`.
pub(super) async fn ask(
    servers: &[SocketAddr],
    host: &str,
    family: IpType,
    limit: Duration,
) -> Result<BTreeSet<IpAddr>, Unanswered> {
    let share = limit / u32::try_from(servers.len().max(1)).unwrap_or(1);
    let mut last = Unanswered::NoServer;
    for server in servers.iter().copied() {
        let _descriptor = BUDGET.check(CheckLane::Up).await;
        last = match timeout(share, ask_server(server, host, family)).await {
            Ok(Ok(Answer::Addresses(addresses))) => return Ok(addresses),
            Ok(Ok(Answer::Failed(code))) => Unanswered::Failed(server, code),
            // By TCP no answer is too long.
            Ok(Ok(Answer::Truncated)) => Unanswered::Unreached(server, io::ErrorKind::InvalidData.into()),
            Ok(Err(error)) => Unanswered::Unreached(server, error),
            Err(_) => Unanswered::TooSlow(server),
        };
    }
    Err(last)
}

async fn ask_server(server: SocketAddr, host: &str, family: IpType) -> io::Result<Answer> {
    let id = rand::random();
    let question = Question { id, host, family };
    match by_udp(server, question).await? {
        Answer::Truncated => by_tcp(server, question).await,
        answer => Ok(answer),
    }
}

async fn by_udp(server: SocketAddr, question: Question<'_>) -> io::Result<Answer> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for each question, so that others can hardly answer in the server's place.
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM.nonblocking(), None)?;
    socket.bind(&SocketAddr::new(any, 0).into())?;
    socket.connect(&server.into())?;
    // Before tokio has it, which would first wait until it can be written to: an idle waypoint wakes up for that.
    socket.send(&question.encode())?;
    let socket = UdpSocket::from_std(socket.into())?;
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Ok(answer) = question.answer(&buffer[..length]) {
            return Ok(answer);
        }
    }
}

async fn by_tcp(server: SocketAddr, question: Question<'_>) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    let question_bytes = question.encode();
    let length = u16::try_from(question_bytes.len()).map_err(io::Error::other)?;
    let message = [&length.to_be_bytes()[..], &question_bytes].concat();
    stream.write_all(&message).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    question
        .answer(&answer)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not an answer to the question"))
}
