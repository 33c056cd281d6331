//! A panic is an event.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    borrow::Cow,
    panic::{self, Location, PanicHookInfo},
    ptr,
    sync::Arc,
    thread,
    time::Duration,
};

use spanwise_core::{
    Redact,
    internal::{
        PerSecond, backtrace, logged_panic, reentrancy,
        runtime_callsite::{Origin, RuntimeCallsite},
        stdio,
    },
};
use tracing_core::{Level, field::Value};

use crate::{
    Handle, PanicBacktrace,
    console::{is_plain, push_escaped},
};

/// The target of the event.
const TARGET: &str = "panic";

const FIELDS: [&str; 4] = [
    "message",
    "panic.location",
    "panic.thread",
    "panic.backtrace",
];

/// How long a panic waits for the outputs.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// More backtraces than this are not captured in a second: each costs milliseconds once it is
/// shown.
const MAX_BACKTRACES_PER_SECOND: u32 = 10;

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// What a panic is logged with.
pub(crate) struct Options {
    pub(crate) policy: Option<Arc<dyn Redact>>,
    pub(crate) backtrace: PanicBacktrace,
    /// Whether std's printing is left out for a panic whose event an output took.
    pub(crate) leaves_std_out: bool,
}

/// Logs each panic at ERROR with its message, its location and a backtrace, flushes the outputs,
/// and then calls the previous hook. A panic inside logging itself is not logged.
///
/// If the previous hook is std's, which prints the panic, it is not called where the event says all
/// of it. It is not called either where the text has something that the policy hides, or that could
/// pass for another line; a text without it is printed instead. A hook of the program's gets the
/// panic as it is.
pub(crate) fn install(handle: Handle, options: Options) {
    let previous = panic::take_hook();
    // Now none is set, and these are std's.
    let is_program_s = is_program_s(&previous, [&panic::take_hook(), &panic::take_hook()]);
    let Options {
        policy,
        backtrace,
        leaves_std_out,
    } = options;
    let previous = move |info: &PanicHookInfo<'_>| {
        if is_program_s || !print_instead(info, policy.as_deref()) {
            previous(info);
        }
    };
    panic::set_hook(Box::new(move |info| {
        logged_panic::forget();
        if reentrancy::is_logging() {
            // A layer or a writer panics, perhaps at every event: another event, from inside the
            // hook, would end the program.
            if cfg!(panic = "abort") {
                // It ends in any case.
                handle.flush(FLUSH_TIMEOUT);
            }
            return previous(info);
        }
        // Of an event that nobody wants, nothing is asked.
        let lost_before = log(info, backtrace, || handle.lost_lines());
        // A network is waited for only by a program that ends here; one that goes on has its events
        // sent all the same.
        let flushed = if cfg!(panic = "abort") {
            handle.flush(FLUSH_TIMEOUT)
        } else {
            handle.flush_lines_in_panic(FLUSH_TIMEOUT)
        };
        // A line that is lost meanwhile may be this one.
        let is_taken =
            || lost_before.is_some_and(|before| flushed && handle.lost_lines() == before);
        if is_program_s || !leaves_std_out || !is_taken() {
            previous(info);
        }
    }));
}

/// Logs an event whose callsite is the place of the panic. If a writer took its line, returns what
/// `lost_lines` said before.
fn log(
    info: &PanicHookInfo<'_>,
    backtrace: PanicBacktrace,
    lost_lines: impl FnOnce() -> u64,
) -> Option<u64> {
    let location = info.location();
    let file = location.map(|location| backtrace::relative_path(location.file()));
    let origin = |file| {
        RuntimeCallsite::get(&Origin {
            level: Level::ERROR,
            target: TARGET,
            module_path: None,
            file,
            line: file.and(location).map(Location::line),
            fields: &FIELDS,
        })
    };
    // A program that panics at more places than are kept apart still says where, in a field.
    let callsite = origin(file).or_else(|| origin(None))?;
    if !callsite.is_enabled() {
        return None;
    }
    let lost_before = lost_lines();
    let message = logged_panic::message(info.payload());
    let place = match (file, location) {
        (Some(file), Some(at)) => format!("{file}:{}:{}", at.line(), at.column()),
        _ => String::new(),
    };
    let thread = thread::current();
    let backtrace = captured(backtrace, location.map(Location::file));
    // Of lines before this one.
    let _ = reentrancy::take_written();
    callsite.emit(&[
        Some(&format_args!("{message}") as &dyn Value),
        Some(&place),
        Some(&thread.name().unwrap_or("unnamed")),
        backtrace.as_ref().map(|text| text as &dyn Value),
    ]);
    logged_panic::note(message, &place);
    reentrancy::take_written().then_some(lost_before)
}

