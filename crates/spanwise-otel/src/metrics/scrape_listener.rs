//! A small HTTP server from which Prometheus scrapes the metrics. It needs no async runtime.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use spanwise_core::internal::panic_safe;

/// The maximum time for a request and its response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum length of the head of a request, in bytes. A request with a longer head is refused.
const MAX_HEAD_LEN: usize = 64 * 1024;

/// Returns the content type and the text for a client with this `Accept` header.
pub(crate) type MakeText = dyn Fn(Option<&str>) -> (&'static str, String) + Send + Sync;

/// Serves `GET /metrics`, one request at a time, on a thread of its own until it is dropped.
#[derive(Debug)]
pub(crate) struct ScrapeListener {
    address: SocketAddr,
    has_ended: Arc<AtomicBool>,
}

impl ScrapeListener {
    pub(crate) fn start(host: &str, port: u16, text: Box<MakeText>) -> io::Result<Self> {
        let listener = TcpListener::bind((host, port))?;
        let address = listener.local_addr()?;
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&has_ended);
        thread::Builder::new()
            .name("spanwise-otel-scrapes".to_owned())
            .spawn(move || serve(&listener, &ended, &text))?;
        Ok(Self { address, has_ended })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ScrapeListener {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        // Connect to the listener to wake the thread. If that fails, the thread ends with the next
        // connection.
        let _ = TcpStream::connect_timeout(&address, Duration::from_millis(100));
    }
}

/// Answers requests until `has_ended` is set.
fn serve(listener: &TcpListener, has_ended: &AtomicBool, text: &MakeText) {
    for stream in listener.incoming() {
        if has_ended.load(Ordering::Relaxed) {
            return;
        }
        match stream {
            // The client notices an error of its connection, so it is not reported here.
            Ok(stream) => drop(serve_request(stream, text)),
            // An error such as too many open files may last, so do not retry at once.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn serve_request(mut stream: TcpStream, text: &MakeText) -> io::Result<()> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    let request = read_request(|buffer| {
        stream.set_read_timeout(Some(time_left(deadline)?))?;
        stream.read(buffer)
    })?;
    let response = match &request {
        Some(request) => response_to(request, text),
        None => plain_text("431 Request Header Fields Too Large", "", "too large\n"),
    };
    let mut unsent = response.as_bytes();
    while !unsent.is_empty() {
        stream.set_write_timeout(Some(time_left(deadline)?))?;
        match stream.write(unsent)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => unsent = &unsent[written..],
        }
    }
    stream.shutdown(std::net::Shutdown::Write)
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    let time_left = deadline.saturating_duration_since(Instant::now());
    if time_left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(time_left)
}

/// Reads the head of a request with `read`, which reads bytes into a buffer and returns their
/// number. Returns `None` if the head is too long.
pub(super) fn read_request(
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while request.len() <= MAX_HEAD_LEN {
        let chunk = match read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => &buffer[..len],
        };
        // The end of the head has four bytes, of which three may be from earlier reads. The bytes
        // before are not searched again, so that a client that sends byte by byte costs little.
        let search_start = request.len().saturating_sub(3);
        request.extend_from_slice(chunk);
        let mut ends = request[search_start..].windows(4);
        if ends.any(|end| end == b"\r\n\r\n") {
            return Ok(Some(request));
        }
    }
    Ok(None)
}

fn response_to(request: &[u8], text: &MakeText) -> String {
    let request = String::from_utf8_lossy(request);
    let mut lines = request.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let version = words.next().unwrap_or_default();
    if !version.starts_with("HTTP/1.") {
        return plain_text("400 Bad Request", "", "not a request of HTTP/1.1\n");
    }
    let path = target.split('?').next().unwrap_or_default();
    if path != "/metrics" {
        return plain_text("404 Not Found", "", "metrics are at /metrics\n");
    }
    if method != Some("GET") {
        return plain_text("405 Method Not Allowed", "Allow: GET\r\n", "use GET\n");
    }
    let accept: Vec<&str> = lines
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("accept"))
        .map(|(_, value)| value.trim())
        .collect();
    let accept = (!accept.is_empty()).then(|| accept.join(","));
    // A panic must not end this thread: Prometheus would get no further answer.
    match panic_safe::catch_panic(|| text(accept.as_deref())) {
        Some((content_type, body)) => response("200 OK", "", content_type, &body),
        None => plain_text(
            "500 Internal Server Error",
            "",
            "the metrics cannot be shown\n",
        ),
    }
}

fn plain_text(status: &str, headers: &str, body: &str) -> String {
    response(status, headers, "text/plain; charset=utf-8", body)
}

fn response(status: &str, headers: &str, content_type: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len}\r\n\
         {headers}Connection: close\r\n\r\n{body}"
    )
}
