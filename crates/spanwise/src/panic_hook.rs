//! A panic is an event.

use std::{
    backtrace::Backtrace,
    panic::{self, PanicHookInfo},
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use spanwise_core::{Redact, reentry, streams};

use crate::Handle;

/// The target of the event.
const TARGET: &str = "panic";

const FLUSH: Duration = Duration::from_secs(2);

/// Logs each panic, but for those inside logging itself, at ERROR with its message, its place and a backtrace, hands on what is held,
/// and then does what was done before.
///
/// If that is std's printing, and `policy` hides some of the message, what is left of it is printed instead. A hook of the program's
/// gets the panic as it is.
pub(crate) fn install(handle: Handle, policy: Option<Arc<dyn Redact>>) {
    let previous = panic::take_hook();
    // Now none is set, and this is std's.
    let of_std = panic::take_hook();
    let policy = policy.filter(|_| ptr::eq(&*previous, &*of_std));
    let previous = move |info: &PanicHookInfo<'_>| {
        let instead = policy
            .as_ref()
            .and_then(|policy| policy.instead_of(None, message(info)));
        match instead {
            Some(message) => print(info, &message),
            None => previous(info),
        }
    };
    let in_vain = AtomicBool::new(false);
    panic::set_hook(Box::new(move |info| {
        if reentry::is_inside() {
            // A layer or a writer panics, perhaps at every event: another event, from inside the hook, would end the program.
            if cfg!(panic = "abort") {
                // It ends in any case.
                handle.flush(FLUSH);
            }
            return previous(info);
        }
        let message = message(info);
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = thread::current();
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
        // A network is waited for only by a program that ends here; one that goes on has its events sent all the same.
        let flushed = if cfg!(panic = "abort") {
            handle.flush(patience)
        } else {
            handle.flush_lines(Instant::now() + patience)
        };
        in_vain.store(!flushed, Ordering::Relaxed);
        previous(info);
    }));
}

fn message<'i>(info: &'i PanicHookInfo<'_>) -> &'i str {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(a panic whose payload is no text)")
}

/// Prints what std would, with another message.
#[cold]
fn print(info: &PanicHookInfo<'_>, message: &str) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let text = format!("\nthread '{name}' panicked at {location}:\n{message}\n");
    // Without a stderr there is nobody to tell.
    let _ = streams::write_to_stderr(text.as_bytes());
}
