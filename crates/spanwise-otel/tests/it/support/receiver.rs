//! A collector on loopback that decodes what it receives over HTTP, or misbehaves.

#![allow(dead_code, unreachable_pub, reason = "not every test uses all of it")]

use std::{
    collections::VecDeque,
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse},
        metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    logs::v1::LogRecord,
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message;

/// How the collector treats a request.
#[derive(Debug, Clone, Default)]
pub enum Behaviour {
    /// Takes everything.
    #[default]
    Accept,
    /// Takes everything, except for this number of items, for a reason.
    Partial(i64, &'static str),
    /// Answers with a status, further headers and a body.
    Answer(u16, &'static [(&'static str, &'static str)], Vec<u8>),
    /// Answers with a status of HTTP alone, as a proxy answers a gRPC call.
    Http(u16),
    /// Answers 413 to a request with more items than this.
    MaxItems(usize),
    /// Reads the request and never answers.
    Hang,
    /// Closes the connection.
    Close,
    /// Takes everything, and closes the connection in the middle of the answer.
    Reset,
    /// Answers something other than HTTP.
    Garbage,
}

impl Behaviour {
    /// Answers with this status and nothing else.
    pub const fn status(status: u16) -> Self {
        Self::Answer(status, &[], Vec::new())
    }

    fn takes(&self) -> bool {
        matches!(
            self,
            Self::Accept | Self::Partial(..) | Self::MaxItems(_) | Self::Reset
        )
    }
}

/// A running collector. It lives as long as the test process.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    /// How the next requests are treated, one each.
    next: VecDeque<Behaviour>,
    /// How all later requests are treated.
    behaviour: Behaviour,
    connections: usize,
    /// Those that [`Receiver::close_connections`] closes.
    open: Vec<TcpStream>,
}

/// A request that was received.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without compression.
    pub body: Vec<u8>,
    /// Whether the collector took it.
    pub is_taken: bool,
}

/// A span or log record, with where it comes from.
#[derive(Debug, Clone)]
pub struct Received<T> {
    pub resource: Resource,
    pub scope: InstrumentationScope,
    pub item: T,
}

/// A connection, with or without TLS.
pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

impl Receiver {
    /// Starts a collector that takes everything.
    pub fn start() -> Self {
        Self::start_with("http", |stream| Some(Box::new(stream)))
    }

    /// Starts a collector that treats all requests like this.
    pub fn behaving(behaviour: Behaviour) -> Self {
        let receiver = Self::start();
        receiver.behave(behaviour);
        receiver
    }

    /// Starts a collector whose connections `accept` prepares.
    pub fn start_with(
        scheme: &'static str,
        accept: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let receiver = Self::at(listener.local_addr().expect("its address"), scheme);
        let shared = Arc::clone(&receiver.shared);
        let accept = Arc::new(accept);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, accept) = (Arc::clone(&shared), Arc::clone(&accept));
                shared.connected(&stream);
                thread::spawn(move || {
                    if let Some(stream) = accept(stream) {
                        shared.serve(stream);
                    }
                });
            }
        });
        receiver
    }

    /// Returns a collector that someone else runs at this address.
    pub(super) fn at(address: SocketAddr, scheme: &'static str) -> Self {
        Self {
            address,
            scheme,
            shared: Arc::default(),
        }
    }

    /// Counts a connection.
    pub(super) fn connected(&self, stream: &TcpStream) {
        self.shared.connected(stream);
    }

    /// Closes all connections.
    pub fn close_connections(&self) {
        for stream in self.shared.lock().open.drain(..) {
            // The client may have closed it.
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// Stores a request. Returns how it is answered.
    pub(super) fn receive(&self, request: Request) -> Behaviour {
        self.shared.receive(request)
    }

    /// Treats all later requests like this.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().behaviour = behaviour;
    }

    /// Treats the next request like this, after those of earlier calls.
    pub fn behave_once(&self, behaviour: Behaviour) {
        self.shared.lock().next.push_back(behaviour);
    }

    /// Returns the endpoint of all signals.
    pub fn endpoint(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// Returns all requests, also those that were not taken.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Waits until this number of requests was received.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) {
        self.wait_until(&format!("{count} requests"), |requests| {
            requests.len() >= count
        });
    }

    /// Waits until this number of spans was taken.
    #[track_caller]
    pub fn wait_for_spans(&self, count: usize) {
        self.wait_until(&format!("{count} spans"), |requests| {
            spans(requests).len() >= count
        });
    }

    /// Waits until this number of log records was taken.
    #[track_caller]
    pub fn wait_for_logs(&self, count: usize) {
        self.wait_until(&format!("{count} log records"), |requests| {
            logs(requests).len() >= count
        });
    }

    #[track_caller]
    fn wait_until(&self, what: &str, is_met: impl Fn(&[Request]) -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        let mut state = self.shared.lock();
        while !is_met(&state.requests) {
            let rest = until.saturating_duration_since(Instant::now());
            assert!(!rest.is_zero(), "no {what}: {:#?}", state.requests);
            let waited = self.shared.changed.wait_timeout(state, rest);
            state = waited.expect("the state").0;
        }
    }

    /// Returns the spans that were taken.
    pub fn spans(&self) -> Vec<Received<Span>> {
        spans(&self.requests())
    }

    /// Returns the log records that were taken.
    pub fn logs(&self) -> Vec<Received<LogRecord>> {
        logs(&self.requests())
    }

    /// Returns the requests with metrics that were taken.
    pub fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        decoded(&self.requests(), "metrics")
    }
}

