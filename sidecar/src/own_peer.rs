//! Connections that go to themselves. To a port of this machine where nobody listens that comes about once in some
//! 28,000 times, when the system happens to choose that very port for our side: both ends then open at once (RFC 9293,
//! section 3.5), and what is sent comes back.

use std::fs;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use tokio::net::TcpStream;

/// The ports that the system chooses from for our side; all, where it does not tell.
static CHOSEN: LazyLock<RangeInclusive<u16>> = LazyLock::new(|| {
    let told = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range(&told).unwrap_or(0..=u16::MAX)
});

/// Whether a connection goes to itself.
pub(crate) fn goes_to_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}

/// Whether a connection to this port may go to itself, told without asking the system.
pub(crate) fn may_be_chosen(port: u16) -> bool {
    CHOSEN.contains(&port)
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ports = text.split_whitespace().map(str::parse);
    Some(ports.next()?.ok()?..=ports.next()?.ok()?)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// A connection that goes to itself.
    pub(crate) async fn to_itself() -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let own = socket.local_addr().unwrap();
        socket.connect(own).await.unwrap()
    }

    #[tokio::test]
    async fn who_reached_itself_reached_nobody() {
        let stream = to_itself().await;
        assert!(goes_to_itself(&stream));
        assert!(may_be_chosen(stream.local_addr().unwrap().port()));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!goes_to_itself(&other));
    }

    #[test]
    fn the_range_is_read_as_the_system_writes_it() {
        assert_eq!(range("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(range(""), None);
    }
}
