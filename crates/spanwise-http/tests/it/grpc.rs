//! gRPC with tonic over loopback. The status is in the trailers, or in the head of a response
//! without a body.

use std::{
    convert::Infallible,
    future::ready,
    pin::Pin,
    task::{Context, Poll},
};

use crate::support::{access_events, capture, eventually, the_event};
use axum::body::Bytes;
use http::{Response, uri::PathAndQuery};
use spanwise_http::{Peer, server};
use spanwise_testing::Event;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::{Stream, StreamExt};
use tonic::{
    Code, Request, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::NamedService,
    transport::{
        Channel, Endpoint, Server,
        server::{TcpConnectInfo, TcpIncoming},
    },
};
use tower::util::MapRequestLayer;
use tracing::Level;

#[tokio::test]
async fn successful_unary_call_is_ok() {
    let logs = capture();
    let answer = unary(connect().await, "ok").await;
    assert_eq!(answer.unwrap(), "ok");
    the_event(&logs)
        .await
        .assert_level(Level::INFO)
        .assert_field("outcome", "ok")
        .assert_field("rpc.grpc.status_code", 0)
        .assert_field("http.response.status_code", 200)
        .assert_field("response_bytes", 5 + 2);
    logs.one_span("http.request")
        .assert_field("url.path", "/shop.Orders/Unary")
        .assert_field("client.address", "127.0.0.0/24");
}

#[tokio::test]
async fn failed_unary_call_has_its_status_in_the_head() {
    for (code, level, outcome) in CODES {
        let logs = capture();
        let answer = unary(connect().await, code_name(code)).await;
        assert_eq!(answer.unwrap_err().code(), code);
        assert_ended(&the_event(&logs).await, code, level, outcome);
    }
}

#[tokio::test]
async fn stream_has_its_status_in_the_trailers() {
    for (code, level, outcome) in CODES {
        let logs = capture();
        let mut answers = stream(connect().await, code_name(code)).await;
        for _ in 0..3 {
            answers.next().await.unwrap().unwrap();
        }
        let status = answers.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), code);
        let event = the_event(&logs).await;
        assert_ended(&event, code, level, outcome);
        assert!(
            event
                .field("response_bytes")
                .is_some_and(|bytes| *bytes != 0.into())
        );
    }
    let logs = capture();
    let mut answers = stream(connect().await, "ok").await;
    while let Some(answer) = answers.next().await {
        answer.unwrap();
    }
    the_event(&logs)
        .await
        .assert_field("outcome", "ok")
        .assert_field("rpc.grpc.status_code", 0);
}

#[tokio::test]
async fn client_that_leaves_a_stream_cancels_it() {
    let logs = capture();
    let channel = connect().await;
    let mut answers = stream(channel, "endless").await;
    answers.next().await.unwrap().unwrap();
    assert_eq!(access_events(&logs).len(), 0);
    drop(answers);
    the_event(&logs)
        .await
        .assert_level(Level::INFO)
        .assert_field("outcome", "cancelled")
        .assert_no_field("rpc.grpc.status_code");
    eventually("an end of the stream", || {
        logs.events()
            .iter()
            .any(|event| event.message() == "stream let go of")
    })
    .await;
    logs.one("stream let go of").assert_in_span("http.request");
}

const CODES: [(Code, Level, &str); 16] = [
    (Code::Cancelled, Level::INFO, "client_error"),
    (Code::NotFound, Level::INFO, "client_error"),
    (Code::InvalidArgument, Level::INFO, "client_error"),
    (Code::AlreadyExists, Level::INFO, "client_error"),
    (Code::PermissionDenied, Level::INFO, "client_error"),
    (Code::ResourceExhausted, Level::WARN, "client_error"),
    (Code::FailedPrecondition, Level::INFO, "client_error"),
    (Code::Aborted, Level::INFO, "client_error"),
    (Code::OutOfRange, Level::INFO, "client_error"),
    (Code::Unauthenticated, Level::INFO, "client_error"),
    (Code::Unknown, Level::ERROR, "server_error"),
    (Code::DeadlineExceeded, Level::ERROR, "server_error"),
    (Code::Unimplemented, Level::ERROR, "server_error"),
    (Code::Internal, Level::ERROR, "server_error"),
    (Code::Unavailable, Level::ERROR, "server_error"),
    (Code::DataLoss, Level::ERROR, "server_error"),
];