/// The backtrace of this thread as text.
fn captured(how: PanicBacktrace, file: Option<&str>) -> Option<String> {
    static ALLOWED: PerSecond = PerSecond::new(MAX_BACKTRACES_PER_SECOND);
    if how == PanicBacktrace::Off {
        return None;
    }
    if !ALLOWED.allows() {
        return Some(backtrace::limit_notice(MAX_BACKTRACES_PER_SECOND));
    }
    let full = Backtrace::force_capture().to_string();
    Some(match how {
        PanicBacktrace::Short => backtrace::shorten(&full, file),
        PanicBacktrace::Full | PanicBacktrace::Off => full,
    })
}

/// Whether `hook` is certainly not std's, of which there are two samples.
///
/// std's has no data, and all pointers to it have one address and one table of functions, unless a
/// build has the table twice. Then the samples may differ from each other; if they do, a hook
/// without data may be std's, whatever its table.
fn is_program_s(hook: &Hook, of_std: [&Hook; 2]) -> bool {
    let [one, other] = of_std.map(|hook| &**hook as *const _);
    let has_data = size_of_val(&**hook) > 0 && of_std.iter().all(|std| size_of_val(&***std) == 0);
    has_data
        || ptr::eq::<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>(one, other) && !ptr::eq(&**hook, one)
}

/// Prints what std would, if that must not be printed as it is.
fn print_instead(info: &PanicHookInfo<'_>, policy: Option<&dyn Redact>) -> bool {
    let message = logged_panic::message(info.payload());
    let shown = policy
        .and_then(|policy| policy.replacement_for(None, message))
        .map_or(Cow::Borrowed(message), Cow::Owned);
    let thread = thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    if *shown == *message && is_plain(message) && is_plain(name) {
        return false;
    }
    print(info, name, &shown);
    true
}

#[cold]
fn print(info: &PanicHookInfo<'_>, thread: &str, message: &str) {
    let mut text = String::from("\nthread '");
    push_escaped(&mut text, thread, None);
    text.push_str("' panicked at ");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    push_escaped(&mut text, &place, None);
    text.push_str(":\n");
    // The next lines begin as no line of a log does.
    push_escaped(&mut text, message, Some("\n  | "));
    text.push('\n');
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        text.push_str(&format!("stack backtrace:\n{backtrace}"));
    }
    // Without a stderr there is nobody to tell.
    let _ = stdio::write_to_stderr(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No program can choose what its build does with tables of functions, so this is asked from
    /// inside.
    #[test]
    fn hook_that_may_be_std_s_is_not_the_program_s() {
        let empty = || -> Hook { Box::new(|_| {}) };
        let other = || -> Hook { Box::new(|info| assert!(info.location().is_some())) };
        let data = String::from("data");
        let with_data: Hook = Box::new(move |_| assert!(!data.is_empty()));
        // The samples are alike: the comparison tells.
        let (one, two) = (empty(), empty());
        assert!(!is_program_s(&one, [&one, &one]));
        assert!(is_program_s(&other(), [&one, &one]));
        assert!(is_program_s(&with_data, [&one, &one]));
        // They are not: only data tells.
        let third = other();
        if !ptr::eq(&*two, &*third) {
            assert!(!is_program_s(&third, [&two, &third]));
            assert!(!is_program_s(&two, [&two, &third]));
            assert!(is_program_s(&with_data, [&two, &third]));
        }
    }

    #[test]
    fn hook_of_std_is_known() {
        // The test harness has one of its own.
        drop(panic::take_hook());
        let of_std = [panic::take_hook(), panic::take_hook(), panic::take_hook()];
        assert!(!is_program_s(&of_std[0], [&of_std[1], &of_std[2]]));
    }
}
