//! A recorder writes slowly while other threads of the request continue to log. The lines before
//! the error are kept, and lines without room in the buffer are counted.

use std::{
    io,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use crate::support::Lines;
use spanwise::Builder;
use tracing::{debug, error, info_span};
use tracing_subscriber::fmt::MakeWriter;

/// Signals when it is at the header of a dump, and waits there.
#[derive(Clone)]
struct Slow {
    lines: Lines,
    gate: Arc<Mutex<Option<Gate>>>,
}

/// A sender that reports the arrival at the header, and a receiver of the signal to continue.
type Gate = (mpsc::Sender<()>, mpsc::Receiver<()>);

impl io::Write for Slow {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if String::from_utf8_lossy(line).contains("spanwise::recorder")
            && let Some((at_header, go_on)) = self.gate.lock().unwrap().take()
        {
            at_header.send(()).unwrap();
            go_on.recv().unwrap();
        }
        self.lines.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Slow {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test]
fn recorder_keeps_order_and_counts_overflow() {
    alone!();
    crate::support::bounded(|| {
        let ((arrived, at_header), (go, go_on)) = (mpsc::channel(), mpsc::channel());
        let lines = Lines::default();
        let gate = Arc::new(Mutex::new(Some((arrived, go_on))));
        let slow = Slow {
            lines: lines.clone(),
            gate,
        };
        let vars = [("LOG_PRESET", "prod"), ("LOG_RECORDER", "debug")];
        let builder = Builder::from_vars(vars).unwrap();
        let telemetry = builder.with_writer(slow).init().unwrap();
        let request = info_span!("request");
        request.in_scope(|| (0..3).for_each(|n| debug!(n, "before")));
        let failing = request.clone();
        let failing = thread::spawn(move || failing.in_scope(|| error!("failed")));
        at_header.recv().unwrap();
        request.in_scope(|| (0..1500).for_each(|n| debug!(n, "meanwhile")));
        go.send(()).unwrap();
        failing.join().unwrap();

        let all = lines.objects();
        let count = |message: &str| all.iter().filter(|line| line["message"] == message).count();
        assert_eq!((count("before"), count("failed")), (3, 1));
        let stats = telemetry.handle().recorder_stats();
        assert_eq!(count("meanwhile") as u64 + stats.evicted, 1500, "{stats:?}");
    });
}
