//! The panic hook, which logs panics as events.
//!
//! The hook of std prints a panic on stderr, without the context of its request. The text may
//! contain secrets, or look like a log line. Therefore this hook logs an event with the context,
//! and then calls the previous hook.

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
        runtime_callsite::{Origin, RuntimeCallsite, UNNAMED_EVENT},
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

/// The fields of the event.
const FIELDS: [&str; 4] = [
    "message",
    "panic.location",
    "panic.thread",
    "panic.backtrace",
];

/// The maximum time that a panic waits until the outputs are flushed.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// The maximum number of backtraces per second, because formatting a backtrace costs milliseconds.
const MAX_BACKTRACES_PER_SECOND: u32 = 10;

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// The options of the panic hook.
pub(crate) struct Options {
    pub(crate) policy: Option<Arc<dyn Redact>>,
    pub(crate) backtrace: PanicBacktrace,
    /// Whether to skip the hook of std if an output accepted the panic event.
    pub(crate) skips_std_hook: bool,
    /// Whether the program aborts after the hook, because it is built with `panic = "abort"`.
    pub(crate) aborts: bool,
}

/// Logs each panic at ERROR with its message, its location and a backtrace, flushes the outputs,
/// and then calls the previous hook. A panic inside logging itself is not logged.
///
/// If the application set the previous hook, that hook is always called, with the original panic.
/// The hook of std is skipped if [`Options::skips_std_hook`] allows it and an output accepted the
/// event. Instead of the text of std, a safe text is printed in two cases: if the policy hides a
/// part of the message, and if the message or the name of the thread could forge a line.
pub(crate) fn install(handle: Handle, options: Options) {
    let previous = panic::take_hook();
    // No hook is set now, so `take_hook` returns the hook of std.
    let is_set_by_program =
        is_set_by_program(&previous, [&panic::take_hook(), &panic::take_hook()]);
    let Options {
        policy,
        backtrace,
        skips_std_hook,
        aborts,
    } = options;
    let previous = move |info: &PanicHookInfo<'_>| {
        if is_set_by_program || !print_if_unsafe(info, policy.as_deref()) {
            previous(info);
        }
    };
    panic::set_hook(Box::new(move |info| {
        logged_panic::forget();
        if reentrancy::is_logging() {
            // A layer or a writer panicked, and may panic at every event. Another event from inside
            // the hook could abort the program.
            if aborts {
                handle.shut_down_in_panic(FLUSH_TIMEOUT);
            }
            return previous(info);
        }
        // The closure is not called if the event is disabled.
        let lost_before = log_event(info, backtrace, || handle.lost_lines());
        // The hook waits for network sinks only if the program aborts. If the program goes on, they
        // send in the background.
        let flushed = if aborts {
            handle.shut_down_in_panic(FLUSH_TIMEOUT)
        } else {
            handle.flush_lines_in_panic(FLUSH_TIMEOUT)
        };
        // If a line was lost since the event, it may be the line of this panic.
        let is_accepted =
            || lost_before.is_some_and(|before| flushed && handle.lost_lines() == before);
        if is_set_by_program || !skips_std_hook || !is_accepted() {
            previous(info);
        }
    }));
}

