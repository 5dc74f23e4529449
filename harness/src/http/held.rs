//! A request whose last bytes are held back, so that it stays in flight until the caller releases it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::{Request, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, copy_bidirectional};
use tokio::net::TcpStream;

use super::{Connection, HttpError, Response, Version, connect, failed, within};

/// The end of a request's head; its second half is held back.
const HEAD_END: &[u8] = b"\r\n\r\n";
/// Capacity of the pipe between the client and the socket, in bytes; larger than any request without a body.
const PIPE: usize = 16 * 1024;

/// A request that has been sent except for its last, empty line.
pub struct HeldRequest {
    address: SocketAddr,
    stream: TcpStream,
    /// The client's connection, which is joined to `stream` when the request is released.
    client: DuplexStream,
    response: BoxFuture<'static, Result<Response, HttpError>>,
}

impl std::fmt::Debug for HeldRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldRequest")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl HeldRequest {
    /// Connects to `address` and sends `GET target` except the empty line that ends its head, within `limit`.
    ///
    /// # Errors
    /// As [`super::get`].
    pub async fn send(address: SocketAddr, target: &str, limit: Duration) -> Result<Self, HttpError> {
        let request = Request::get(target).header(header::CONNECTION, "close");
        within(limit, address, async {
            let mut stream = connect(address).await?;
            let (pipe, mut client) = tokio::io::duplex(PIPE);
            let mut connection = Connection::over(address, pipe, Version::Http1).await?;
            let mut response: BoxFuture<'static, _> =
                Box::pin(async move { Ok(connection.send(request, Bytes::new()).await?) });
            let mut head = Vec::new();
            while !head.ends_with(HEAD_END) {
                tokio::select! {
                    read = client.read_buf(&mut head) => drop(read.map_err(failed(address))?),
                    early = &mut response => return Err(early.map_or_else(|error| error, |_| no_answer(address))),
                }
            }
            head.truncate(head.len() - HEAD_END.len() / 2);
            stream.write_all(&head).await.map_err(failed(address))?;
            Ok(Self {
                address,
                stream,
                client,
                response,
            })
        })
        .await
    }

    /// Sends the end of the request and reads the response, within `limit`.
    ///
    /// # Errors
    /// As [`super::get`].
    pub async fn release(mut self, limit: Duration) -> Result<Response, HttpError> {
        let address = self.address;
        within(limit, address, async {
            let rest = &HEAD_END[HEAD_END.len() / 2..];
            self.stream.write_all(rest).await.map_err(failed(address))?;
            let joined = copy_bidirectional(&mut self.client, &mut self.stream);
            tokio::select! {
                response = &mut self.response => response,
                // The server closed the connection; the bytes that it sent before are in the pipe.
                _ = joined => self.response.await,
            }
        })
        .await
    }
}

fn no_answer(address: SocketAddr) -> HttpError {
    HttpError::Answer(address, "an answer before the request was sent".to_owned())
}
