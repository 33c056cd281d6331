//! A server on loopback that receives envelopes over HTTP, or misbehaves.

#![allow(dead_code, unreachable_pub, reason = "each binary uses some of it")]
#![allow(clippy::expect_used, reason = "a test may panic")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How the server treats a request.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Answers with a status and headers.
    Answer(u16, &'static [(&'static str, &'static str)]),
    /// Reads the request and never answers.
    Hang,
    /// Accepts the connection and never reads.
    Deaf,
    /// Sends an endless answer, one byte at a time.
    Drip,
    /// Answers something other than HTTP.
    Garbage,
    /// Closes the connection.
    Close,
    /// Accepts everything and stores nothing.
    Forget,
    /// Refuses, and repeats the key twice.
    Echo,
}

pub const ACCEPT: Behaviour = Behaviour::Answer(200, &[]);

#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    bodies: Mutex<Vec<Vec<u8>>>,
    received: Condvar,
    behaviour: Mutex<Behaviour>,
}

impl Receiver {
    pub fn start() -> Self {
        Self::behaving(ACCEPT)
    }

    pub fn behaving(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let shared = Arc::new(Shared {
            bodies: Mutex::default(),
            received: Condvar::new(),
            behaviour: Mutex::new(behaviour),
        });
        let receiver = Self {
            address: listener.local_addr().expect("its address"),
            shared,
        };
        let shared = Arc::clone(&receiver.shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(stream));
            }
        });
        receiver
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().expect("a behaviour") = behaviour;
    }

    pub fn dsn(&self) -> String {
        format!("http://0123456789abcdef@{}/42", self.address)
    }

    /// Returns the bodies of all requests.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.shared.bodies.lock().expect("the bodies").clone()
    }

    /// Waits until `count` requests were received.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        let until = Instant::now() + Duration::from_secs(60);
        let mut bodies = self.shared.bodies.lock().expect("the bodies");
        while bodies.len() < count {
            let rest = until.saturating_duration_since(Instant::now());
            assert!(!rest.is_zero(), "{} of {count} received", bodies.len());
            bodies = self
                .shared
                .received
                .wait_timeout(bodies, rest)
                .expect("the bodies")
                .0;
        }
    }

    /// Returns the items of this type in all envelopes.
    pub fn items(&self, ty: &str) -> Vec<Value> {
        let bodies = self.bodies();
        let items = bodies.iter().flat_map(|body| items_of(body));
        items
            .filter(|(header, _)| header["type"] == ty)
            .map(|(_, payload)| payload)
            .collect()
    }

    pub fn events(&self) -> Vec<Value> {
        self.items("event")
    }
}

/// Returns the items of an envelope, each with its header.
pub fn items_of(body: &[u8]) -> Vec<(Value, Value)> {
    let mut lines = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let header = lines.next().expect("a header");
    let _: Value = serde_json::from_slice(header).expect("a header in JSON");
    let mut items = Vec::new();
    while let Some(header) = lines.next() {
        let header: Value = serde_json::from_slice(header).expect("a header in JSON");
        let payload = lines.next().expect("a payload");
        if let Some(length) = header["length"].as_u64() {
            assert_eq!(length, payload.len() as u64, "the length of {header}");
        }
        items.push((header, serde_json::from_slice(payload).expect("JSON")));
    }
    items
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        loop {
            let behaviour = || self.behaviour.lock().expect("a behaviour").clone();
            if matches!(behaviour(), Behaviour::Deaf) {
                return wait_for_close(stream);
            }
            let Some(body) = request(&mut reader) else {
                return;
            };
            let behaviour = behaviour();
            if !matches!(behaviour, Behaviour::Forget) {
                self.bodies.lock().expect("the bodies").push(body);
            }
            self.received.notify_all();
            let sent = match behaviour {
                Behaviour::Answer(status, headers) => {
                    let headers: String = headers
                        .iter()
                        .map(|(name, value)| format!("{name}: {value}\r\n"))
                        .collect();
                    let answer = format!(
                        "HTTP/1.1 {status} Whatever\r\n{headers}content-length: 2\r\n\r\n{{}}"
                    );
                    stream.write_all(answer.as_bytes())
                }
                Behaviour::Forget => {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                }
                Behaviour::Echo => {
                    let key = "sentry_key=0123456789abcdef";
                    // The second key begins before the maximum length of a report, 200 characters.
                    let body = format!("no such key: {key} {:.<139}{key}", "");
                    let length = body.len();
                    let head = format!("HTTP/1.1 400 Bad\r\ncontent-length: {length}\r\n\r\n");
                    stream.write_all(format!("{head}{body}").as_bytes())
                }
                Behaviour::Hang | Behaviour::Deaf => return wait_for_close(stream),
                Behaviour::Drip => {
                    let bytes = b"HTTP/1.1 200 OK\r\nx-drip: "
                        .iter()
                        .chain([b'a'].iter().cycle());
                    for byte in bytes {
                        if stream.write_all(&[*byte]).is_err() {
                            return;
                        }
                        thread::sleep(Duration::from_millis(50));
                    }
                    return;
                }
                Behaviour::Garbage => stream.write_all(b"\x00\x01 what is it you want\r\n\r\n"),
                Behaviour::Close => return,
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

/// Waits until the client closes the connection.
fn wait_for_close(mut stream: TcpStream) {
    let mut byte = [0];
    stream.set_read_timeout(None).ok();
    if stream.read(&mut byte).is_ok_and(|read| read > 0) {
        thread::sleep(Duration::from_secs(3600));
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    assert!(line.starts_with("POST /api/42/envelope/ "), "{line}");
    let mut has_key = false;
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let lower = line.to_ascii_lowercase();
        if lower.trim().is_empty() {
            break;
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        has_key |=
            lower.starts_with("x-sentry-auth:") && lower.contains("sentry_key=0123456789abcdef");
    }
    assert!(has_key, "the key is in a header");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
