//! Selects the frames of a backtrace that are in the application's own code, so that the console
//! shows only these.

use spanwise_core::internal::backtrace::{self, Frame};

/// The frames of a backtrace that are shown, and the number of hidden ones.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OwnFrames {
    /// Each in the form `shop::price  src/price.rs:12`.
    pub(crate) frames: Vec<String>,
    /// The number of frames that are not shown.
    pub(crate) hidden: usize,
}

/// The maximum number of frames to show if all are in libraries.
const MAX_LIBRARY_FRAMES: usize = 5;

/// Selects the frames of a backtrace that are in the crates and modules `own`. If there are none,
/// selects the frames outside of libraries. If all frames are in libraries, selects the first
/// [`MAX_LIBRARY_FRAMES`]. The backtrace may be shortened: see [`counted_frames`].
pub(crate) fn own_frames(text: &str, own: &[String]) -> OwnFrames {
    let frames = backtrace::frames(text);
    let already_hidden: usize = text.lines().map(counted_frames).sum();
    // A target may be the name of a package. Its crate has underscores instead of hyphens.
    let own: Vec<String> = own.iter().map(|own| own.replace('-', "_")).collect();
    let is_own = |frame: &&Frame<'_>| own.iter().any(|own| is_in_module(&frame.function, own));
    let mut shown: Vec<&Frame<'_>> = frames.iter().filter(is_own).collect();
    if shown.is_empty() {
        shown = frames.iter().filter(|frame| frame.is_in_app()).collect();
    }
    if shown.is_empty() {
        shown = frames.iter().take(MAX_LIBRARY_FRAMES).collect();
    }
    OwnFrames {
        hidden: already_hidden + frames.len() - shown.len(),
        frames: shown.into_iter().map(frame_text).collect(),
    }
}

fn frame_text(frame: &Frame<'_>) -> String {
    let file = frame.file.map(backtrace::relative_path);
    match (file, frame.line) {
        (Some(file), Some(line)) => format!("{}  {file}:{line}", frame.function),
        _ => frame.function.clone(),
    }
}

/// Returns whether a function is in the crate or module `own`: `<shop::Order as Clone>::clone` is
/// in `shop`.
fn is_in_module(function: &str, own: &str) -> bool {
    let function = function.trim_start_matches(['<', '&', '*', '(', '[']);
    let after_own = function.strip_prefix(own);
    after_own.is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Returns the number of frames for which a line of a shortened backtrace has only a count: 44 for
/// `… 41 frames of tokio, 3 of std`.
fn counted_frames(line: &str) -> usize {
    let Some(counts) = line.trim_start().strip_prefix('…') else {
        return 0;
    };
    let numbers = counts.split_whitespace().map(str::parse::<usize>);
    numbers.filter_map(Result::ok).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "   0: shop::price\n             at src/price.rs:12:9\n   \
                        1: serde_json::from_str\n             at serde_json-1.0.0/src/de.rs:7:1\n   \
                        2: <shop::Order as core::str::FromStr>::from_str\n             \
                        at src/order.rs:3:5\n      … 41 frames of tokio, 3 of std\n   \
                        46: shopping::run\n             at src/run.rs:1:1\n";

    #[test]
    fn own_crate_s_frames_are_found() {
        let found = own_frames(TEXT, &["shop".to_owned()]);
        let expected = [
            "shop::price  src/price.rs:12",
            "<shop::Order as core::str::FromStr>::from_str  src/order.rs:3",
        ];
        assert_eq!(
            (&found.frames[..], found.hidden),
            (&expected.map(str::to_owned)[..], 46)
        );
    }

    #[test]
    fn without_own_frames_those_of_the_application_count() {
        let found = own_frames(TEXT, &["other".to_owned()]);
        assert_eq!((found.frames.len(), found.hidden), (3, 45));
    }

    #[test]
    fn notice_has_no_frames() {
        let found = own_frames("(none: more than 10 in a second)", &[]);
        assert_eq!((found.frames.len(), found.hidden), (0, 0));
    }
}
