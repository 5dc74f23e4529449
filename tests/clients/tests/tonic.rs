//! tonic, a client and a server of gRPC. The messages are texts, so that no description of them is compiled.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, BufMut};
use client_tests::{eventually, http_instance, set_instances, tcp_lb, within};
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt, stream};
use hyper::body::Incoming;
use hyper::http::uri::PathAndQuery;
use sidecar::proxy::tcp_lb::TcpLb;
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::metadata::MetadataMap;
use tonic::server::{ServerStreamingService, StreamingService, UnaryService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

/// Messages that are texts.
#[derive(Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        let text = String::from_utf8(bytes.to_vec());
        text.map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

/// An instance; each of its calls that is given up is told.
#[derive(Clone)]
struct Instance {
    name: &'static str,
    given_up: mpsc::UnboundedSender<&'static str>,
}

/// A call that does not end by itself.
struct Open(Instance);

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.0.given_up.send(self.0.name);
    }
}

type Texts = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

impl UnaryService<String> for Instance {
    type Response = String;
    type Future = BoxFuture<'static, Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let instance = self.clone();
        Box::pin(async move {
            match request.into_inner().as_str() {
                "fail" => {
                    let mut metadata = MetadataMap::new();
                    metadata.insert("x-reason", "none".parse().unwrap());
                    Err(Status::with_metadata(Code::NotFound, "no such thing", metadata))
                }
                "hang" => {
                    let _open = Open(instance);
                    std::future::pending().await
                }
                text => Ok(Response::new(format!("{} {text}", instance.name))),
            }
        })
    }
}

impl ServerStreamingService<String> for Instance {
    type Response = String;
    type ResponseStream = Texts;
    type Future = BoxFuture<'static, Result<Response<Texts>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let instance = self.clone();
        let name = instance.name;
        let texts: Texts = match request.into_inner().as_str() {
            "endless" => {
                let open = Open(instance);
                let rest = stream::pending().map(move |text| {
                    let _open = &open;
                    text
                });
                Box::pin(stream::once(async move { Ok(name.to_owned()) }).chain(rest))
            }
            "fail" => Box::pin(stream::iter([
                Ok(name.to_owned()),
                Err(Status::aborted("midway")),
            ])),
            count => {
                let count: usize = count.parse().unwrap();
                Box::pin(stream::iter(
                    (0..count).map(move |index| Ok(format!("{name} {index}"))),
                ))
            }
        };
        Box::pin(async move { Ok(Response::new(texts)) })
    }
}

impl StreamingService<String> for Instance {
    type Response = String;
    type ResponseStream = Texts;
    type Future = BoxFuture<'static, Result<Response<Texts>, Status>>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        let name = self.name;
        let texts = request
            .into_inner()
            .map(move |text| Ok(format!("{name} {}", text?)));
        Box::pin(async move { Ok(Response::new(Box::pin(texts) as Texts)) })
    }
}

/// An instance, and what tells of its calls that were given up.
async fn instance(name: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<&'static str>) {
    let (given_up, told) = mpsc::unbounded_channel();
    let instance = Instance { name, given_up };
    let address = http_instance(move |request: hyper::Request<Incoming>| {
        let instance = instance.clone();
        async move {
            let mut server = tonic::server::Grpc::new(Text);
            match request.uri().path() {
                "/test.Texts/Unary" => server.unary(instance, request).await,
                "/test.Texts/Down" => server.server_streaming(instance, request).await,
                _ => server.streaming(instance, request).await,
            }
        }
    })
    .await;
    (address, told)
}

async fn client(lb: &TcpLb) -> Grpc<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", lb.listener().local_addr()));
    let mut client = Grpc::new(endpoint.unwrap().connect().await.unwrap());
    client.ready().await.unwrap();
    client
}

async fn unary(client: &mut Grpc<Channel>, request: Request<String>) -> Result<String, Status> {
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/test.Texts/Unary");
    let answer = within("answer", client.unary(request, path, Text)).await?;
    Ok(answer.into_inner())
}

async fn down(client: &mut Grpc<Channel>, text: &str) -> Streaming<String> {
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/test.Texts/Down");
    let calling = client.server_streaming(Request::new(text.to_owned()), path, Text);
    within("answer", calling).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<String>) -> Option<Result<String, Status>> {
    within("message", stream.next()).await
}

fn calls(lb: &TcpLb, status: &str) -> u64 {
    let requests = lb.listener().requests().read();
    requests.grpc().find(|(label, _)| *label == status).unwrap().1
}

