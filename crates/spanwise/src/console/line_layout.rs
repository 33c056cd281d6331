//! The layout of a line: columns, line breaks, and the context at the right edge.
//!
//! A line consists of *items*, such as fields, which are never split. Items that do not fit into
//! the first line are on continuation lines.

use super::{
    color::{AnsiColor, TextStyle},
    display_width::display_width,
};

/// The context ends at the right edge of the terminal, but not behind this column, so that it stays
/// near its event. A longer event moves the context to the right.
const MAX_ALIGNED_COLUMN: usize = 140;

/// The number of blank columns between an event and its context.
const GAP: usize = 2;

/// The prefix of continuation lines: this many blanks, and a bar. No other line begins with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Continuation(pub(crate) usize);

impl Continuation {
    /// Returns the number of columns of the prefix.
    fn width(self) -> usize {
        self.0 + "| ".len()
    }

    fn push(self, out: &mut String, color: AnsiColor) {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', self.0));
        color.paint(out, TextStyle::DIM, |out| out.push('|'));
        out.push(' ');
    }
}

/// A line that is being written, with its continuation lines.
#[derive(Debug)]
pub(crate) struct LineLayout {
    out: String,
    color: AnsiColor,
    continuation: Continuation,
    /// The number of columns of the current line so far.
    column: usize,
    /// The maximum columns of the current line. An item that exceeds them starts a continuation
    /// line. `usize::MAX` for no limit.
    limit: usize,
    /// The limit of each further continuation line.
    next_limit: usize,
    /// The length of `out` at the end of the first line, in bytes, and the columns of that line.
    /// `None` until there is a continuation line.
    first_end: Option<(usize, usize)>,
}

/// A position in the output to which the layout can be reset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    /// The length of the output, in bytes.
    len: usize,
    column: usize,
}

/// One form of the context, for the right edge of the terminal.
#[derive(Debug, Clone)]
pub(crate) struct EdgeText {
    text: String,
    /// The columns of the text and of the gap in front of it. 0 without a text.
    width_with_gap: usize,
}

