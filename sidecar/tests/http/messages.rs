//! Messages in all their forms pass, and what is about one connection does not.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{
    Body, ask, body, client, connect, exchange, get, instance, lb, raw, read_head, send, text, within,
};

/// The head that an instance gets for a request of these bytes.
async fn seen(request: &str) -> String {
    let (heads, mut seen) = tokio::sync::mpsc::channel(1);
    let address = raw(move |mut stream: TcpStream| {
        let heads = heads.clone();
        async move {
            let head = read_head(&mut stream).await;
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
            heads.send(head).await.unwrap();
        }
    })
    .await;
    let (lb, _) = lb(&[address]);
    let mut stream = connect(&lb).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    within("head at the instance", seen.recv()).await.unwrap()
}

async fn echo() -> std::net::SocketAddr {
    instance(|request: Request<Incoming>| async move { Response::new(request.into_body().boxed()) }).await
}

#[tokio::test]
async fn target_and_host_reach_the_instance_unchanged() {
    let head = seen("GET /a%20b/../c?x=1&y HTTP/1.1\r\nHost: Service.Mesh:8080\r\n\r\n").await;
    assert!(head.starts_with("GET /a%20b/../c?x=1&y HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("host: Service.Mesh:8080\r\n"), "{head}");
}

#[tokio::test]
async fn the_absolute_form_becomes_the_origin_form() {
    let head = seen("GET http://real.mesh/a?b HTTP/1.1\r\nHost: other.mesh\r\n\r\n").await;
    assert!(head.starts_with("GET /a?b HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("host: real.mesh\r\n") && !head.contains("other"),
        "{head}"
    );
}

#[tokio::test]
async fn fields_about_the_connection_do_not_reach_the_instance() {
    let head = seen(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-One\r\nX-One: 1\r\nKeep-Alive: timeout=9\r\n\
         Proxy-Connection: keep-alive\r\nTE: trailers, deflate\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\
         X-Two: 2\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
    )
    .await;
    let mut fields: Vec<_> = head.lines().skip(1).filter(|line| !line.is_empty()).collect();
    fields.sort_unstable();
    let expected = [
        "host: a",
        "te: trailers",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "x-two: 2",
    ];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn an_instance_is_asked_for_the_body_only_once_it_is_connected() {
    let (lb, _) = lb(&[echo().await]);
    let mut stream = connect(&lb).await;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head).await.unwrap();
    assert_eq!(read_head(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    let mut answer = [0; 3];
    within("body", stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"abc");
}

#[tokio::test]
async fn without_an_instance_a_body_is_not_asked_for() {
    let (lb, _) = lb(&[]);
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    let answer = exchange(&lb, head).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn chunks_and_trailers_pass_in_both_directions() {
    let address = raw(|mut stream: TcpStream| async move {
        read_head(&mut stream).await;
        let mut body = Vec::new();
        while !body.ends_with(b"\r\n\r\n") {
            body.push(stream.read_u8().await.unwrap());
        }
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let (lb, _) = lb(&[address]);
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\nTE: trailers\r\n\
                   Connection: TE, close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n";
    let answer = exchange(&lb, request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("transfer-encoding: chunked"), "{answer}");
    assert!(body.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head() {
    let address = instance(|request: Request<Incoming>| async move {
        let mut answer = Response::new(body("0123456789"));
        match request.uri().path() {
            "/204" => (*answer.status_mut(), *answer.body_mut()) = (StatusCode::NO_CONTENT, body("")),
            "/304" => (*answer.status_mut(), *answer.body_mut()) = (StatusCode::NOT_MODIFIED, body("")),
            _ => {}
        }
        answer
    })
    .await;
    let (lb, _) = lb(&[address]);
    let mut client = client(&lb).await;
    for path in ["/204", "/304"] {
        let answer = send(&mut client, get(path)).await;
        assert_eq!(answer.status().as_str(), &path[1..]);
        assert_eq!(text(answer).await, "");
    }
    let answer = send(&mut client, super::support::request("HEAD", "/", "")).await;
    assert_eq!(answer.headers()["content-length"], "10");
    assert_eq!(text(answer).await, "");
    assert_eq!(text(send(&mut client, get("/")).await).await, "0123456789");
}

#[tokio::test]
async fn a_body_longer_than_the_buffers_passes_in_both_directions() {
    const SIZE: usize = 8 * 1024 * 1024;
    let (lb, _) = lb(&[echo().await]);
    let mut client = client(&lb).await;
    let sent = Bytes::from((0..SIZE).map(|index| (index % 251) as u8).collect::<Vec<_>>());
    let mut request = get("/");
    *request.method_mut() = hyper::Method::POST;
    *request.body_mut() = body(sent.clone());
    let answer = send(&mut client, request).await;
    let received = within("body", answer.into_body().collect())
        .await
        .unwrap()
        .to_bytes();
    assert!(received == sent, "{} bytes differ from {SIZE}", received.len());
}

#[tokio::test]
async fn an_event_stream_is_not_held_back() {
    let (sender, receiver) = tokio::sync::mpsc::channel::<&'static str>(1);
    let receiver = std::sync::Arc::new(tokio::sync::Mutex::new(receiver));
    let address = instance(move |_| {
        let receiver = std::sync::Arc::clone(&receiver);
        async move {
            let frames = futures_util::stream::unfold(receiver, |receiver| async move {
                let text = receiver.lock().await.recv().await?;
                Some((Ok(hyper::body::Frame::data(Bytes::from(text))), receiver))
            });
            let body: Body = BodyExt::boxed(http_body_util::StreamBody::new(frames));
            Response::new(body)
        }
    })
    .await;
    let (lb, _) = lb(&[address]);
    let mut client = client(&lb).await;
    let mut events = send(&mut client, get("/")).await.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        sender.send(event).await.unwrap();
        let frame = within("event", events.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), event);
    }
}

#[tokio::test]
async fn an_upgraded_connection_carries_bytes() {
    let address = raw(|mut stream: TcpStream| async move {
        let head = read_head(&mut stream).await;
        assert!(
            head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"),
            "{head}"
        );
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly ";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
    })
    .await;
    let (lb, group) = lb(&[address]);
    let mut stream = connect(&lb).await;
    let request = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nfirst ";
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.contains("upgrade: websocket\r\n"), "{head}");
    stream.write_all(b"second").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut echoed = String::new();
    within("end", stream.read_to_string(&mut echoed)).await.unwrap();
    assert_eq!(echoed, "early first second");
    assert_eq!(group.counters().active(), 0);
}

#[tokio::test]
async fn a_tunnel_that_connect_opens_carries_bytes() {
    let address = raw(|mut stream: TcpStream| async move {
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("CONNECT other.mesh:443 HTTP/1.1\r\n"), "{head}");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    })
    .await;
    let (lb, _) = lb(&[address]);
    let mut stream = connect(&lb).await;
    let request = "CONNECT other.mesh:443 HTTP/1.1\r\nHost: other.mesh:443\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    stream.write_all(b"abc").await.unwrap();
    let mut echoed = [0; 3];
    within("echo", stream.read_exact(&mut echoed)).await.unwrap();
    assert_eq!(&echoed, b"abc");
}

#[tokio::test]
async fn instances_are_told_the_client_only_if_that_is_set() {
    let address = instance(|request: Request<Incoming>| async move {
        let field = |name: &str| {
            request
                .headers()
                .get(name)
                .map_or("-", |value| value.to_str().unwrap())
        };
        let fields = [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
        ]
        .map(field);
        Response::new(body(fields.join(" ")))
    })
    .await;
    let (lb, _) = lb(&[address]);
    let mut client = client(&lb).await;
    assert_eq!(ask(&mut client, "/").await, "- - - -");
    lb.listener().set_forwarded(true);
    let expected = "for=127.0.0.1;host=\"service.mesh\";proto=http 127.0.0.1 http service.mesh";
    assert_eq!(ask(&mut client, "/").await, expected);
}
