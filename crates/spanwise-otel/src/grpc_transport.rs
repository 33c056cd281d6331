//! The gRPC calls that carry spans, log records and metrics to a collector.

use std::{error::Error, io, sync::Arc};

use bytes::{Buf as _, BufMut as _, Bytes};
use spanwise_core::export::{Deliver, Delivery, mark_sender_thread};
use tokio::runtime::{Builder, Runtime};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::{self, Channel, Endpoint},
};

use ureq::http::{HeaderMap, uri::PathAndQuery};

use crate::{
    RequestCompression,
    destination::{Destination, ExportRequest, MAX_ANSWER_LEN, USER_AGENT},
    response::RpcStatus,
    retry_after,
};

/// Sends requests over one channel, on the sender thread.
pub(crate) struct GrpcTransport {
    destination: Arc<Destination>,
    connection: Option<Connection>,
}

struct Connection {
    runtime: Runtime,
    /// `None` after a call without an answer: the next one uses another channel. A connection that
    /// is dead would not be noticed otherwise, while nothing is received.
    channel: Option<Channel>,
}

impl GrpcTransport {
    pub(crate) fn new(destination: Arc<Destination>) -> Self {
        Self {
            destination,
            // The thread that sends makes it. To drop a runtime in another one would panic.
            connection: None,
        }
    }

    fn send(&mut self, message: Bytes) -> Result<Bytes, Status> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connection = Connection::new();
                none.insert(connection.map_err(|error| Status::unavailable(error.to_string()))?)
            }
        };
        connection.send(&self.destination, message)
    }

    fn delivery(&self, status: &Status) -> Delivery {
        let Self { destination, .. } = self;
        let details = RpcStatus::read(status.details());
        let text = destination.server_text.reported(&explanation(status));
        let retry_after = details.retry_after.map(retry_after::bounded);
        let reason = format!("{:?}: {text}", status.code());
        match status.code() {
            // Servers report their limit with different codes.
            Code::ResourceExhausted | Code::OutOfRange if is_too_large(status.message()) => {
                Delivery::TooLarge(format!("{} answers {reason}", destination.endpoint))
            }
            Code::Unavailable
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::DataLoss => destination.failed(&reason, retry_after),
            Code::ResourceExhausted if retry_after.is_some() => {
                destination.failed(&reason, retry_after)
            }
            _ => Delivery::Refused(format!("{} answers {reason}", destination.endpoint)),
        }
    }
}

impl<T: ExportRequest> Deliver<T> for GrpcTransport {
    fn deliver(&mut self, item: &T) -> Delivery {
        let request = item.request(&self.destination.resource.encoded());
        let delivery = match self.send(request.into()) {
            Ok(answer) => self.destination.taken(&answer),
            Err(status) => self.delivery(&status),
        };
        self.destination.remember(&delivery);
        delivery
    }
}

impl Connection {
    fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            // They look up names.
            .on_thread_start(mark_sender_thread)
            .build()?;
        Ok(Self {
            runtime,
            channel: None,
        })
    }

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

    fn send(&mut self, destination: &Destination, message: Bytes) -> Result<Bytes, Status> {
        let channel = self.channel(destination);
        let channel = channel.map_err(|error| Status::from_error(Box::new(error)))?;
        let mut request = Request::new(message);
        let headers = destination.headers.iter().cloned();
        *request.metadata_mut() = MetadataMap::from_headers(HeaderMap::from_iter(headers));
        request.set_timeout(destination.timeout);
        let mut client = Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_LEN);
        if destination.compression == RequestCompression::Gzip {
            client = with_gzip(client);
        }
        let path = PathAndQuery::from_static(destination.signal.grpc_path());
        let call = async {
            client
                .ready()
                .await
                .map_err(|error| Status::from_error(Box::new(error)))?;
            client.unary(request, path, RawCodec).await
        };
        let answer = self.runtime.block_on(async {
            // Also for a server that does not heed the timeout of the request.
            tokio::time::timeout(destination.timeout, call).await
        });
        let answer = answer.unwrap_or_else(|_| {
            let status = Status::deadline_exceeded("no answer within the timeout");
            Err(status)
        });
        if let Err(status) = &answer
            && matches!(
                status.code(),
                Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown
            )
        {
            self.channel = None;
        }
        answer.map(tonic::Response::into_inner)
    }
}

#[cfg(feature = "gzip")]
fn with_gzip(client: Grpc<Channel>) -> Grpc<Channel> {
    use tonic::codec::CompressionEncoding;

    client
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip)
}

/// The builder refuses gzip without its feature.
#[cfg(not(feature = "gzip"))]
fn with_gzip(client: Grpc<Channel>) -> Grpc<Channel> {
    client
}

/// Returns the message of a status, with the causes of a failed connection.
fn explanation(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        let error_text = error.to_string();
        if !text.contains(&error_text) {
            text = format!("{text}: {error_text}");
        }
        cause = error.source();
    }
    text
}

fn is_too_large(message: &str) -> bool {
    message.contains("larger than max") || message.contains("message length too large")
}

/// Passes encoded messages through.
#[derive(Debug, Clone, Copy)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}
