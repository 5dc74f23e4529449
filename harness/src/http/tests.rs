use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};

use super::*;

const LIMIT: Duration = Duration::from_secs(5);
const YES: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Reads until the bytes end with `end`.
async fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        assert!(stream.read_buf(&mut read).await.unwrap() > 0, "the client closed");
    }
    String::from_utf8(read).unwrap()
}

/// Accepts one connection and sends `answer` to each of `count` requests on it, then closes.
async fn serve(listener: &TcpListener, count: usize, answer: &[u8]) {
    let (mut stream, _) = listener.accept().await.unwrap();
    for _ in 0..count {
        read_to(&mut stream, "\r\n\r\n").await;
        stream.write_all(answer).await.unwrap();
    }
}

#[tokio::test]
async fn a_post_carries_its_json_and_token() {
    let (listener, address) = listener().await;
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_to(&mut stream, "{}").await;
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
        request.to_lowercase()
    };
    let posted = post(address, "/resource", "secret", "{}".to_owned(), LIMIT);
    let (request, response) = tokio::join!(serving, posted);
    assert_eq!(response.unwrap().status, 204);
    assert!(request.starts_with("post /resource http/1.1\r\n"), "{request}");
    for header in ["authorization: bearer secret\r\n", "content-length: 2\r\n"] {
        assert!(request.contains(header), "{request}");
    }
}

#[tokio::test]
async fn a_response_that_is_cut_off_or_malformed_is_an_error() {
    let whole = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\nbody";
    let (listener, address) = listener().await;
    let (_, answered) = tokio::join!(serve(&listener, 1, whole.as_bytes()), get(address, "/", LIMIT));
    assert_eq!(answered.unwrap().status, 502);
    for cut in ["", &whole[..whole.len() - 1], &whole[..30], "nonsense\r\n\r\n"] {
        let (_, answered) = tokio::join!(serve(&listener, 1, cut.as_bytes()), get(address, "/", LIMIT));
        assert!(
            matches!(answered, Err(HttpError::Answer(..))),
            "{cut:?}: {answered:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_connection_and_a_silent_server_are_distinguished() {
    let (_listener, address) = listener().await;
    let short = Duration::from_millis(50);
    let silent = get(address, "/", short).await;
    assert!(
        matches!(silent, Err(HttpError::Timeout(_, limit)) if limit == short),
        "{silent:?}"
    );
    // The socket is bound but does not listen, so that no other test gets the port.
    let bound = TcpSocket::new_v4().unwrap();
    bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let refused = get(bound.local_addr().unwrap(), "/", LIMIT).await;
    let Err(HttpError::Connect(_, error)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_session_keeps_its_connection_until_the_server_closes_it() {
    let (listener, address) = listener().await;
    let session = Session::new(address, Version::Http1);
    let asking = async {
        for _ in 0..2 {
            assert_eq!(session.get("/", LIMIT).await.unwrap().status, 200);
        }
    };
    tokio::join!(serve(&listener, 2, YES), asking);
    assert_eq!(session.opened(), 1);
    let again = session.get_kept("/", LIMIT).await.unwrap();
    assert_eq!(again, None, "the server has closed");
    let (_, response) = tokio::join!(serve(&listener, 1, YES), session.get("/", LIMIT));
    assert_eq!(response.unwrap().body, Bytes::from_static(b"yes"));
    assert_eq!(session.opened(), 2);
}

#[tokio::test]
async fn a_request_of_a_session_that_breaks_is_not_sent_again() {
    let (listener, address) = listener().await;
    let session = Session::new(address, Version::Http1);
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_to(&mut stream, "\r\n\r\n").await;
        stream.write_all(YES).await.unwrap();
        read_to(&mut stream, "\r\n\r\n").await;
    };
    let asking = async {
        session.get("/", LIMIT).await.unwrap();
        session.get("/", LIMIT).await
    };
    let ((), broken) = tokio::join!(serving, asking);
    assert!(matches!(broken, Err(HttpError::Answer(..))), "{broken:?}");
    assert_eq!(session.opened(), 1);
}

#[tokio::test]
async fn requests_at_the_same_time_share_an_http2_session_until_it_goes_away() {
    let (listener, address) = listener().await;
    let session = Session::new(address, Version::Http2);
    // All of them are open before the first is answered.
    let barrier = Arc::new(tokio::sync::Barrier::new(3));
    let (going, gone) = tokio::sync::oneshot::channel::<()>();
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        let answer = service_fn(|_| {
            let barrier = Arc::clone(&barrier);
            async move {
                barrier.wait().await;
                Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from_static(b"yes"))))
            }
        });
        let mut serving = std::pin::pin!(
            http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer)
        );
        tokio::select! {
            ended = &mut serving => ended.unwrap(),
            _ = gone => serving.as_mut().graceful_shutdown(),
        }
        serving.await.unwrap();
    };
    let asking = async {
        let get = || session.get("/", LIMIT);
        for response in <[_; 3]>::from(tokio::join!(get(), get(), get())) {
            assert_eq!(response.unwrap().body, Bytes::from_static(b"yes"));
        }
        going.send(()).unwrap();
    };
    tokio::join!(serving, asking);
    assert_eq!(session.opened(), 1);
    assert_eq!(session.get_kept("/", LIMIT).await.unwrap(), None);
}

#[tokio::test]
async fn a_held_request_is_complete_once_it_is_released() {
    let (listener, address) = listener().await;
    let held = HeldRequest::send(address, "/page", LIMIT).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let head = read_to(&mut stream, &format!("{address}\r\n")).await;
    assert!(head.starts_with("GET /page HTTP/1.1\r\n"), "{head}");
    let serving = async {
        assert_eq!(read_to(&mut stream, "\r\n").await, "\r\n");
        stream.write_all(YES).await.unwrap();
        drop(stream);
    };
    let ((), response) = tokio::join!(serving, held.release(LIMIT));
    let body = Bytes::from_static(b"yes");
    assert_eq!(response.unwrap(), Response { status: 200, body });
}

#[tokio::test]
async fn a_held_request_whose_connection_is_closed_has_no_response() {
    let (listener, address) = listener().await;
    let held = HeldRequest::send(address, "/", LIMIT).await.unwrap();
    drop(listener.accept().await.unwrap());
    let released = held.release(LIMIT).await;
    assert!(matches!(released, Err(HttpError::Answer(..))), "{released:?}");
}

#[tokio::test]
async fn a_connection_that_the_server_closes_at_once_is_reported_as_closed() {
    let (listener, address) = listener().await;
    for _ in 0..50 {
        let closing = async { drop(listener.accept().await.unwrap()) };
        let ((), answered) = tokio::join!(closing, get(address, "/", LIMIT));
        let cause = answered.unwrap_err().cause();
        let expected = ["the connection was closed", "connection error: Connection reset"];
        assert!(expected.iter().any(|text| cause.starts_with(text)), "{cause}");
    }
    drop(listener);
    assert_eq!(
        get(address, "/", LIMIT).await.unwrap_err().cause(),
        "connection refused"
    );
}
