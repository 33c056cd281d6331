//! Handing records to the sink.
//!
//! The writer behind a sink and the errors that it returns are somebody else's code: they may log, block or panic. So none of it
//! runs under the lock of the state. What is left of an error is its kind and its text, which is made here and nowhere else.

use std::{cell::Cell, io, mem};

use spanwise_core::{
    Fault,
    internal::{panic_safe, reentrancy, sync::Mutex},
};

use super::Shared;
use crate::sink::{Records, Sink, StopFlag, Written};

/// Where lines go, and how often it panicked.
pub(crate) struct Output {
    sink: Box<dyn Sink>,
    panics: u32,
}

impl Output {
    pub(crate) fn new(sink: Box<dyn Sink>) -> Mutex<Self> {
        Mutex::new(Self { sink, panics: 0 })
    }
}

/// What became of records, from the first on: `delivered`, then `failed`, then those still to be written.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) delivered: usize,
    pub(crate) failed: usize,
    pub(crate) refusal: Option<Refusal>,
    /// The reader did not take all in the time there was.
    pub(crate) is_behind: bool,
}

/// An error of the sink, without anybody's code in it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) kind: io::ErrorKind,
    pub(crate) text: String,
}

/// The text of an error is cut at this many bytes.
const MAX_ERROR_LEN: usize = 512;

impl Attempt {
    pub(crate) fn done(&self) -> usize {
        self.delivered + self.failed
    }
}

impl Refusal {
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
    static ROLE: Cell<Role> = const { Cell::new(Role::Caller) };
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

impl Role {
    /// Gives this thread the role until what is returned is dropped.
    pub(crate) fn enter(self) -> InRole {
        InRole {
            before: ROLE.replace(self),
        }
    }
}

/// Gives a thread its role back.
pub(crate) struct InRole {
    before: Role,
}

impl Drop for InRole {
    fn drop(&mut self) {
        ROLE.set(self.before);
    }
}

/// Whether this thread writes: it must not wait for room or for lines to be written, which would be to wait for itself.
pub(crate) fn is_writing() -> bool {
    ROLE.get() != Role::Caller
}

/// Marks this thread as inside of the sink of one `Shared`, until it is dropped.
struct Inside {
    before: usize,
}

impl Inside {
    fn enter(shared: &Shared) -> Self {
        Self {
            before: INSIDE.replace(address(shared)),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.before);
    }
}

fn address(shared: &Shared) -> usize {
    std::ptr::from_ref(shared) as usize
}

impl Shared {
    /// Whether this thread is inside of the sink, whose own line would be written by the next write, which logs again.
    pub(super) fn is_inside(&self) -> bool {
        INSIDE.get() == address(self)
    }

    /// Has the sink write the records. The caller has the turn: `State::writing`.
    pub(crate) fn attempt(&self, records: Records<'_>, stop: &StopFlag) -> Attempt {
        match self.call_sink(|sink| sink.write(records, stop)) {
            Ok(Written {
                delivered,
                failed,
                error,
            }) => {
                let is_behind = |error: &io::Error| {
                    failed == 0 && stop.is_set() && error.kind() == io::ErrorKind::TimedOut
                };
                let is_behind = error.as_ref().is_some_and(is_behind);
                let refusal = error.filter(|_| !is_behind).map(Refusal::new);
                Attempt {
                    delivered,
                    failed,
                    refusal,
                    is_behind,
                }
            }
            // What it was given may be written, or not: to write it again could double it.
            Err(error) => Attempt {
                delivered: 0,
                failed: records.ends.len(),
                refusal: Some(Refusal::new(error)),
                is_behind: false,
            },
        }
    }

    /// Tells the sink that there is nothing more. The caller has the turn.
    pub(crate) fn finish_sink(&self) {
        // What went wrong was told.
        let _ = self.call_sink(|sink| sink.finish());
    }

    /// A sink that panics costs what it was given. One that does so twice is replaced by stderr.
    fn call_sink<R>(&self, call: impl FnOnce(&mut dyn Sink) -> R) -> io::Result<R> {
        let mut output = self.output.lock();
        let inside = Inside::enter(self);
        let mut returned = None;
        let act = || returned = Some(call(&mut *output.sink));
        if ROLE.get() == Role::Worker {
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
        let Some(Refusal { text, .. }) = &attempt.refusal else {
            return;
        };
        let (name, failed) = (&self.options.name, attempt.failed);
        let why = if failed > 0 {
            format!("{name}: {failed} lines are lost: {text}")
        } else {
            format!("{name}: {left} lines and those that follow are held, and tried again: {text}")
        };
        self.report.fault(Fault::WriteFailed, &why);
    }
}