/// Logs an event at the location of the panic. If a writer accepted the line of the event, returns
/// the number of lines that were lost before the event.
fn log_event(
    info: &PanicHookInfo<'_>,
    backtrace: PanicBacktrace,
    lost_lines: impl FnOnce() -> u64,
) -> Option<u64> {
    let location = info.location();
    let file = location.map(|location| backtrace::relative_path(location.file()));
    let callsite_in = |file| {
        RuntimeCallsite::get(&Origin {
            name: UNNAMED_EVENT,
            level: Level::ERROR,
            target: TARGET,
            module_path: None,
            file,
            line: file.and(location).map(Location::line),
            fields: &FIELDS,
        })
    };
    // The number of callsites is limited. Beyond the limit, panics share a callsite without a
    // location, and only the field `panic.location` shows it.
    let callsite = callsite_in(file).or_else(|| callsite_in(None))?;
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
    let backtrace = backtrace_text(backtrace, location.map(Location::file));
    // Clears the flag that a line was written, so that it covers only the line of the event.
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

/// Returns the backtrace of this thread as text. `panic_file` is the source file of the panic.
fn backtrace_text(length: PanicBacktrace, panic_file: Option<&str>) -> Option<String> {
    static BACKTRACE_LIMIT: PerSecond = PerSecond::new(MAX_BACKTRACES_PER_SECOND);
    if length == PanicBacktrace::Off {
        return None;
    }
    if !BACKTRACE_LIMIT.allows() {
        return Some(backtrace::limit_notice(MAX_BACKTRACES_PER_SECOND));
    }
    let full_text = Backtrace::force_capture().to_string();
    Some(match length {
        PanicBacktrace::Short => backtrace::shorten(&full_text, panic_file),
        PanicBacktrace::Full | PanicBacktrace::Off => full_text,
    })
}

/// Returns whether `hook` is certainly not the hook of std, so that the application must have set
/// it. `std_samples` has two samples of the hook of std.
///
/// The hook of std has no data. All pointers to it have the same address and vtable, unless a build
/// duplicates the vtable. In that case the samples may differ, and a hook without data may be the
/// hook of std with any vtable.
fn is_set_by_program(hook: &Hook, std_samples: [&Hook; 2]) -> bool {
    let [sample, other_sample] = std_samples.map(|hook| &**hook as *const _);
    let has_data =
        size_of_val(&**hook) > 0 && std_samples.iter().all(|std| size_of_val(&***std) == 0);
    has_data
        || ptr::eq::<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>(sample, other_sample)
            && !ptr::eq(&**hook, sample)
}

/// If std must not print the original text, prints a safe text. Returns whether a text was printed.
fn print_if_unsafe(info: &PanicHookInfo<'_>, policy: Option<&dyn Redact>) -> bool {
    let message = logged_panic::message(info.payload());
    let shown = policy
        .and_then(|policy| policy.replacement_for(None, message))
        .map_or(Cow::Borrowed(message), Cow::Owned);
    let thread = thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let is_harmless = |text: &str| is_plain(text) && !has_level_after_break(text);
    let is_shown = *shown == *message;
    if is_shown && is_harmless(message) && !starts_like_event(message) && is_harmless(name) {
        return false;
    }
    print(info, name, &shown);
    true
}

#[cold]
fn print(info: &PanicHookInfo<'_>, thread: &str, message: &str) {
    let mut text = String::from("\nthread '");
    push_escaped(&mut text, thread);
    text.push_str("' panicked at ");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    push_escaped(&mut text, &place);
    text.push_str(":\n");
    push_prefixed_lines(&mut text, message);
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        text.push_str(&format!("stack backtrace:\n{backtrace}"));
    }
    // If stderr fails, there is no place to report it.
    let _ = stdio::write_to_stderr(text.as_bytes());
}

/// Appends the lines of a message, each after a prefix with which no log line begins.
fn push_prefixed_lines(out: &mut String, message: &str) {
    for line in message.split('\n') {
        out.push_str("  | ");
        push_escaped(out, line);
        out.push('\n');
    }
}

/// Returns whether a text starts like the line of an event: with a level, with `name=`, or with
/// anything but a word, such as a time, a blank or a bracket.
fn starts_like_event(text: &str) -> bool {
    let word = first_word(text);
    let is_field = text[word.len()..].starts_with('=');
    let is_word = word.starts_with(char::is_alphabetic);
    !text.is_empty() && (!is_word || is_level(word) || is_field)
}

/// Returns whether a line after the first begins with a level. A log without timestamps has lines
/// that begin with a space and a level.
fn has_level_after_break(text: &str) -> bool {
    let mut later_lines = text.split('\n').skip(1);
    later_lines.any(|line| is_level(first_word(line.trim_start())))
}

/// Returns the letters and digits at the beginning of a text.
fn first_word(text: &str) -> &str {
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.next().unwrap_or_default()
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

/// The names of levels with which a line of a log may begin.
const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "CRIT"];

#[cfg(test)]
mod tests {
    use std::{
        env, io,
        process::{self, Command},
        time::Instant,
    };

