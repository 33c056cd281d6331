//! The outcome of a request. It decides the level and the message of the event.

use tracing::Level;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    ClientError,
    ServerError,
    /// The client left, or the caller of the service dropped the request.
    Cancelled,
    /// The client left a healthy stream that has no other end.
    StreamLeft,
    Panicked,
    /// The body failed after its head was sent.
    StreamAborted,
}

impl Outcome {
    /// Returns the outcome of a response that was sent to its end.
    pub(crate) fn from_status(status: u16) -> Self {
        match status {
            500.. => Self::ServerError,
            400.. => Self::ClientError,
            _ => Self::Ok,
        }
    }

    /// Returns the outcome of the same request if the application marks it as failed.
    ///
    /// A client error stays one: then the failure explains what is wrong with the request.
    pub(crate) fn failed(self) -> Self {
        match self {
            Self::Ok | Self::ServerError | Self::Cancelled | Self::StreamLeft => Self::ServerError,
            Self::ClientError | Self::Panicked | Self::StreamAborted => self,
        }
    }

    /// Returns whether the server is at fault.
    pub(crate) fn is_server_fault(self) -> bool {
        match self {
            Self::ServerError | Self::Panicked | Self::StreamAborted => true,
            Self::Ok | Self::ClientError | Self::Cancelled | Self::StreamLeft => false,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::Cancelled | Self::StreamLeft => "cancelled",
            Self::Panicked => "panicked",
            Self::StreamAborted => "stream_aborted",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Ok | Self::ClientError | Self::StreamLeft => "request served",
            Self::ServerError | Self::Cancelled | Self::Panicked | Self::StreamAborted => {
                "request failed"
            }
        }
    }

    /// Returns the level if no [rule](super::options::Options::status_level) names the status.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Ok | Self::ClientError | Self::StreamLeft => Level::INFO,
            Self::Cancelled => Level::WARN,
            Self::ServerError | Self::Panicked | Self::StreamAborted => Level::ERROR,
        }
    }
}

/// Maps a gRPC status to an HTTP status as `google.rpc.Code` does.
///
/// gRPC treats an unknown code as `UNKNOWN`.
pub(crate) fn grpc_to_http_status(code: i32) -> u16 {
    match code {
        0 => 200,          // ok
        1 => 499,          // cancelled
        3 | 9 | 11 => 400, // invalid argument, failed precondition, out of range
        4 => 504,          // deadline exceeded
        5 => 404,          // not found
        6 | 10 => 409,     // already exists, aborted
        7 => 403,          // permission denied
        8 => 429,          // resource exhausted
        12 => 501,         // unimplemented
        14 => 503,         // unavailable
        16 => 401,         // unauthenticated
        _ => 500,          // unknown, internal, data loss
    }
}
