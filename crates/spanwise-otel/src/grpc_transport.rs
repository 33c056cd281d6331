//! The gRPC calls that carry spans, log records and metrics to a collector.

use std::{error::Error, future::poll_fn, io, sync::Arc};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use spanwise_core::export::{Deliver, Delivery, mark_sender_thread};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};
use tonic::{
    Code, Status,
    body::Body,
    client::GrpcService,
    transport::{self, Channel, Endpoint},
};
use ureq::http::{HeaderValue, Method, Request, StatusCode, Uri, header};

use crate::{
    RequestCompression,
    destination::{Destination, ExportRequest, MAX_ANSWER_LEN, USER_AGENT},
    response::RpcStatus,
    retry_after,
};

/// Makes the calls of the sender thread, over one channel.
pub(crate) struct GrpcTransport {
    destination: Arc<Destination>,
    connection: Option<Connection>,
}

struct Connection {
    runtime: Runtime,
    /// `None` before the first call, and after a call without an answer. The next call opens a new
    /// channel, because tonic does not notice that a connection is dead if nothing arrives over it.
    channel: Option<Channel>,
}

/// The reason why a call failed.
enum CallError {
    /// There was no answer, for this reason.
    NoAnswer(String),
    /// The server answered with an error.
    Status(Status),
}

/// The length of the prefix of a gRPC message: one byte for the compression flag, and four for the
/// length.
const PREFIX_LEN: usize = 5;

impl GrpcTransport {
    pub(crate) fn new(destination: Arc<Destination>) -> Self {
        Self {
            destination,
            // The sender thread creates the runtime, because dropping it inside another Tokio
            // runtime would panic.
            connection: None,
        }
    }

    fn send(&mut self, message: &[u8]) -> Result<Bytes, CallError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::new().map_err(CallError::no_answer)?),
        };
        connection.send(&self.destination, message)
    }

    /// Returns the result of a call that the server answered with an error.
    fn delivery_of_error(&self, status: &Status) -> Delivery {
        let Self { destination, .. } = self;
        let details = RpcStatus::read(status.details());
        let text = destination.server_text_filter.safe_text(status.message());
        let retry_after = details.retry_after.map(retry_after::bounded);
        let reason = format!("{:?}: {text}", status.code());
        match status.code() {
            // Servers report with different codes that a message is too large.
            Code::ResourceExhausted | Code::OutOfRange if is_too_large(status.message()) => {
                Delivery::TooLarge(format!("{} answers {reason}", destination.endpoint))
            }
            Code::Unavailable
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::DataLoss => destination.delivery_of_failed(&reason, retry_after),
            Code::ResourceExhausted if retry_after.is_some() => {
                destination.delivery_of_failed(&reason, retry_after)
            }
            _ => Delivery::Refused(format!("{} answers {reason}", destination.endpoint)),
        }
    }
}

impl<T: ExportRequest> Deliver<T> for GrpcTransport {
    fn deliver(&mut self, item: &T) -> Delivery {
        let message = self.destination.body(item);
        let delivery = match self.send(&message) {
            Ok(answer) => self.destination.delivery_of_accepted(&answer),
            Err(CallError::Status(status)) => self.delivery_of_error(&status),
            Err(CallError::NoAnswer(reason)) => self.destination.delivery_of_unanswered(&reason),
        };
        self.destination.remember_failure(&delivery);
        delivery
    }
}

impl Connection {
    fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            // The runtime looks up host names on its own threads. Mark them as sender threads,
            // whose events are not exported.
            .on_thread_start(mark_sender_thread)
            .build()?;
        Ok(Self {
            runtime,
            channel: None,
        })
    }

    /// Returns the channel. Opens one if there is none.
    fn channel(&mut self, destination: &Destination) -> Result<Channel, transport::Error> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(destination.endpoint.uri().to_string())?;
        let mut endpoint = endpoint
            .user_agent(USER_AGENT)?
            .connect_timeout(destination.timeout);
        if destination.endpoint.is_tls() {
            endpoint = endpoint.tls_config(destination.tls.for_grpc())?;
        }
        let _in_runtime = self.runtime.enter();
        let channel = endpoint.connect_lazy();
        Ok(self.channel.insert(channel).clone())
    }

    /// Makes a call. If it fails without an answer over a reused channel, and the deadline has not
    /// passed, makes the call once more over a new channel.
    fn send(&mut self, destination: &Destination, message: &[u8]) -> Result<Bytes, CallError> {
        let deadline = Instant::now() + destination.timeout;
        let reuses_channel = self.channel.is_some();
        let answer = self.send_once(destination, message, deadline);
        match answer {
            // The server may have closed the connection while it was idle. The runtime has not
            // noticed that, because it runs only during calls.
            Err(CallError::NoAnswer(_)) if reuses_channel && Instant::now() < deadline => {
                self.send_once(destination, message, deadline)
            }
            answer => answer,
        }
    }

    fn send_once(
        &mut self,
        destination: &Destination,
        message: &[u8],
        deadline: Instant,
    ) -> Result<Bytes, CallError> {
        let channel = self.channel(destination);
        let channel = channel.map_err(CallError::no_answer)?;
        let call = call(channel, request(destination, message));
        // The server may ignore the `grpc-timeout` header, so limit the call here as well.
        // `timeout_at` must be called inside the runtime.
        let timeout = || tokio::time::timeout_at(deadline, call);
        let answer = self.runtime.block_on(async { timeout().await });
        let answer = answer.unwrap_or_else(|_| {
            let reason = "no answer within the timeout";
            Err(CallError::NoAnswer(reason.to_owned()))
        });
        if let Err(CallError::NoAnswer(_)) = &answer {
            self.channel = None;
        }
        answer
    }
}