#[tokio::test]
async fn calls_of_one_channel_take_turns() {
    let (lb, _) = tcp_lb(&[instance("one").await.0, instance("two").await.0]);
    let mut client = client(&lb).await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(unary(&mut client, Request::new("hi".to_owned())).await.unwrap());
    }
    assert_eq!(answers, ["one hi", "two hi"].repeat(5));
    assert_eq!(lb.listener().totals().connections, 1);
    eventually(|| (calls(&lb, "0") < 10).then(|| "calls are not counted".to_owned())).await;
}

#[tokio::test]
async fn each_stream_is_one_of_an_instance_and_ends_with_its_status() {
    let (lb, _) = tcp_lb(&[instance("one").await.0, instance("two").await.0]);
    let mut client = client(&lb).await;
    for name in ["one", "two", "one", "two"] {
        let mut texts = down(&mut client, "3").await;
        for index in 0..3 {
            assert_eq!(
                next(&mut texts).await.unwrap().unwrap(),
                format!("{name} {index}")
            );
        }
        assert!(next(&mut texts).await.is_none());
    }
    let mut texts = down(&mut client, "fail").await;
    assert_eq!(next(&mut texts).await.unwrap().unwrap(), "one");
    let status = next(&mut texts).await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Aborted, "midway"));
    eventually(|| match (calls(&lb, "0"), calls(&lb, "10")) {
        (4, 1) => None,
        other => Some(format!("counted: {other:?}")),
    })
    .await;
}

#[tokio::test]
async fn both_directions_of_a_call_are_used_at_once() {
    let (lb, _) = tcp_lb(&[instance("one").await.0]);
    let mut client = client(&lb).await;
    let (sender, receiver) = mpsc::channel::<String>(1);
    let texts = stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    let path = PathAndQuery::from_static("/test.Texts/Both");
    let calling = client.streaming(Request::new(texts), path, Text);
    let mut answers = within("answer", calling).await.unwrap().into_inner();
    for text in ["a", "b", "c"] {
        sender.send(text.to_owned()).await.unwrap();
        assert_eq!(next(&mut answers).await.unwrap().unwrap(), format!("one {text}"));
    }
    drop(sender);
    assert!(next(&mut answers).await.is_none());
}

#[tokio::test]
async fn a_failure_without_a_message_has_its_status_and_metadata() {
    let (lb, _) = tcp_lb(&[instance("one").await.0]);
    let mut client = client(&lb).await;
    let status = unary(&mut client, Request::new("fail".to_owned()))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "no such thing")
    );
    assert_eq!(status.metadata().get("x-reason").unwrap(), "none");
    eventually(|| (calls(&lb, "5") < 1).then(|| "the call is not counted".to_owned())).await;
}

#[tokio::test]
async fn a_call_that_its_client_cancels_is_given_up_by_its_instance() {
    let (address, mut given_up) = instance("one").await;
    let (lb, group) = tcp_lb(&[address]);
    let mut client = client(&lb).await;
    let mut texts = down(&mut client, "endless").await;
    assert_eq!(next(&mut texts).await.unwrap().unwrap(), "one");
    drop(texts);
    assert_eq!(within("word of the instance", given_up.recv()).await, Some("one"));
    eventually(|| (group.counters().active() > 0).then(|| "the call is active".to_owned())).await;
    assert_eq!(
        unary(&mut client, Request::new("hi".to_owned())).await.unwrap(),
        "one hi"
    );
}

#[tokio::test]
async fn a_deadline_reaches_the_instance_and_ends_the_call() {
    let (address, mut given_up) = instance("one").await;
    let (lb, _) = tcp_lb(&[address]);
    let mut client = client(&lb).await;
    let mut request = Request::new("hang".to_owned());
    request.set_timeout(Duration::from_secs(1));
    let status = unary(&mut client, request).await.unwrap_err();
    let codes = [Code::Cancelled, Code::DeadlineExceeded];
    assert!(codes.contains(&status.code()), "{status}");
    assert_eq!(within("word of the instance", given_up.recv()).await, Some("one"));
}

#[tokio::test]
async fn a_call_that_is_not_answered_in_time_has_exceeded_its_deadline() {
    let (lb, _) = tcp_lb(&[instance("one").await.0]);
    lb.listener().set_request_timeout(Duration::from_millis(50));
    let mut client = client(&lb).await;
    let status = unary(&mut client, Request::new("hang".to_owned()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

#[tokio::test]
async fn without_an_instance_a_call_is_unavailable() {
    let (address, _) = instance("one").await;
    let (lb, group) = tcp_lb(&[address]);
    let mut client = client(&lb).await;
    set_instances(&group, &[]);
    let status = unary(&mut client, Request::new("hi".to_owned()))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "no instance is up")
    );
    assert_eq!(status.metadata().get("x-sidecar-error").unwrap(), "no-instance");
    eventually(|| (calls(&lb, "14") < 1).then(|| "the call is not counted".to_owned())).await;
}