fn decoded<M: Message + Default>(requests: &[Request], signal: &str) -> Vec<M> {
    let taken = requests.iter().filter(|request| request.is_taken);
    taken
        .filter(|request| request.path.ends_with(&format!("/v1/{signal}")))
        .map(|request| M::decode(&request.body[..]).expect("a message"))
        .collect()
}

fn spans(requests: &[Request]) -> Vec<Received<Span>> {
    let mut spans = Vec::new();
    for request in decoded::<ExportTraceServiceRequest>(requests, "traces") {
        for of_resource in request.resource_spans {
            for of_scope in of_resource.scope_spans {
                spans.extend(of_scope.spans.into_iter().map(|item| Received {
                    resource: of_resource.resource.clone().unwrap_or_default(),
                    scope: of_scope.scope.clone().unwrap_or_default(),
                    item,
                }));
            }
        }
    }
    spans
}

fn logs(requests: &[Request]) -> Vec<Received<LogRecord>> {
    let mut logs = Vec::new();
    for request in decoded::<ExportLogsServiceRequest>(requests, "logs") {
        for of_resource in request.resource_logs {
            for of_scope in of_resource.scope_logs {
                logs.extend(of_scope.log_records.into_iter().map(|item| Received {
                    resource: of_resource.resource.clone().unwrap_or_default(),
                    scope: of_scope.scope.clone().unwrap_or_default(),
                    item,
                }));
            }
        }
    }
    logs
}

/// Returns the value of an attribute. Fails if the key occurs twice.
#[track_caller]
pub fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let mut values = attributes.iter().filter(|pair| pair.key == key);
    let value = values.next()?;
    assert!(values.next().is_none(), "{key} occurs twice");
    value.value.as_ref()?.value.as_ref()
}

/// Returns the text of an attribute.
#[track_caller]
pub fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attribute(attributes, key)? {
        Value::StringValue(text) => Some(text),
        other => panic!("{key} is no text: {other:?}"),
    }
}

/// Returns the text of a body.
#[track_caller]
pub fn body(value: &Option<AnyValue>) -> &str {
    match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => panic!("the body is no text: {other:?}"),
    }
}

impl Request {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(header, _)| header == name);
        found.map(|(_, value)| &**value)
    }

    fn items(&self) -> usize {
        let one = [Self {
            is_taken: true,
            ..self.clone()
        }];
        spans(&one).len() + logs(&one).len()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("the state")
    }

    fn connected(&self, stream: &TcpStream) {
        let mut state = self.lock();
        state.connections += 1;
        state.open.extend(stream.try_clone());
    }

    fn serve(&self, stream: Box<dyn Stream>) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read_request(&mut stream) {
            let behaviour = self.receive(request);
            if answer(stream.get_mut(), behaviour).is_err() {
                return;
            }
        }
    }

    fn receive(&self, mut request: Request) -> Behaviour {
        let mut state = self.lock();
        let behaviour = state.next.pop_front();
        let mut behaviour = behaviour.unwrap_or_else(|| state.behaviour.clone());
        if let Behaviour::MaxItems(max) = behaviour
            && request.items() > max
        {
            behaviour = Behaviour::status(413);
        }
        request.is_taken = behaviour.takes();
        state.requests.push(request);
        drop(state);
        self.changed.notify_all();
        behaviour
    }
}

/// Returns the response of a signal: those of all signals have the same field numbers.
pub(super) fn partial_success(rejected: i64, reason: &str) -> Vec<u8> {
    let response = ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess {
            rejected_log_records: rejected,
            error_message: reason.to_owned(),
        }),
    };
    response.encode_to_vec()
}

/// Answers a request. After an error, the connection is closed.
fn answer(stream: &mut Box<dyn Stream>, behaviour: Behaviour) -> io::Result<()> {
    let (status, headers, body) = match behaviour {
        Behaviour::Accept | Behaviour::MaxItems(_) => (200, &[][..], Vec::new()),
        Behaviour::Partial(rejected, reason) => (200, &[][..], partial_success(rejected, reason)),
        Behaviour::Answer(status, headers, body) => (status, headers, body),
        Behaviour::Http(status) => (status, &[][..], Vec::new()),
        Behaviour::Hang => {
            let mut rest = [0; 64];
            while stream.read(&mut rest).is_ok_and(|read| read > 0) {}
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Behaviour::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
        Behaviour::Reset => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le")?;
            stream.flush()?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Behaviour::Garbage => {
            stream.write_all(b"\x00\x01 what is it you want\r\n\r\n")?;
            stream.flush()?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
    };
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let len = body.len();
    let mut answer =
        format!("HTTP/1.1 {status} Any\r\n{headers}content-length: {len}\r\n\r\n").into_bytes();
    answer.extend_from_slice(&body);
    stream.write_all(&answer)?;
    stream.flush()
}

fn read_request(stream: &mut BufReader<Box<dyn Stream>>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.strip_prefix("POST ").expect("a POST");
    let path = path.split(' ').next().expect("a path").to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        path,
        headers,
        body: Vec::new(),
        is_taken: false,
    };
    let len = request.header("content-length").expect("a length");
    let mut body = vec![0; len.parse().expect("a number")];
    stream.read_exact(&mut body).ok()?;
    assert_eq!(
        request.header("content-type"),
        Some("application/x-protobuf")
    );
    request.body = match request.header("content-encoding") {
        None => body,
        Some("gzip") => {
            let mut plain = Vec::new();
            let mut decoder = GzDecoder::new(&body[..]);
            decoder.read_to_end(&mut plain).expect("gzip");
            plain
        }
        Some(other) => panic!("an unknown encoding: {other}"),
    };
    Some(request)
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.address).finish()
    }
}
