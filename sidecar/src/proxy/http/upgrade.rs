//! A connection that has left HTTP (RFC 9110, section 7.8): bytes pass in both directions until either side ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::serve;
use super::instance::InstanceStream;
use super::source::Source;
use crate::balance::{Lease, Protocol, ServerGroup};
use crate::proxy::connect::Connected;
use crate::proxy::connection::Connection;
use crate::proxy::hold::Release;

/// Time for the two connections to leave HTTP after the answer was passed on.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a client's connection becomes.
pub(super) enum Upgrade {
    /// One with an instance that has agreed to it.
    Agreed { on: OnUpgrade, lease: Lease },
    /// One with the endpoint that a proxy has connected it to; its client may have been held.
    Bytes(Connected, Option<Release>),
    /// One of requests to the group that the client of a proxy has named.
    Requests(Arc<ServerGroup>, Protocol),
}

impl Upgrade {
    /// Passes on what the client sends from here on, of which `unread` bytes are known.
    pub(super) async fn relay(self, client: TcpStream, unread: Bytes, mut connection: Connection) {
        match self {
            Self::Agreed { on, lease } => agreed(on, lease, client, unread, connection).await,
            Self::Bytes(connected, release) => {
                connection.was_held(release);
                connection.relay(client, connected, unread.to_vec()).await;
            }
            Self::Requests(group, protocol) => {
                serve(client, unread, connection, Source::Group(group), protocol).await;
            }
        }
    }
}

/// Relays between the client and the instance.
async fn agreed(on: OnUpgrade, lease: Lease, mut client: TcpStream, unread: Bytes, connection: Connection) {
    let Ok(Ok(upgraded)) = timeout(TIMEOUT, on).await else {
        return;
    };
    let Ok(parts) = upgraded.downcast::<InstanceStream>() else {
        return;
    };
    let Some((stream, _)) = parts.io.into_inner().take() else {
        return;
    };
    // What the instance sent along with its answer.
    if !matches!(
        timeout(TIMEOUT, client.write_all(&parts.read_buf)).await,
        Ok(Ok(()))
    ) {
        return;
    }
    let connected = Connected {
        stream,
        address: lease.address(),
        lease: Some(lease),
        sent: 0,
    };
    connection.relay(client, connected, unread.to_vec()).await;
}
