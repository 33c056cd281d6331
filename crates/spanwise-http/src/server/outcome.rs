//! The outcome of a request. It decides the level and the message of the access event.

use tracing::Level;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    ClientError,
    ServerError,
    /// The client disconnected, or the caller of the service dropped the request.
    Cancelled,
    /// The client disconnected from a healthy stream: an event stream, or a body of unknown length.
    /// The name of this outcome is `cancelled` too. The message is `request served`, at INFO,
    /// because such an end is normal.
    ClientClosedStream,
    Panicked,
    /// The body failed after the response head was sent, or ended before its declared length.
    StreamAborted,
}

impl Outcome {
    /// Returns the outcome of a complete response.
    pub(crate) fn from_status(status: u16) -> Self {
        match status {
            500.. => Self::ServerError,
            400.. => Self::ClientError,
            _ => Self::Ok,
        }
    }

    /// Returns the outcome after the application has called [`fail`](super::fail).
    ///
    /// A 4xx remains a client error, and the failure explains it.
    pub(crate) fn after_failure_mark(self) -> Self {
        match self {
            Self::Ok | Self::ServerError | Self::Cancelled | Self::ClientClosedStream => {
                Self::ServerError
            }
            Self::ClientError | Self::Panicked | Self::StreamAborted => self,
        }
    }

    /// Returns whether the server is at fault.
    pub(crate) fn is_server_fault(self) -> bool {
        match self {
            Self::ServerError | Self::Panicked | Self::StreamAborted => true,
            Self::Ok | Self::ClientError | Self::Cancelled | Self::ClientClosedStream => false,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::Cancelled | Self::ClientClosedStream => "cancelled",
            Self::Panicked => "panicked",
            Self::StreamAborted => "stream_aborted",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Ok | Self::ClientError | Self::ClientClosedStream => "request served",
            Self::ServerError | Self::Cancelled | Self::Panicked | Self::StreamAborted => {
                "request failed"
            }
        }
    }

    /// Returns the level that applies if no [rule](super::options::Options::status_level) contains
    /// the status.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Ok | Self::ClientError | Self::ClientClosedStream => Level::INFO,
            Self::Cancelled => Level::WARN,
            Self::ServerError | Self::Panicked | Self::StreamAborted => Level::ERROR,
        }
    }
}

/// Maps a gRPC status to an HTTP status, according to `google.rpc.Code`. An unknown code is mapped
/// like `UNKNOWN`.
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