fn assert_ended(event: &Event, code: Code, level: Level, outcome: &str) {
    event
        .assert_level(level)
        .assert_field("outcome", outcome)
        .assert_field("rpc.grpc.status_code", code as i32)
        .assert_field("http.response.status_code", 200);
}

fn code_name(code: Code) -> &'static str {
    let number = code as i32;
    number.to_string().leak()
}

/// Parses the text of a request: the number of a status, or anything else for success.
fn parse_request(text: &str) -> Result<(), Status> {
    match text.parse::<i32>() {
        Ok(code) => Err(Status::new(Code::from(code), "as asked for")),
        Err(_) => Ok(()),
    }
}

async fn connect() -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    // As in docs/http.md.
    let peer = MapRequestLayer::new(|mut request: http::Request<_>| {
        let info = request.extensions().get::<TcpConnectInfo>();
        if let Some(address) = info.and_then(TcpConnectInfo::remote_addr) {
            request.extensions_mut().insert(Peer(address));
        }
        request
    });
    let service = Server::builder()
        .layer(peer)
        .layer(server())
        .add_service(Orders);
    tokio::spawn(service.serve_with_incoming(TcpIncoming::from(listener)));
    let endpoint = Endpoint::from_shared(format!("http://{at}")).unwrap();
    endpoint.connect().await.unwrap()
}

async fn unary(channel: Channel, text: &str) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/shop.Orders/Unary");
    let answer = client
        .unary(Request::new(text.to_owned()), path, Text)
        .await?;
    Ok(answer.into_inner())
}

async fn stream(channel: Channel, text: &str) -> tonic::Streaming<String> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/shop.Orders/Stream");
    let answer = client
        .server_streaming(Request::new(text.to_owned()), path, Text)
        .await;
    answer.unwrap().into_inner()
}

/// What `tonic-build` would generate, with texts as messages.
#[derive(Clone)]
struct Orders;

impl NamedService for Orders {
    const NAME: &'static str = "shop.Orders";
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl tower::Service<http::Request<Body>> for Orders {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        let is_unary = request.uri().path().ends_with("/Unary");
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Text);
            Ok(if is_unary {
                grpc.unary(Unary, request).await
            } else {
                grpc.server_streaming(Streamed, request).await
            })
        })
    }
}

struct Unary;

impl tonic::server::UnaryService<String> for Unary {
    type Response = String;
    type Future = std::future::Ready<Result<tonic::Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let text = request.into_inner();
        ready(parse_request(&text).map(|()| tonic::Response::new(text)))
    }
}

struct Streamed;

impl tonic::server::ServerStreamingService<String> for Streamed {
    type Response = String;
    type ResponseStream = Answers;
    type Future = std::future::Ready<Result<tonic::Response<Answers>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let text = request.into_inner();
        let (sender, answers) = mpsc::unbounded_channel();
        for _ in 0..3 {
            sender.send(Ok("an order".to_owned())).unwrap();
        }
        if let Err(status) = parse_request(&text) {
            sender.send(Err(status)).unwrap();
        }
        let endless = (text == "endless").then_some(sender);
        ready(Ok(tonic::Response::new(Answers { answers, endless })))
    }
}

struct Answers {
    answers: mpsc::UnboundedReceiver<Result<String, Status>>,
    endless: Option<mpsc::UnboundedSender<Result<String, Status>>>,
}

impl Stream for Answers {
    type Item = Result<String, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.answers.poll_recv(cx)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        if self.endless.is_some() {
            tracing::info!("stream let go of");
        }
    }
}

#[derive(Clone)]
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

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let length = bytes::Buf::remaining(buffer);
        let bytes: Bytes = bytes::Buf::copy_to_bytes(buffer, length);
        Ok(Some(String::from_utf8(bytes.into()).unwrap()))
    }
}
