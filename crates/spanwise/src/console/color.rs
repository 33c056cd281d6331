//! ANSI colours.

use std::fmt::Write as _;

/// The look of a text, as the parameters of an ANSI escape sequence (SGR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextStyle(&'static str);

impl TextStyle {
    pub(crate) const PLAIN: Self = Self("");
    pub(crate) const BOLD: Self = Self("1");
    pub(crate) const DIM: Self = Self("2");
    pub(crate) const GREEN: Self = Self("32");
    pub(crate) const YELLOW: Self = Self("33");
    pub(crate) const MAGENTA: Self = Self("35");
    pub(crate) const CYAN: Self = Self("36");
    pub(crate) const BOLD_RED: Self = Self("1;31");
    /// White on red.
    pub(crate) const ALARM: Self = Self("1;97;41");
}

/// Writes texts with ANSI colours if it is `true`, and without colours if it is `false`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnsiColor(pub(crate) bool);

impl AnsiColor {
    /// Appends the output of `write` in `style`. `write` must not append a line break, so that no
    /// line is coloured by an earlier line. Some programs prefix lines, or show one line alone.
    pub(crate) fn paint(self, out: &mut String, style: TextStyle, write: impl FnOnce(&mut String)) {
        let before = out.len();
        self.begin(out, style);
        let start = out.len();
        write(out);
        if start != before {
            end(out, before, start);
        }
    }

    /// Appends the escape sequence of `style`, if lines are coloured.
    fn begin(self, out: &mut String, style: TextStyle) {
        if self.0 && style != TextStyle::PLAIN {
            // Writing to a `String` does not fail.
            let _ = write!(out, "\u{1b}[{}m", style.0);
        }
    }
}

/// Ends a style that begins at `before`, with its text from `start`. Removes the style if it has no
/// text.
fn end(out: &mut String, before: usize, start: usize) {
    if out.len() == start {
        out.truncate(before);
    } else {
        out.push_str("\u{1b}[0m");
    }
}
