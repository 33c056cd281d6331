//! The destination of a signal: its address, and the options of its requests.

use std::{fmt, sync::Arc, time::Duration};

use spanwise_core::{
    Clock, Fault, SelfReport,
    export::{Deliver, Delivery, ExportItem},
    internal::{forks::PerProcess, sync::Mutex},
};
use ureq::http::{HeaderName, HeaderValue};

use crate::{
    Protocol, RequestCompression, SendFailure, SignalKind, endpoint::Endpoint,
    http_transport::HttpTransport, resource::Resource, response::PartialSuccess,
    server_text::ServerTextFilter, tls::Tls,
};

/// The address, headers and limits that the transports of a signal share.
pub(crate) struct Destination {
    pub(crate) signal: SignalKind,
    pub(crate) endpoint: Endpoint,
    pub(crate) protocol: Protocol,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) compression: RequestCompression,
    /// The timeout of each attempt to send a request.
    pub(crate) timeout: Duration,
    pub(crate) tls: Tls,
    pub(crate) resource: Resource,
    pub(crate) server_text_filter: ServerTextFilter,
    pub(crate) report: SelfReport,
    pub(crate) clock: Clock,
    pub(crate) last_failure: LastFailure,
}

/// The last failure of a request of this process: the request failed, or it was refused at least in
/// part. A forked child does not inherit it.
#[derive(Debug)]
pub(crate) struct LastFailure(PerProcess<Mutex<Option<SendFailure>>>);

impl LastFailure {
    fn set(&self, failure: SendFailure) {
        let last = self.0.for_this_process(|_| Mutex::default());
        *last.lock() = Some(failure);
    }

    fn get(&self) -> Option<SendFailure> {
        self.0.created_for_this_process()?.lock().clone()
    }
}

impl Default for LastFailure {
    fn default() -> Self {
        Self(PerProcess::new(Mutex::default()))
    }
}

/// An item that is sent as one request.
pub(crate) trait ExportRequest: ExportItem {
    /// Returns the encoded `Export…ServiceRequest`. `resource` is an encoded `Resource`.
    fn request(&self, resource: &[u8]) -> Vec<u8>;
}

pub(crate) const USER_AGENT: &str = concat!("spanwise-otel/", env!("CARGO_PKG_VERSION"));

/// The maximum number of bytes of an answer that are used. The remaining bytes are ignored.
pub(crate) const MAX_ANSWER_LEN: usize = 64 * 1024;

impl Destination {
    /// Creates the transport for a sender thread.
    pub(crate) fn transport<T: ExportRequest>(self: &Arc<Self>) -> Box<dyn Deliver<T>> {
        match self.protocol {
            Protocol::HttpProtobuf => Box::new(HttpTransport::new(Arc::clone(self))),
            #[cfg(feature = "grpc")]
            Protocol::Grpc => Box::new(crate::grpc_transport::GrpcTransport::new(Arc::clone(self))),
            #[cfg(not(feature = "grpc"))]
            Protocol::Grpc => unreachable!("the builder refuses gRPC without its feature"),
        }
    }

    /// Returns the body of a request, compressed if that is configured.
    pub(crate) fn body<T: ExportRequest>(&self, item: &T) -> Vec<u8> {
        let body = item.request(&self.resource.encoded());
        match self.compression {
            RequestCompression::None => body,
            #[cfg(feature = "gzip")]
            RequestCompression::Gzip => crate::gzip::gzip(&body),
            #[cfg(not(feature = "gzip"))]
            RequestCompression::Gzip => {
                unreachable!("the builder refuses gzip without its feature")
            }
        }
    }

    /// Returns the result of a request that the server accepted, at least in part. If the server
    /// has rejected nothing, but has sent a message, reports the message.
    pub(crate) fn delivery_of_accepted(&self, answer: &[u8]) -> Delivery {
        let Some(PartialSuccess { rejected, message }) = PartialSuccess::read(answer) else {
            return Delivery::Delivered;
        };
        let message = self.server_text_filter.safe_text(&message);
        if rejected > 0 {
            return Delivery::Partial {
                refused: rejected,
                reason: format!(
                    "{} refuses {rejected} {}: {message}",
                    self.endpoint,
                    self.item_noun()
                ),
            };
        }
        let text = format_args!("{} answers: {message}", self.endpoint);
        self.report.fault(Fault::Setup, &text);
        Delivery::Delivered
    }

    /// Returns the result of a request that failed and is sent again.
    pub(crate) fn delivery_of_failed(
        &self,
        reason: &str,
        retry_after: Option<Duration>,
    ) -> Delivery {
        Delivery::Failed {
            reason: format!("{}: {reason}", self.endpoint),
            retry_after,
        }
    }

    /// Returns the result of a request without an answer, which is sent again. `reason` may contain
    /// a text of the server.
    pub(crate) fn delivery_of_unanswered(&self, reason: &str) -> Delivery {
        let hint = match reason {
            _ if reason.contains("UnknownIssuer") => {
                "; the certificate of the server is not signed by a trusted root: set \
                 OTEL_EXPORTER_OTLP_CERTIFICATE to that of its issuer"
            }
            _ => "",
        };
        let reason = self.server_text_filter.safe_text(reason);
        self.delivery_of_failed(&format!("{reason}{hint}"), None)
    }

    /// Stores the time and the reason of the failure, unless `delivery` is a success.
    pub(crate) fn remember_failure(&self, delivery: &Delivery) {
        let reason = match delivery {
            Delivery::Delivered => return,
            Delivery::Partial { reason, .. } | Delivery::Failed { reason, .. } => reason,
            Delivery::Refused(reason)
            | Delivery::TooLarge(reason)
            | Delivery::RateLimited(reason) => reason,
        };
        self.last_failure.set(SendFailure {
            at: self.clock.now(),
            reason: reason.clone(),
        });
    }

    /// Returns the last failure of this process.
    pub(crate) fn last_failure(&self) -> Option<SendFailure> {
        self.last_failure.get()
    }

    /// Returns the noun for the items of the signal in messages.
    fn item_noun(&self) -> &'static str {
        match self.signal {
            SignalKind::Traces => "spans",
            SignalKind::Logs => "log records",
            SignalKind::Metrics => "data points",
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination")
            .field("signal", &self.signal)
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
