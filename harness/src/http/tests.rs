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
async fn a_session_keeps_its_connection_and_connects_again_after_a_failure() {
    let (listener, address) = listener().await;
    let mut session = Session::new(address);
    let asking = async {
        for _ in 0..2 {
            assert_eq!(session.get("/", LIMIT).await.unwrap().status, 200);
        }
    };
    tokio::join!(serve(&listener, 2, YES), asking);
    assert!(session.get("/", LIMIT).await.is_err(), "the server has closed");
    let (_, response) = tokio::join!(serve(&listener, 1, YES), session.get("/", LIMIT));
    assert_eq!(response.unwrap().body, Bytes::from_static(b"yes"));
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
