//! A panic is an event.

use std::{
    backtrace::Backtrace,
    panic,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::Handle;

/// The target of the event.
const TARGET: &str = "panic";

const FLUSH: Duration = Duration::from_secs(2);

/// Logs each panic, but for those inside logging itself, at ERROR with its message, its place and a backtrace, hands on what is held, and then does what was done before.
pub(crate) fn install(handle: Handle) {
    let previous = panic::take_hook();
    let in_vain = AtomicBool::new(false);
    panic::set_hook(Box::new(move |info| {
        if spanwise_core::reentry::is_inside() {
            // A layer or a writer panics, perhaps at every event: another event, from inside the hook, would end the program.
            if cfg!(panic = "abort") {
                // It ends in any case.
                handle.flush(FLUSH);
            }
            return previous(info);
        }
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = text.unwrap_or("(a panic whose payload is no text)");
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let backtrace = Backtrace::force_capture();
        tracing::error!(
            target: TARGET,
            {
                panic.location = location,
                panic.thread = thread.name().unwrap_or("unnamed"),
                panic.backtrace = %backtrace
            },
            "{message}"
        );
        // Each panic of a thread that goes on would wait for an output that is stalled.
        let patience = if in_vain.load(Ordering::Relaxed) {
            Duration::ZERO
        } else {
            FLUSH
        };
        in_vain.store(!handle.flush(patience), Ordering::Relaxed);
        previous(info);
    }));
}
