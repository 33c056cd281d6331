//! Handing records to the sink.
//!
//! The writer behind a sink and the errors that it returns are somebody else's code: they may log, block or panic. So none of it
//! runs under the lock of the state. What is left of an error is its kind and its text, which is made here and nowhere else.

use std::{cell::Cell, io, mem};

use spanwise_core::{
    Fault,
    internal::{panic_safe, reentrancy, sync::Mutex},
};

use super::LineQueue;
use crate::record_sink::{RecordSink, Records, StopFlag, WriteOutcome};

/// Where lines go, and how often it panicked.
pub(crate) struct GuardedSink {
    sink: Box<dyn RecordSink>,
    panics: u32,
}

impl GuardedSink {
    pub(crate) fn new(sink: Box<dyn RecordSink>) -> Mutex<Self> {
        Mutex::new(Self { sink, panics: 0 })
    }
}

/// What became of records, from the first on: `delivered`, then `refused`, then those still to be written.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) delivered: usize,
    pub(crate) refused: usize,
    pub(crate) error: Option<SinkError>,
    /// The reader did not take all in the time there was.
    pub(crate) timed_out: bool,
}

/// An error of the sink, without anybody's code in it.
#[derive(Debug)]
pub(crate) struct SinkError {
    pub(crate) kind: io::ErrorKind,
    pub(crate) text: String,
}

/// The text of an error is cut at this many bytes.
const MAX_ERROR_LEN: usize = 512;

impl Attempt {
    pub(crate) fn done(&self) -> usize {
        self.delivered + self.refused
    }
}

impl SinkError {
    fn new(error: io::Error) -> Self {
        let kind = error.kind();
        let mut text = String::new();
        panic_safe::format_into(&mut text, format_args!("{error}"), MAX_ERROR_LEN);
        // It may panic when it is dropped, too.
        let _ = panic_safe::catch_panic(|| drop(error));
        Self { kind, text }
    }
}

/// What this thread writes as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It logs, and does not write.
    Caller,
    /// It logs, and has the turn to write.
    WritingCaller,
    /// It is the thread that writes.
    Worker,
}

thread_local! {
    static THREAD_ROLE: Cell<Role> = const { Cell::new(Role::Caller) };
    static CURRENT_SINK: Cell<usize> = const { Cell::new(0) };
}

impl Role {
    /// Gives this thread the role until what is returned is dropped.
    pub(crate) fn enter(self) -> InRole {
        InRole {
            before: THREAD_ROLE.replace(self),
        }
    }
}

/// Gives a thread its role back.
pub(crate) struct InRole {
    before: Role,
}

impl Drop for InRole {
    fn drop(&mut self) {
        THREAD_ROLE.set(self.before);
    }
}

/// Whether this thread writes: it must not wait for room or for lines to be written, which would be to wait for itself.
pub(crate) fn is_writing_thread() -> bool {
    THREAD_ROLE.get() != Role::Caller
}

/// Marks this thread as inside of the sink of one `LineQueue`, until it is dropped.
struct InsideSink {
    before: usize,
}

impl InsideSink {
    fn enter(queue: &LineQueue) -> Self {
        Self {
            before: CURRENT_SINK.replace(address(queue)),
        }
    }
}

impl Drop for InsideSink {
    fn drop(&mut self) {
        CURRENT_SINK.set(self.before);
    }
}

fn address(queue: &LineQueue) -> usize {
    std::ptr::from_ref(queue) as usize
}

impl LineQueue {
    /// Whether this thread is inside of the sink, whose own line would be written by the next write, which logs again.
    pub(super) fn is_inside_sink(&self) -> bool {
        CURRENT_SINK.get() == address(self)
    }

    /// Has the sink write the records. The caller has the turn: `State::writing`.
    pub(crate) fn attempt(&self, records: Records<'_>, stop: &StopFlag) -> Attempt {
        match self.call_sink(|sink| sink.write(records, stop)) {
            Ok(WriteOutcome {
                delivered,
                refused,
                error,
            }) => {
                // A sink of the application may count wrong; the totals must not.
                let delivered = delivered.min(records.len());
                let refused = refused.min(records.len() - delivered);
                let timed_out = |error: &io::Error| {
                    refused == 0 && stop.is_set() && error.kind() == io::ErrorKind::TimedOut
                };
                let timed_out = error.as_ref().is_some_and(timed_out);
                let error = error.filter(|_| !timed_out).map(SinkError::new);
                Attempt {
                    delivered,
                    refused,
                    error,
                    timed_out,
                }
            }
            // What it was given may be written, or not: to write it again could double it.
            Err(error) => Attempt {
                delivered: 0,
                refused: records.len(),
                error: Some(SinkError::new(error)),
                timed_out: false,
            },
        }
    }

    /// Tells the sink that there is nothing more. The caller has the turn.
    pub(crate) fn finish_sink(&self) {
        // What went wrong was told.
        let _ = self.call_sink(|sink| sink.finish());
    }

    /// A sink that panics costs what it was given. One that does so twice is replaced by stderr.
    fn call_sink<R>(&self, call: impl FnOnce(&mut dyn RecordSink) -> R) -> io::Result<R> {
        let mut output = self.output.lock();
        let inside = InsideSink::enter(self);
        let mut returned = None;
        let act = || returned = Some(call(&mut *output.sink));
        if THREAD_ROLE.get() == Role::Worker {
            // A panic hook that logs must not do so in here.
            let _ = reentrancy::guarded_write(self.id, || {
                act();
                Ok(())
            });
        } else {
            let _ = panic_safe::catch_panic(act);
        }
        drop(inside);
        if let Some(returned) = returned {
            return Ok(returned);
        }
        output.panics += 1;
        if output.panics == 2 {
            let panicking = mem::replace(&mut output.sink, crate::background::stderr_sink());
            drop(output);
            // It may panic again.
            let _ = panic_safe::catch_panic(|| drop(panicking));
            let why = format_args!(
                "{}: the writer panicked twice; lines go to stderr",
                self.options.name
            );
            self.report.fault(Fault::Setup, &why);
        }
        Err(io::Error::other("the writer panicked"))
    }

    /// Reports what the sink refused, and what becomes of it.
    pub(crate) fn report_refusal(&self, attempt: &Attempt, left: usize) {
        let Some(SinkError { text, .. }) = &attempt.error else {
            return;
        };
        let (name, refused) = (&self.options.name, attempt.refused);
        let why = if refused > 0 {
            format!("{name}: {refused} lines are lost: {text}")
        } else {
            format!("{name}: {left} lines and those that follow are held, and tried again: {text}")
        };
        self.report.fault(Fault::WriteFailed, &why);
    }
}
