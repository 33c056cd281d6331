//! The backtrace of a panic, which comes as text, as the frames that Sentry shows.

use sentry_core::protocol::{Frame, Stacktrace};

/// A panic's stack is longer only if it recurses.
const MOST: usize = 250;

/// Reads what `std::backtrace::Backtrace` writes: `  12: shop::pay`, and on the next line `at ./src/main.rs:7:13`.
pub(crate) fn stacktrace(text: &str) -> Option<Stacktrace> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                locate(frame, place);
            }
            continue;
        }
        let function = line.split_once(": ").and_then(|(number, function)| {
            number
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(function)
        });
        if let Some(function) = function {
            if frames.len() == MOST {
                break;
            }
            frames.push(Frame {
                function: Some(function.to_owned()),
                in_app: Some(is_in_app(function)),
                ..Frame::default()
            });
        }
    }
    // What comes before the panic's own entry is the machinery that made the backtrace.
    let entry = frames.iter().rposition(|frame| {
        let function = frame.function.as_deref().unwrap_or_default();
        ["rust_begin_unwind", "core::panicking::", "std::panicking::"]
            .iter()
            .any(|begin| function.starts_with(begin) || function.ends_with("rust_begin_unwind"))
    });
    // One of these at the bottom of the stack, such as `std::panicking::catch_unwind`, is no entry.
    if let Some(entry) = entry.filter(|entry| entry + 1 < frames.len())
        && let Some(own) = frames[..=entry]
            .iter()
            .position(|frame| frame.in_app == Some(true))
            .or(Some(entry + 1))
    {
        frames.drain(..own.min(frames.len()));
    }
    Stacktrace::from_frames_reversed(frames)
}

fn locate(frame: &mut Frame, place: &str) {
    let mut parts = place.rsplitn(3, ':');
    let (column, line, path) = (parts.next(), parts.next(), parts.next());
    if let (Some(column), Some(line), Some(path)) = (column, line, path) {
        frame.colno = column.parse().ok();
        frame.lineno = line.parse().ok();
        frame.filename = Some(path.to_owned());
    }
}

/// Of the program, as far as the name tells.
fn is_in_app(function: &str) -> bool {
    let function = function.trim_start_matches(['<', '&']);
    let of_others = [
        "std::",
        "core::",
        "alloc::",
        "tokio::",
        "tracing",
        "spanwise",
        "futures",
        "hyper",
        "axum",
        "tower",
        "rust_begin_unwind",
        "__rust",
        "_start",
        "main",
        "__libc",
        "start_thread",
        "clone",
    ];
    !of_others.iter().any(|begin| function.starts_with(begin)) && function.contains("::")
}
