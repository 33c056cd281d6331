//! A server on loopback that accepts Sentry's requests, so that an example needs no network.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use serde_json::Value;

/// Starts the server. Returns its DSN and the received events.
///
/// # Errors
/// If no port is free.
pub fn start() -> io::Result<(String, Receiver<Value>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let dsn = format!("http://public@{}/1", listener.local_addr()?);
    let (events, received) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let events = events.clone();
            // A client that goes away ends its thread.
            thread::spawn(move || serve(stream, &events).is_ok());
        }
    });
    Ok((dsn, received))
}

fn serve(mut stream: TcpStream, events: &Sender<Value>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let header = line.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            } else if header.is_empty() {
                break;
            }
        }
        let mut envelope = vec![0; length];
        reader.read_exact(&mut envelope)?;
        // A header, and then each item after a header of its own: only an event has a culprit.
        let items = envelope.split(|byte| *byte == b'\n');
        let items = items.filter_map(|item| serde_json::from_slice::<Value>(item).ok());
        for event in items.filter(|item| item["culprit"].is_string()) {
            // The receiver is gone.
            let _ = events.send(event);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")?;
    }
}