    use spanwise_core::{Flush, SinkControl};

    use super::*;
    use crate::{Builder, Output, Preset, sinks::RunningSink};

    /// A unit test, because a program cannot choose whether its build duplicates vtables.
    #[test]
    fn possible_hook_of_std_is_not_of_the_application() {
        let empty = || -> Hook { Box::new(|_| {}) };
        let other = || -> Hook { Box::new(|info| assert!(info.location().is_some())) };
        let data = String::from("data");
        let with_data: Hook = Box::new(move |_| assert!(!data.is_empty()));
        // If both samples of std's hook are equal, any other hook was set by the application.
        let sample = empty();
        assert!(!is_set_by_program(&sample, [&sample, &sample]));
        assert!(is_set_by_program(&other(), [&sample, &sample]));
        assert!(is_set_by_program(&with_data, [&sample, &sample]));
        // If the samples differ, only a hook with data was certainly set by the application.
        let duplicate = other();
        if !ptr::eq(&*sample, &*duplicate) {
            assert!(!is_set_by_program(&duplicate, [&sample, &duplicate]));
            assert!(!is_set_by_program(&sample, [&sample, &duplicate]));
            assert!(is_set_by_program(&with_data, [&sample, &duplicate]));
        }
    }

    /// A unit test, because the text of std depends on the version of Rust.
    #[test]
    fn message_cannot_pass_for_an_event() {
        for forged in [
            "12:00:00.000 ERROR shop forged",
            "2026-11-29T12:00:00Z forged",
            " INFO shop forged",
            "ERROR forged",
            "level=info msg=forged",
            r#"{"level":"INFO"}"#,
            "[12:00] forged",
        ] {
            assert!(starts_like_event(forged), "{forged}");
        }
        for message in [
            "",
            "out of stock",
            "assertion failed: a == b",
            "größer als 7",
        ] {
            assert!(!starts_like_event(message), "{message}");
        }
        let mut text = String::new();
        push_prefixed_lines(&mut text, "ERROR forged\n{\u{1b}");
        assert_eq!(text, "  | ERROR forged\n  | {\\u{1b}\n");
    }

    /// A sink that prints when it is shut down.
    struct PrintingSink;

    impl Flush for PrintingSink {
        fn flush_by(&self, _: Instant) -> io::Result<()> {
            Ok(())
        }
    }

    impl SinkControl for PrintingSink {
        fn name(&self) -> &str {
            "printing"
        }

        fn shutdown_by(&self, _: Instant) {
            println!("shut down");
        }
    }

    impl RunningSink for PrintingSink {}

    /// A unit test, because test programs are not built with `panic = "abort"`.
    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "the variable is for the child process, which runs the same test"
    )]
    fn aborting_panic_shuts_down_the_sinks() {
        const IN_CHILD: &str = "SPANWISE_TEST_ABORTS";

        if env::var_os(IN_CHILD).is_none() {
            let test = "panic_hook::tests::aborting_panic_shuts_down_the_sinks";
            let mut child = Command::new(env::current_exe().unwrap());
            child.args(["--exact", test, "--nocapture", "--test-threads=1"]);
            let output = child.env(IN_CHILD, "1").output().unwrap();
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert!(
                !output.status.success() && stdout.contains("shut down"),
                "{output:?}"
            );
            return;
        }
        let builder = Builder::new(Preset::Prod).output(Output::None);
        let telemetry = builder.init().unwrap();
        let mut handle = telemetry.handle();
        handle.sinks = Arc::new([Arc::new(PrintingSink)]);
        panic::set_hook(Box::new(|_| process::abort()));
        let options = Options {
            policy: None,
            backtrace: PanicBacktrace::Off,
            skips_std_hook: false,
            aborts: true,
        };
        install(handle, options);
        panic!("out of stock");
    }

    #[test]
    fn hook_of_std_is_recognized() {
        // Removes the hook of the test harness.
        drop(panic::take_hook());
        let std_samples = [panic::take_hook(), panic::take_hook(), panic::take_hook()];
        assert!(!is_set_by_program(
            &std_samples[0],
            [&std_samples[1], &std_samples[2]]
        ));
    }
}
