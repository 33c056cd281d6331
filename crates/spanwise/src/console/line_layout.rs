//! The layout of the items of a line: columns, line breaks, and the context at the right edge.

use super::{
    color::{AnsiColor, TextStyle},
    display_width::display_width,
};

/// On a wider terminal, the context ends at this column, so that it stays near its event. A longer
/// event moves it to the right.
const MAX_ALIGNED: usize = 140;

/// The columns between an event and its context.
const GAP: usize = 2;

/// The prefix of lines that continue an event: this many blanks, and a bar. No other line begins
/// with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Continuation(pub(crate) usize);

impl Continuation {
    /// Returns the columns of the prefix.
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
    /// The columns of the current line.
    column: usize,
    /// The last column of the current line. An item that exceeds it starts a continuation line.
    limit: usize,
    /// The limit of continuation lines.
    next_limit: usize,
    /// The length of `out` at the end of the first line, and the columns of that line. `None` until
    /// a line continues.
    first_end: Option<(usize, usize)>,
}

/// A position in the output to which the layout can be reset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    len: usize,
    column: usize,
}

/// The text at the right edge.
#[derive(Debug, Clone)]
pub(crate) struct EdgeText {
    text: String,
    width: usize,
}

impl EdgeText {
    pub(crate) fn new(text: String) -> Self {
        let width = match display_width(&text) {
            0 => 0,
            width => width + GAP,
        };
        Self { text, width }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns the columns of the text, and of the gap in front of it. 0 without a text.
    fn width(&self) -> usize {
        self.width
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

    /// Returns the columns of the current line.
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

    /// Returns whether a text of `width` columns must be split, because the rest of the line is too
    /// short.
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
    /// line of `width` columns. If no edge text fits, the items continue on further lines.
    pub(crate) fn fit(&mut self, width: usize, edges: &[EdgeText], content: impl Fn(&mut Self)) {
        let start = self.position();
        content(self);
        let fits = |edge: &&EdgeText| self.column + edge.width() <= width;
        if let Some(edge) = edges.iter().find(fits) {
            self.push_edge(edge, width);
            return;
        }
        // The first line keeps room for the shortest edge text, unless hardly any room would be
        // left for the items.
        self.out.truncate(start.len);
        self.column = start.column;
        let has_room = |edge: &&EdgeText| start.column + MIN_CONTENT + edge.width() <= width;
        let reserved = edges.last().filter(has_room);
        self.limit = width - reserved.map_or(0, EdgeText::width);
        self.next_limit = width;
        content(self);
        (self.limit, self.next_limit) = (usize::MAX, usize::MAX);
        match (reserved, self.first_end) {
            (Some(reserved), Some((end, column))) => {
                let continuation_lines = self.out.split_off(end);
                let last_column = std::mem::replace(&mut self.column, column);
                self.trim();
                let fits = |edge: &&EdgeText| self.column + edge.width() <= width;
                self.push_edge(edges.iter().find(fits).unwrap_or(reserved), width);
                self.out.push_str(&continuation_lines);
                self.column = last_column;
            }
            (Some(reserved), None) => self.push_edge(reserved, width),
            (None, _) => {
                let Some(edge) = edges.last().filter(|edge| !edge.is_empty()) else {
                    return;
                };
                if self.column + edge.width() > width {
                    self.break_line();
                }
                self.push_edge(edge, width);
            }
        }
    }

    fn push_edge(&mut self, edge: &EdgeText, width: usize) {
        if edge.width == 0 {
            return;
        }
        let aligned = width.min(MAX_ALIGNED).saturating_sub(edge.width - GAP);
        self.pad_to(aligned.max(self.column + GAP));
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

/// The first line has at least this many columns between its start and the context.
const MIN_CONTENT: usize = 20;

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
