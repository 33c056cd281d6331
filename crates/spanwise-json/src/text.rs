//! A value's `Display` or `Debug`, streamed into the line.

use std::fmt::{self, Write as _};

use spanwise_core::{REDACTED, Redact, guarded};

use crate::{
    escape,
    line::Line,
    value::{Mark, is_whole, read_mark},
};

/// Appends what `value` writes as a JSON value: a string, or nested JSON if it is a [`Json`](crate::Json) and nothing else.
///
/// At most `limit` bytes of it are kept; true if it was cut. May panic, as `value` may: then the line ends anywhere.
pub(crate) fn push_display(
    line: &mut Line,
    value: fmt::Arguments<'_>,
    limit: usize,
    policy: Option<&dyn Redact>,
) -> bool {
    match policy {
        None => stream(line, value, limit),
        Some(policy) => collect(line, value, limit, policy),
    }
}

/// Appends `text` as a JSON string, cut at `limit` bytes; true if it was.
#[inline]
pub(crate) fn push_str(
    line: &mut Line,
    text: &str,
    limit: usize,
    policy: Option<&dyn Redact>,
) -> bool {
    if policy.is_some() || text.len() > limit {
        return push_long_str(line, text, limit, policy);
    }
    escape::push_quoted(line, text);
    false
}

#[cold]
fn push_long_str(line: &mut Line, text: &str, limit: usize, policy: Option<&dyn Redact>) -> bool {
    match policy {
        None => push_quoted(line, text, limit),
        Some(policy) => push_quoted(line, &policy.hide(text), limit),
    }
}

fn push_quoted(line: &mut Line, text: &str, limit: usize) -> bool {
    line.push(&escape::quoted(guarded::cut_at(text, limit)));
    text.len() > limit
}

#[inline]
fn stream(line: &mut Line, value: fmt::Arguments<'_>, limit: usize) -> bool {
    let start = line.len();
    line.push_byte(b'"');
    let mut writer = Writer {
        line,
        start,
        left: limit,
        state: State::Text,
        cut: false,
    };
    let outcome = writer.write_fmt(value);
    writer.finish(outcome)
}

/// A policy reads no more of a value than this; of a longer one nothing is shown.
const BUDGET: usize = 64 * 1024;

/// The policy wants to see the whole text before any of it is cut or written.
#[cold]
fn collect(line: &mut Line, value: fmt::Arguments<'_>, limit: usize, policy: &dyn Redact) -> bool {
    let mut collector = Collector {
        text: String::new(),
        left: BUDGET,
        cut: false,
        json: Span::None,
    };
    let outcome = collector.write_fmt(value);
    let Collector {
        text, cut, json, ..
    } = collector;
    if cut {
        line.push(&escape::quoted(REDACTED));
        return false;
    }
    if outcome.is_err() {
        line.push(&escape::quoted(guarded::FORMAT_ERROR));
        return false;
    }
    let hidden = policy.hide(&text);
    // What a policy left of nested JSON is nested JSON, if it kept to its form.
    let is_json = json == Span::Whole && hidden.len() <= limit && is_whole(hidden.as_bytes());
    if is_json {
        escape::push_json(line, &hidden);
        return false;
    }
    push_quoted(line, &hidden, limit)
}

struct Writer<'a> {
    line: &'a mut Line,
    /// Where the value begins in the line, at its quote.
    start: usize,
    /// How many more bytes of text are kept.
    left: usize,
    state: State,
    cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// Between the marks of nested JSON that began the value.
    Json,
    JsonEnded,
}

impl Writer<'_> {
    #[inline]
    fn finish(mut self, outcome: fmt::Result) -> bool {
        if outcome.is_err() || self.state != State::Text {
            return self.finish_other(outcome);
        }
        self.line.push_byte(b'"');
        self.cut
    }

    /// What failed, was cut, or is JSON.
    #[cold]
    fn finish_other(&mut self, outcome: fmt::Result) -> bool {
        if outcome.is_err() && !self.cut {
            self.line.truncate(self.start);
            self.line.push(&escape::quoted(guarded::FORMAT_ERROR));
            return false;
        }
        if self.state == State::Json || (self.cut && self.state != State::Text) {
            self.fall_back_to_text();
        }
        if self.state == State::Text {
            self.line.push_byte(b'"');
        }
        self.cut
    }

    #[cold]
    fn mark(&mut self, mark: &Mark) {
        match (mark, self.state) {
            (Mark::Begin, State::Text) if self.line.len() == self.start + 1 => {
                self.line.truncate(self.start);
                self.state = State::Json;
            }
            (Mark::End, State::Json) => {
                self.state = State::JsonEnded;
                // Somebody may stand between the marks and us, and pass on a part.
                if !is_whole(&self.line.as_bytes()[self.start..]) {
                    self.fall_back_to_text();
                }
            }
            _ => {}
        }
    }

    /// The JSON was not the whole value, or not whole: it is text after all.
    #[cold]
    fn fall_back_to_text(&mut self) {
        let json = String::from_utf8_lossy(&self.line.as_bytes()[self.start..]).into_owned();
        self.line.truncate(self.start);
        self.line.push_byte(b'"');
        escape::push_text(self.line, &json);
        self.state = State::Text;
    }
}

impl fmt::Write for Writer<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let plain = self.state == State::Text && text.len() <= self.left && !text.is_empty();
        if plain && escape::push_clean_text(self.line, text) {
            self.left -= text.len();
            return Ok(());
        }
        self.write_any(text)
    }
}

impl Writer<'_> {
    #[inline(never)]
    fn write_any(&mut self, text: &str) -> fmt::Result {
        if text.is_empty() {
            self.mark(&read_mark(text));
            return Ok(());
        }
        if self.state == State::JsonEnded {
            self.fall_back_to_text();
        }
        let fits = text.len() <= self.left;
        let text = if fits {
            text
        } else {
            guarded::cut_at(text, self.left)
        };
        self.left -= text.len();
        match self.state {
            State::Json => escape::push_json(self.line, text),
            State::Text | State::JsonEnded => escape::push_text(self.line, text),
        }
        if fits {
            return Ok(());
        }
        // An error stops a well-behaved `Debug`; one that ignores it writes into nothing.
        self.left = 0;
        self.cut = true;
        Err(fmt::Error)
    }
}

struct Collector {
    text: String,
    left: usize,
    cut: bool,
    json: Span,
}

/// How much of a text is nested JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    None,
    Begun,
    Whole,
    Part,
}

impl fmt::Write for Collector {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.is_empty() {
            self.json = match (read_mark(text), self.json) {
                (Mark::Begin, Span::None) if self.text.is_empty() => Span::Begun,
                (Mark::End, Span::Begun) => Span::Whole,
                (_, before) => before,
            };
            return Ok(());
        }
        if self.json == Span::Whole {
            self.json = Span::Part;
        }
        let kept = guarded::cut_at(text, self.left);
        self.left -= kept.len();
        self.text.push_str(kept);
        if kept.len() == text.len() {
            return Ok(());
        }
        self.left = 0;
        self.cut = true;
        Err(fmt::Error)
    }
}
