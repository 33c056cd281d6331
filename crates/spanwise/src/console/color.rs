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

/// Whether texts are written with ANSI colours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnsiColor(pub(crate) bool);

impl AnsiColor {
    /// Appends the output of `write` in `style`. `write` must not append a line break, because a
    /// style must end on its own line: some programs prefix lines, or show one line alone.
    pub(crate) fn paint(self, out: &mut String, style: TextStyle, write: impl FnOnce(&mut String)) {
        let style_start = out.len();
        self.begin(out, style);
        let text_start = out.len();
        write(out);
        if text_start != style_start {
            end(out, style_start, text_start);
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

/// Ends a style whose escape sequence and text begin at these byte offsets of `out`. Removes the
/// escape sequence if there is no text.
fn end(out: &mut String, style_start: usize, text_start: usize) {
    if out.len() == text_start {
        out.truncate(style_start);
    } else {
        out.push_str("\u{1b}[0m");
    }
}
