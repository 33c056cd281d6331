//! How a request ended, and how much that matters.

use http::StatusCode;
use tracing::Level;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    ClientError,
    ServerError,
    /// The client left, or whoever called the service waited no longer.
    Cancelled,
    Panicked,
    /// The body failed after its head was sent.
    StreamAborted,
}

impl Outcome {
    /// Of a response that was sent to its end. gRPC says in a status of its own how a call went, where HTTP says 200.
    pub(crate) fn of(status: StatusCode, grpc_status: Option<i32>) -> Self {
        match grpc_status {
            Some(0) => Self::Ok,
            // Unknown, deadline exceeded, unimplemented, internal, unavailable, data loss.
            Some(2 | 4 | 12..=15) => Self::ServerError,
            Some(_) => Self::ClientError,
            None if status.is_server_error() => Self::ServerError,
            None if status.is_client_error() => Self::ClientError,
            None => Self::Ok,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
            Self::StreamAborted => "stream_aborted",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Ok | Self::ClientError | Self::ServerError => "request served",
            Self::Cancelled => "request cancelled",
            Self::Panicked => "request panicked",
            Self::StreamAborted => "response aborted",
        }
    }

    /// Without what the layer was told of single statuses and slow requests.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Ok => Level::INFO,
            Self::ClientError | Self::Cancelled => Level::WARN,
            Self::ServerError | Self::Panicked | Self::StreamAborted => Level::ERROR,
        }
    }
}
