//! The parts of a response head that the access event needs.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body;

use super::{
    outcome::{Outcome, grpc_to_http_status},
    request::RequestInfo,
};
use crate::observed_values::content_length;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The facts about a response that are known at its start, and its gRPC status.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    /// The time from the start of the request to the head of the response, in milliseconds.
    pub(crate) ttfb_ms: f64,
    /// The declared length of the body, in bytes.
    pub(crate) body_len: Option<u64>,
    /// Whether HTTP forbids a body for this response.
    pub(crate) has_no_body: bool,
    is_grpc: bool,
    /// The gRPC status, from the trailers. A response without a body has it in its head.
    pub(crate) grpc_status: Option<i32>,
    /// Whether the response is an event stream or has no known length. The client may end such a
    /// response at any time.
    pub(crate) is_open_ended: bool,
    /// The `x-request-id` that the service has set, if it is not the id of the request.
    pub(crate) service_request_id: Option<HeaderValue>,
}

impl ResponseHead {
    pub(crate) fn read<R: Body>(
        request: &RequestInfo,
        response: &Response<R>,
        ttfb_ms: f64,
    ) -> Self {
        let status = response.status();
        let headers = response.headers();
        let content_type = headers.get(CONTENT_TYPE);
        let content_type = content_type.map_or(&b""[..], HeaderValue::as_bytes);
        let is_grpc = content_type.starts_with(b"application/grpc");
        let body_len = content_length(headers).or_else(|| response.body().size_hint().exact());
        Self {
            status,
            ttfb_ms,
            body_len,
            has_no_body: request.method_rules_out_body(status)
                || status.is_informational()
                || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED),
            is_grpc,
            // If a gRPC response has no body, its head has the fields of the trailers.
            grpc_status: is_grpc.then(|| grpc_status(headers)).flatten(),
            is_open_ended: is_event_stream(content_type) || body_len.is_none(),
            service_request_id: None,
        }
    }

    /// Reads the gRPC status, which is in the trailers.
    pub(crate) fn read_trailers(&mut self, trailers: &HeaderMap) {
        if self.is_grpc {
            self.grpc_status = grpc_status(trailers);
        }
    }

    /// Returns the HTTP status that the gRPC status maps to, or else the status of the response.
    pub(crate) fn effective_status(&self) -> u16 {
        let grpc_status = self.grpc_status.map(grpc_to_http_status);
        grpc_status.unwrap_or(self.status.as_u16())
    }

    pub(crate) fn outcome(&self) -> Outcome {
        Outcome::from_status(self.effective_status())
    }
}

fn is_event_stream(content_type: &[u8]) -> bool {
    let mut parts = content_type.split(|byte| *byte == b';');
    let media_type = parts.next().unwrap_or_default().trim_ascii();
    media_type.eq_ignore_ascii_case(b"text/event-stream")
}

fn grpc_status(headers: &HeaderMap) -> Option<i32> {
    headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}
