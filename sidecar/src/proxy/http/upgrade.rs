//! A connection that has left HTTP (RFC 9110, section 7.8): bytes pass in both directions until either side ends.

use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::instance::InstanceStream;
use crate::balance::Lease;
use crate::proxy::connect::Connected;
use crate::proxy::connection::Connection;

/// Time for the two connections to leave HTTP after the answer was passed on.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The connection to an instance that has agreed to an upgrade.
pub(super) struct Upgrade {
    pub(super) on: OnUpgrade,
    pub(super) lease: Lease,
}

impl Upgrade {
    /// Relays between the client, of which `unread` bytes are known, and the instance.
    pub(super) async fn relay(self, mut client: TcpStream, unread: Bytes, connection: Connection) {
        let Ok(Ok(upgraded)) = timeout(TIMEOUT, self.on).await else {
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
            address: self.lease.address(),
            lease: Some(self.lease),
            sent: 0,
        };
        connection.relay(client, connected, unread.to_vec()).await;
    }
}