impl EdgeText {
    pub(crate) fn new(text: String) -> Self {
        let width_with_gap = match display_width(&text) {
            0 => 0,
            width => width + GAP,
        };
        Self {
            text,
            width_with_gap,
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn width_with_gap(&self) -> usize {
        self.width_with_gap
    }
}

impl LineLayout {
    pub(crate) fn new(out: String, color: AnsiColor, continuation: Continuation) -> Self {
        Self {
            out,
            color,
            continuation,
            column: 0,
            limit: usize::MAX,
            next_limit: usize::MAX,
            first_end: None,
        }
    }

    /// Appends the output of `write` in `style`. `write` must not append a line break.
    pub(crate) fn paint(&mut self, style: TextStyle, write: impl FnOnce(&mut String)) {
        let mut width = 0;
        self.color.paint(&mut self.out, style, |out| {
            let start = out.len();
            write(out);
            width = display_width(&out[start..]);
        });
        self.column += width;
    }

    pub(crate) fn push(&mut self, style: TextStyle, text: &str) {
        self.paint(style, |out| out.push_str(text));
    }

    /// Returns the number of columns of the current line so far.
    pub(crate) fn column(&self) -> usize {
        self.column
    }

    /// Appends blanks up to `column`.
    pub(crate) fn pad_to(&mut self, column: usize) {
        let missing = column.saturating_sub(self.column);
        self.out.extend(std::iter::repeat_n(' ', missing));
        self.column += missing;
    }

    /// Appends a blank and an item, which is not split. If the item does not fit, it begins a
    /// continuation line.
    pub(crate) fn item(&mut self, write: impl FnOnce(&mut Self)) {
        let before = self.position();
        self.out.push(' ');
        self.column += 1;
        write(self);
        if self.column <= self.limit {
            return;
        }
        // A line break replaces the blank.
        let mut line_break = String::new();
        self.continuation.push(&mut line_break, self.color);
        self.out.replace_range(before.len..=before.len, &line_break);
        self.first_end.get_or_insert((before.len, before.column));
        self.column = self.continuation.width() + self.column - before.column - 1;
        self.limit = self.next_limit;
    }

    /// Returns whether a text of `width` columns must be split into several items, because the line
    /// has too little room for it.
    pub(crate) fn must_split(&self, width: usize) -> bool {
        self.limit != usize::MAX && self.column + 1 + width > self.limit
    }

    /// Begins a continuation line.
    pub(crate) fn break_line(&mut self) {
        self.trim();
        self.first_end.get_or_insert((self.out.len(), self.column));
        self.continuation.push(&mut self.out, self.color);
        self.column = self.continuation.width();
    }

    pub(crate) fn position(&self) -> Position {
        Position {
            len: self.out.len(),
            column: self.column,
        }
    }

    /// Writes the items of `content`, and the first of `edges` with which the items fit into one
    /// line of `width` columns. If no edge text fits, calls `content` again, and its items continue
    /// on further lines.
    pub(crate) fn fit(&mut self, width: usize, edges: &[EdgeText], content: impl Fn(&mut Self)) {
        let start = self.position();
        content(self);
        let fits = |edge: &&EdgeText| self.column + edge.width_with_gap() <= width;
        if let Some(edge) = edges.iter().find(fits) {
            self.push_edge(edge, width);
            return;
        }
        // The first line reserves room for the shortest edge text, unless the items would then have
        // hardly any room.
        self.out.truncate(start.len);
        self.column = start.column;
        let has_room =
            |edge: &&EdgeText| start.column + MIN_CONTENT_WIDTH + edge.width_with_gap() <= width;
        let reserved_edge = edges.last().filter(has_room);
        self.limit = width - reserved_edge.map_or(0, EdgeText::width_with_gap);
        self.next_limit = width;
        content(self);
        (self.limit, self.next_limit) = (usize::MAX, usize::MAX);
        match (reserved_edge, self.first_end) {
            (Some(reserved_edge), Some((end, column))) => {
                let continuation_lines = self.out.split_off(end);
                let last_column = std::mem::replace(&mut self.column, column);
                self.trim();
                let fits = |edge: &&EdgeText| self.column + edge.width_with_gap() <= width;
                self.push_edge(edges.iter().find(fits).unwrap_or(reserved_edge), width);
                self.out.push_str(&continuation_lines);
                self.column = last_column;
            }
            (Some(reserved_edge), None) => self.push_edge(reserved_edge, width),
            (None, _) => {
                let Some(edge) = edges.last().filter(|edge| !edge.is_empty()) else {
                    return;
                };
                if self.column + edge.width_with_gap() > width {
                    self.break_line();
                }
                self.push_edge(edge, width);
            }
        }
    }

    fn push_edge(&mut self, edge: &EdgeText, width: usize) {
        if edge.width_with_gap == 0 {
            return;
        }
        let aligned_start = width
            .min(MAX_ALIGNED_COLUMN)
            .saturating_sub(edge.width_with_gap - GAP);
        self.pad_to(aligned_start.max(self.column + GAP));
        self.push(TextStyle::DIM, &edge.text);
    }

    /// Removes blanks from the end of the line.
    fn trim(&mut self) {
        let len = self.out.trim_end_matches(' ').len();
        self.column -= self.out.len() - len;
        self.out.truncate(len);
    }

    /// Ends the last line, and returns all lines.
    pub(crate) fn finish(mut self) -> String {
        self.trim();
        self.out.push('\n');
        self.out
    }
}

/// The first line reserves room for the context only if this many columns remain for its items.
const MIN_CONTENT_WIDTH: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_without_context_has_no_empty_continuation() {
        let mut line = LineLayout::new(String::new(), AnsiColor(false), Continuation(1));
        let edges = [EdgeText::new(String::new())];
        line.fit(20, &edges, |line| {
            line.item(|line| line.push(TextStyle::PLAIN, "short"));
            line.item(|line| line.push(TextStyle::PLAIN, &"x".repeat(40)));
        });
        assert_eq!(line.finish(), format!(" short\n | {}\n", "x".repeat(40)));
    }
}
