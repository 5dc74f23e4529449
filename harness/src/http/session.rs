//! Requests one after the other on a connection that is kept: what looks often costs whom it looks at the least so.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{HttpError, MAX_BODY, Response};

/// A server that is asked again and again.
#[derive(Debug)]
pub struct Session {
    address: SocketAddr,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Full<Bytes>>,
    /// Moves the connection's bytes, and ends with it.
    _driver: JoinSet<hyper::Result<()>>,
}

impl Session {
    /// One with the server at `address`, to which it connects when it is first asked.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, open: None }
    }

    /// Sends `GET target` and reads the answer, all within `limit`. After a failure the next one begins a new
    /// connection.
    ///
    /// # Errors
    /// As [`super::get`].
    pub async fn get(&mut self, target: &str, limit: Duration) -> Result<Response, HttpError> {
        // Whatever breaks off meanwhile takes the connection with it.
        let open = self.open.take();
        let exchanged = tokio::time::timeout(limit, exchange(self.address, open, target)).await;
        let (open, response) = exchanged.map_err(|_| HttpError::Timeout(self.address, limit))??;
        self.open = Some(open);
        Ok(response)
    }
}

async fn exchange(
    address: SocketAddr,
    open: Option<Open>,
    target: &str,
) -> Result<(Open, Response), HttpError> {
    let failed = |error: &dyn std::fmt::Display| HttpError::Answer(address, error.to_string());
    let mut open = match open {
        Some(open) => open,
        None => connect(address).await?,
    };
    let request = Request::get(target)
        .header(header::HOST, address.to_string())
        .body(Full::default())
        .map_err(|error| failed(&error))?;
    open.sender.ready().await.map_err(|error| failed(&error))?;
    let response = open
        .sender
        .send_request(request)
        .await
        .map_err(|error| failed(&error))?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|error| failed(&error))?.to_bytes();
    Ok((open, Response { status, body }))
}

async fn connect(address: SocketAddr) -> Result<Open, HttpError> {
    let connected = TcpStream::connect(address).await;
    let stream = connected.map_err(|error| HttpError::Connect(address, error))?;
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| HttpError::Answer(address, error.to_string()))?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    Ok(Open {
        sender,
        _driver: driver,
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    async fn serve(listener: &TcpListener, answers: usize) {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..answers {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
            stream.write_all(answer).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_connection_is_kept_and_replaced_once_it_is_broken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut session = Session::new(listener.local_addr().unwrap());
        let asking = async {
            for _ in 0..2 {
                assert_eq!(session.get("/", LIMIT).await.unwrap().status, 200);
            }
        };
        tokio::join!(serve(&listener, 2), asking);
        assert!(session.get("/", LIMIT).await.is_err(), "the server has closed");
        let (_, response) = tokio::join!(serve(&listener, 1), session.get("/", LIMIT));
        assert_eq!(response.unwrap().body, Bytes::from_static(b"yes"));
    }
}
