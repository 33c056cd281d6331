//! The thread that writes.

use std::{
    io, mem,
    sync::{Arc, PoisonError, atomic::Ordering},
    thread,
    time::Duration,
};

use spanwise_core::{Fault, LayerId, guarded, reentry};

use super::{
    buffer::Chunk,
    notice::Notice,
    shared::{self, Next, Shared},
};
use crate::sink::{Records, Written};

/// The first wait before a sink that refuses lines is tried again; it doubles, up to the longest.
const BACK_OFF: Duration = Duration::from_millis(10);
const LONGEST_BACK_OFF: Duration = Duration::from_millis(500);

pub(crate) fn spawn(shared: &Arc<Shared>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    // Fifteen bytes are what Linux shows of a name.
    let name = "spanwise-writer".to_owned();
    thread::Builder::new().name(name).spawn(move || {
        shared::this_is_the_worker();
        Worker {
            shared,
            id: LayerId::unique(),
            panics: 0,
        }
        .run();
    })?;
    Ok(())
}

struct Worker {
    shared: Arc<Shared>,
    id: LayerId,
    panics: u32,
}

impl Worker {
    fn run(mut self) {
        loop {
            match self.shared.next() {
                Next::Write(chunk) => self.write(chunk),
                Next::Tell(notice) => self.log(notice),
                Next::Finish => {
                    let mut sink = self
                        .shared
                        .sink
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    let _ = guarded::catch(|| sink.finish());
                }
                Next::End => return,
            }
        }
    }

    /// Logs a notice on a thread of its own: it goes through anybody's layers, and one of them may hold a lock while it waits for this
    /// thread to make room.
    fn log(&self, notice: Notice) {
        let shared = Arc::clone(&self.shared);
        let name = "spanwise-notice".to_owned();
        let logs = thread::Builder::new().name(name).spawn(move || {
            let _ = guarded::catch(|| notice.tell(&shared.options.name));
            shared.told();
        });
        if logs.is_err() {
            self.shared.told();
        }
    }

    fn write(&mut self, mut chunk: Chunk) {
        let mut delay = BACK_OFF;
        loop {
            let records = chunk.records();
            let written = self.try_to_write(records);
            let done = written.delivered + written.failed;
            let left = records.ends.len() - done;
            if let Some(error) = &written.error {
                if !self.shared.stop.load(Ordering::Relaxed) {
                    self.tell(&written, left, error);
                }
                if written.delivered > 0 {
                    delay = BACK_OFF;
                }
            }
            let bytes = records.start_of(done);
            let waits = written.error.is_some();
            if !self.shared.settle(bytes, written, left) {
                return self.shared.recycle(chunk);
            }
            chunk.remove_front(done);
            if waits {
                self.shared.back_off(delay);
                delay = (delay * 2).min(LONGEST_BACK_OFF);
            }
        }
    }

    fn tell(&self, written: &Written, left: usize, error: &io::Error) {
        let name = &self.shared.options.name;
        let why = if written.failed > 0 {
            format!("{name}: {} lines are lost: {error}", written.failed)
        } else {
            format!("{name}: {left} lines and those that follow are held, and tried again: {error}")
        };
        self.shared.report.fault(Fault::WriteFailed, &why);
    }

    /// A writer that panics costs what it was given. One that does so twice is replaced by stderr.
    fn try_to_write(&mut self, records: Records<'_>) -> Written {
        let mut sink = self
            .shared
            .sink
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut written = None;
        let result = reentry::write(self.id, || {
            written = Some(sink.write(records, &self.shared.stop));
            Ok(())
        });
        if let Some(written) = written {
            return written;
        }
        self.panics += 1;
        if self.panics == 2 {
            let panicking = mem::replace(&mut *sink, super::stderr_sink());
            // It may panic again.
            let _ = guarded::catch(|| drop(panicking));
            let why = format_args!(
                "{}: the writer panicked twice; lines go to stderr",
                self.shared.options.name
            );
            self.shared.report.fault(Fault::Setup, &why);
        }
        Written {
            delivered: 0,
            failed: records.ends.len(),
            error: Some(
                result
                    .err()
                    .unwrap_or_else(|| io::Error::other("the writer panicked")),
            ),
        }
    }
}
