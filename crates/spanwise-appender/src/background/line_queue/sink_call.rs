//! Calls to the sink.
//!
//! A sink may run foreign code, such as the application's writer. The `Display` and the `Drop` of
//! its errors may be foreign code, too. Foreign code may log, block or panic, so it never runs
//! under the lock of the queue's state. Only this module runs it: it calls the sink, converts each
//! error to its kind and text, and drops the error.

use std::{io, mem, ptr};

use spanwise_core::{
    Fault,
    internal::{
        panic_safe,
        reentrancy::{self, WriterRole},
        sync::Mutex,
    },
};

use super::LineQueue;
use crate::{
    background::{buffer::Chunk, stderr_sink},
    record_sink::{RecordSink, StopFlag, WriteOutcome},
};

/// A sink, and the number of its panics.
pub(crate) struct GuardedSink {
    sink: Box<dyn RecordSink>,
    panics: u32,
}

impl GuardedSink {
    pub(crate) const fn new(sink: Box<dyn RecordSink>) -> Mutex<Self> {
        Mutex::new(Self { sink, panics: 0 })
    }
}

/// The outcome of an attempt to write a chunk: a [`WriteOutcome`] without foreign code, because a
/// [`SinkError`] replaces its error.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The number of records that were written.
    pub(crate) delivered: usize,
    /// The number of records that are lost.
    pub(crate) refused: usize,
    /// The length of the delivered and refused records together, in bytes.
    pub(crate) settled_len: usize,
    /// The number of records that are still in the chunk.
    pub(crate) remaining: usize,
    pub(crate) error: Option<SinkError>,
    /// Whether the sink was stopped before its reader had read all records. This is not an error.
    pub(crate) timed_out: bool,
}

/// The kind and the text of an error of a sink.
#[derive(Debug)]
pub(crate) struct SinkError {
    pub(crate) kind: io::ErrorKind,
    pub(crate) text: String,
}

/// The text of an error is truncated to this many bytes.
const MAX_ERROR_LEN: usize = 512;

impl SinkError {
    fn new(error: io::Error) -> Self {
        let kind = error.kind();
        let text = panic_safe::format_text(format_args!("{error}"), MAX_ERROR_LEN);
        // Dropping the error may panic, too.
        let _ = panic_safe::catch_panic(|| drop(error));
        Self { kind, text }
    }
}

/// Returns whether this thread is a writer thread, or a logging thread that is writing to a sink.
/// This thread must not wait for room or for a write, because it could wait for itself.
pub(crate) fn is_writing_thread() -> bool {
    WriterRole::current() != WriterRole::Caller
}

impl LineQueue {
    /// Returns whether the innermost sink that this thread runs is the sink of this queue. A line
    /// that the sink logs would cause another write, which would log again.
    pub(super) fn is_in_sink(&self) -> bool {
        reentrancy::current_sink() == ptr::from_ref(self) as usize
    }

    /// Passes the records of a chunk to the sink, and removes the records that it delivered or
    /// refused. The caller must have the [turn](super::direct).
    pub(crate) fn attempt(&self, chunk: &mut Chunk, stop: &StopFlag) -> Attempt {
        let records = chunk.records();
        // After a panic, it is unknown which records were written, and a second write could repeat
        // some of them. So all records count as refused.
        let outcome = self
            .call_sink(|sink| sink.write(records, stop))
            .unwrap_or_else(|error| WriteOutcome::refused(records, 0, error));
        // An application's sink may return a wrong count. The totals must stay consistent.
        let delivered = outcome.delivered.min(records.len());
        let refused = outcome.refused.min(records.len() - delivered);
        let is_timeout = |error: &io::Error| {
            refused == 0 && stop.is_set() && error.kind() == io::ErrorKind::TimedOut
        };
        let timed_out = outcome.error.as_ref().is_some_and(is_timeout);
        let error = outcome.error.filter(|_| !timed_out).map(SinkError::new);
        let settled = delivered + refused;
        let (settled_len, remaining) = (records.start_of(settled), records.len() - settled);
        chunk.remove_front(settled);
        Attempt {
            delivered,
            refused,
            settled_len,
            remaining,
            error,
            timed_out,
        }
    }

    /// Finishes the sink. The caller must have the [turn](super::direct).
    pub(crate) fn finish_sink(&self) {
        // A panic is only reported, because this call has no records to count.
        if let Err(error) = self.call_sink(|sink| sink.finish()) {
            let name = &self.options.name;
            let why =
                format_args!("{name}: the output is not finished, so lines may be lost: {error}");
            self.report.fault(Fault::FlushFailed, &why);
        }
    }

    /// Calls the sink. If it panics a second time, stderr replaces it.
    fn call_sink<R>(&self, call: impl FnOnce(&mut dyn RecordSink) -> R) -> io::Result<R> {
        let mut guarded = self.sink.lock();
        let in_sink = reentrancy::enter_sink(ptr::from_ref(self) as usize);
        let mut returned = None;
        let act = || returned = Some(call(&mut *guarded.sink));
        if WriterRole::current() == WriterRole::Worker {
            // With this guard, a panic hook does not log on the writer thread: see
            // `reentrancy::is_logging`. A logging thread needs no second guard, because it is
            // usually inside the guard of a layer. The second one could share the bit of that
            // layer, and would then refuse the write.
            let _ = reentrancy::guarded_write(self.id, || {
                act();
                Ok(())
            });
        } else {
            let _ = panic_safe::catch_panic(act);
        }
        drop(in_sink);
        if let Some(returned) = returned {
            return Ok(returned);
        }
        guarded.panics += 1;
        if guarded.panics == 2 {
            let panicking = mem::replace(&mut guarded.sink, stderr_sink());
            drop(guarded);
            // Dropping the sink may panic, too.
            let _ = panic_safe::catch_panic(|| drop(panicking));
            let why = format_args!(
                "{}: the writer panicked twice; lines go to stderr",
                self.options.name
            );
            self.report.fault(Fault::Setup, &why);
        }
        Err(io::Error::other("the writer panicked"))
    }

    /// Reports the error of an attempt, if it has one, and whether records are lost or tried again.
    pub(crate) fn report_failure(&self, attempt: &Attempt) {
        let Some(SinkError { text, .. }) = &attempt.error else {
            return;
        };
        let (name, refused) = (&self.options.name, attempt.refused);
        let remaining = attempt.remaining;
        let why = if refused > 0 {
            format!("{name}: {refused} lines are lost: {text}")
        } else {
            format!("{name}: {remaining} lines and later ones are held and tried again: {text}")
        };
        self.report.fault(Fault::WriteFailed, &why);
    }
}
