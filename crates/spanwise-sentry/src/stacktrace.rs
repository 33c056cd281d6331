//! Stack traces, parsed from the text of a backtrace.

use sentry_core::protocol::{Frame, Stacktrace};
use spanwise_core::internal::backtrace;

/// The maximum number of frames in a stack trace. Only recursion exceeds it.
const MAX_FRAMES: usize = 100;

/// Parses a backtrace in the format of std, short or full.
///
/// Omits the functions outside of the outermost function of the application, such as those of the
/// runtime. Marks the functions of the application as `in_app`.
pub(crate) fn parse_stacktrace(text: &str) -> Option<Stacktrace> {
    let mut frames = backtrace::frames(text);
    if let Some(outermost) = frames.iter().rposition(backtrace::Frame::is_in_app) {
        frames.truncate(outermost + 1);
    }
    frames.truncate(MAX_FRAMES);
    let shown = frames.iter().map(|frame| Frame {
        function: Some(frame.function.clone()),
        filename: frame
            .file
            .map(|file| backtrace::relative_path(file).to_owned()),
        lineno: frame.line.map(u64::from),
        colno: frame.column.map(u64::from),
        in_app: Some(frame.is_in_app()),
        ..Frame::default()
    });
    Stacktrace::from_frames_reversed(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_ends_at_the_application_and_is_bounded() {
        let shown = |text: &str| -> Vec<Frame> {
            let stack = parse_stacktrace(text);
            stack.map(|stack| stack.frames).unwrap_or_default()
        };
        let text = "0: shop::price\n at /build/shop/src/price.rs:12:9\n1: tokio::poll\n\
                    2: shop::main\n3: tokio::run\n4: std::rt::lang_start";
        let frames = shown(text);
        let names: Vec<_> = frames
            .iter()
            .map(|frame| (frame.function.as_deref(), frame.in_app))
            .collect();
        // Sentry expects the outermost frame first.
        assert_eq!(
            names,
            [
                (Some("shop::main"), Some(true)),
                (Some("tokio::poll"), Some(false)),
                (Some("shop::price"), Some(true)),
            ]
        );
        assert_eq!(frames[2].filename.as_deref(), Some("shop/src/price.rs"));
        assert_eq!((frames[2].lineno, frames[2].colno), (Some(12), Some(9)));

        let deep: String = (0..10_000)
            .map(|at| format!("{at}: shop::recurse\n"))
            .collect();
        assert_eq!(shown(&deep).len(), MAX_FRAMES);
        assert_eq!(shown("disabled backtrace"), []);
    }
}
