//! A collector on the loopback. It reads requests over HTTP and drops them.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Answers each request with an empty message, unless it hangs. It runs until the process ends.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    hangs: Arc<AtomicBool>,
}

/// How often a hanging connection checks whether it may answer.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

impl Collector {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let hangs = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&hangs);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hangs = Arc::clone(&of_thread);
                thread::spawn(move || answer_all(stream, &hangs));
            }
        });
        Ok(Self { address, hangs })
    }

    /// Sets whether the collector reads requests without answering them.
    pub(crate) fn set_hanging(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::Relaxed);
    }
}

fn answer_all(stream: TcpStream, hangs: &AtomicBool) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut len = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                len = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        io::copy(&mut reader.by_ref().take(len), &mut io::sink())?;
        while hangs.load(Ordering::Relaxed) {
            thread::sleep(POLL_INTERVAL);
        }
        writer.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n",
        )?;
    }
}