impl CallError {
    /// Creates the error of a failed connection, with its causes.
    fn no_answer(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let error_text = error.to_string();
            if !text.contains(&error_text) {
                text = format!("{text}: {error_text}");
            }
            cause = error.source();
        }
        Self::NoAnswer(text)
    }
}

/// Returns the request of a call with one message.
fn request(destination: &Destination, message: &[u8]) -> Request<Body> {
    let is_compressed = destination.compression == RequestCompression::Gzip;
    let mut frame = BytesMut::with_capacity(PREFIX_LEN + message.len());
    frame.put_u8(is_compressed.into());
    // A batch is far below 4 GiB.
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    let mut request = Request::new(Body::new(Full::new(frame.freeze())));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(destination.signal.grpc_path());
    let headers = request.headers_mut();
    headers.extend(destination.headers.iter().cloned());
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let content_type = HeaderValue::from_static("application/grpc");
    headers.insert(header::CONTENT_TYPE, content_type);
    if is_compressed {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
    // gRPC allows 8 digits. The timeout is at most 10 minutes, so its number of milliseconds fits.
    let timeout = format!("{}m", destination.timeout.as_millis().max(1));
    if let Ok(timeout) = HeaderValue::from_str(&timeout) {
        headers.insert("grpc-timeout", timeout);
    }
    request
}

/// Makes a call, and returns the message of the answer.
async fn call(mut channel: Channel, request: Request<Body>) -> Result<Bytes, CallError> {
    let ready = poll_fn(|context| GrpcService::poll_ready(&mut channel, context));
    ready.await.map_err(CallError::no_answer)?;
    let response = GrpcService::call(&mut channel, request).await;
    let (head, body) = response.map_err(CallError::no_answer)?.into_parts();
    // If a call fails at once, its status is in the headers instead of the trailers.
    if let Some(status) = Status::from_header_map(&head.headers) {
        return message_if_ok(status, Bytes::new());
    }
    if head.status != StatusCode::OK {
        return Err(CallError::Status(grpc_status_for(head.status)));
    }
    let (mut message, status) = read_answer(body).await?;
    message.advance(PREFIX_LEN.min(message.len()));
    message_if_ok(status, message.freeze())
}

/// Reads an answer to its end, because the status is in the trailers. Returns the status and the
/// first [`MAX_ANSWER_LEN`] bytes. A longer answer is not an error, because the server has received
/// the request.
async fn read_answer(mut body: Body) -> Result<(BytesMut, Status), CallError> {
    let (mut message, mut status) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(CallError::no_answer)?;
        if let Some(data) = frame.data_ref() {
            let room = MAX_ANSWER_LEN.saturating_sub(message.len());
            message.extend_from_slice(&data[..room.min(data.len())]);
        } else if let Some(trailers) = frame.trailers_ref() {
            status = Status::from_header_map(trailers);
        }
    }
    match status {
        Some(status) => Ok((message, status)),
        None => Err(CallError::NoAnswer("the answer has no status".to_owned())),
    }
}

/// Returns the message if the status is OK, or else the status as the error.
fn message_if_ok(status: Status, message: Bytes) -> Result<Bytes, CallError> {
    match status.code() {
        Code::Ok => Ok(message),
        _ => Err(CallError::Status(status)),
    }
}

/// Returns the gRPC status for the HTTP status of a proxy that answered instead of the server. The
/// gRPC specification defines the mapping, except that of status 413, *Payload Too Large*.
fn grpc_status_for(status: StatusCode) -> Status {
    let code = match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
        _ => Code::Unknown,
    };
    Status::new(code, format!("HTTP status {}", status.as_u16()))
}

/// Returns whether a server or a proxy refuses a call because its message is too large. gRPC has no
/// code for that, so the texts of the usual implementations are compared.
fn is_too_large(message: &str) -> bool {
    const TEXTS: [&str; 7] = [
        "larger than max",                        // Go, C++ and Node
        "message length too large",               // tonic
        "message exceeds maximum size",           // Java
        "message exceeds the maximum configured", // .NET
        "exceeds maximum: ",                      // Armeria
        "frame exceeds maximum frame size: ",     // Armeria, of a compressed message
        "HTTP status 413",                        // a proxy: see `grpc_status_for`
    ];
    TEXTS.iter().any(|text| message.contains(text))
}
