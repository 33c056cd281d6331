//! The HTTP requests that carry spans, log records and metrics to a collector.

use std::{borrow::Cow, io::Read as _, sync::Arc};

use spanwise_core::export::{Deliver, Delivery};
use ureq::{
    Agent,
    http::{StatusCode, header},
};

use crate::{
    RequestCompression,
    destination::{Destination, ExportRequest, MAX_ANSWER_LEN, USER_AGENT},
    response::RpcStatus,
    retry_after,
};

const PROTOBUF: &str = "application/x-protobuf";

/// Sends one request at a time, and keeps at most one idle connection.
pub(crate) struct HttpTransport {
    agent: Agent,
    destination: Arc<Destination>,
}

/// An answer of the server.
struct Answer {
    status: StatusCode,
    retry_after: Option<String>,
    is_protobuf: bool,
    body: Vec<u8>,
}

impl HttpTransport {
    pub(crate) fn new(destination: Arc<Destination>) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(destination.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(1)
            .user_agent(USER_AGENT)
            .tls_config(destination.tls.for_http());
        Self {
            agent: config.build().into(),
            destination,
        }
    }

    fn send(&self, body: &[u8]) -> Result<Answer, ureq::Error> {
        let destination = &*self.destination;
        let mut request = self
            .agent
            .post(destination.endpoint.uri())
            .header(header::CONTENT_TYPE, PROTOBUF);
        if destination.compression == RequestCompression::Gzip {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        for (name, value) in &destination.headers {
            request = request.header(name, value);
        }
        let mut response = request.send(body)?;
        let text = |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let retry_after = text(header::RETRY_AFTER);
        let is_protobuf = text(header::CONTENT_TYPE)
            .is_some_and(|content_type| content_type.contains("protobuf"));
        let status = response.status();
        // Ignore an error while reading the body: the status decides whether the request is sent
        // again, and the part that was read is used. The agent reuses the connection only if the
        // body was read to its end.
        let mut body = Vec::new();
        let reader = response.body_mut().as_reader();
        let _ = reader.take(MAX_ANSWER_LEN as u64).read_to_end(&mut body);
        Ok(Answer {
            status,
            retry_after,
            is_protobuf,
            body,
        })
    }

    fn delivery_of_answer(&self, answer: &Answer) -> Delivery {
        let Self { destination, .. } = self;
        let Answer { status, body, .. } = answer;
        if status.is_success() {
            return destination.delivery_of_accepted(body);
        }
        let text: Cow<'_, str> = match answer.is_protobuf {
            true => RpcStatus::read(body).message.into(),
            false => String::from_utf8_lossy(body),
        };
        let text = destination.server_text_filter.safe_text(&text);
        let endpoint = &destination.endpoint;
        let reason = format!("{endpoint} answers {}: {text}", status.as_u16());
        match *status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Delivery::Failed {
                reason,
                retry_after: answer
                    .retry_after
                    .as_deref()
                    .and_then(|value| retry_after::parse(value, destination.clock.now())),
            },
            StatusCode::PAYLOAD_TOO_LARGE => Delivery::TooLarge(reason),
            _ => Delivery::Refused(reason),
        }
    }
}

impl<T: ExportRequest> Deliver<T> for HttpTransport {
    fn deliver(&mut self, item: &T) -> Delivery {
        let body = self.destination.body(item);
        let delivery = match self.send(&body) {
            Ok(answer) => self.delivery_of_answer(&answer),
            Err(error) => self.destination.delivery_of_unanswered(&error.to_string()),
        };
        self.destination.remember_failure(&delivery);
        delivery
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
        time::Duration,
    };

    use tracing_core::Level;

    use super::*;
    use crate::{
        Otel, SignalKind,
        batch::{Batch, Importance},
        resource::Resource,
    };

    /// Checks only the delay that the transport returns. The tests of spanwise-core check that the
    /// queue waits for this delay.
    #[test]
    fn retry_after_of_busy_server_is_returned() {
        for (header, expected) in [
            ("", None),
            ("retry-after: 2\r\n", Some(Duration::from_secs(2))),
        ] {
            let server = TcpListener::bind("127.0.0.1:0").unwrap();
            let endpoint = format!("http://{}", server.local_addr().unwrap());
            let answer = format!("HTTP/1.1 503 Busy\r\n{header}content-length: 0\r\n\r\n");
            let server_thread = thread::spawn(move || {
                let (mut stream, _) = server.accept().unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                stream.read_to_end(&mut Vec::new()).ok();
            });
            let mut builder = Otel::builder(endpoint);
            let resource = Resource::new(Vec::new());
            let (destination, _) = builder
                .check_destination(SignalKind::Logs, &resource)
                .unwrap();
            let mut transport = destination.transport::<Batch>();
            let mut batch = Batch::new(Importance::High);
            batch.push(b"", [b""], Level::WARN);
            match transport.deliver(&batch) {
                Delivery::Failed { retry_after, .. } => assert_eq!(retry_after, expected),
                other => panic!("{other:?}"),
            }
            drop(transport);
            server_thread.join().unwrap();
        }
    }
}
