//! A value's `Display` or `Debug`, streamed into the line.

use std::{
    fmt::{self, Write as _},
    ops::BitOrAssign,
    str,
    sync::OnceLock,
};

use spanwise_core::{
    REDACTED, Redact,
    nested_json::{Mark, MarkTracker, read_mark},
    panic_safe,
};

use crate::{escape, line::Line, value::is_whole};

/// Whom to ask what of a text may be shown, and what to tell of it.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) policy: &'a dyn Redact,
    /// Of the value; a message has none.
    pub(crate) key: Option<&'a str>,
    /// A text of that place that the policy shows, remembered so that it is not asked again.
    pub(crate) clean: Option<&'a OnceLock<Box<str>>>,
}

/// What a value's text in the line is not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Missing {
    /// Not all of it.
    pub(crate) cut: bool,
    /// Not what was logged.
    pub(crate) hidden: bool,
}

impl BitOrAssign for Missing {
    fn bitor_assign(&mut self, other: Self) {
        self.cut |= other.cut;
        self.hidden |= other.hidden;
    }
}

impl Reading<'_> {
    /// What is shown instead of `text`, if it is something else.
    #[inline]
    pub(crate) fn instead_of(&self, text: &str) -> Option<String> {
        self.policy.replacement_for(self.key, text)
    }

    #[inline]
    fn knows(&self, text: &[u8]) -> bool {
        let clean = self.clean.and_then(OnceLock::get);
        clean.is_some_and(|clean| clean.as_bytes() == text)
    }

    #[inline]
    fn remember(&self, text: &[u8]) {
        if let Some(clean) = self.clean.filter(|clean| clean.get().is_none()) {
            remember(clean, text);
        }
    }
}

#[cold]
fn remember(clean: &OnceLock<Box<str>>, text: &[u8]) {
    if text.len() <= LONGEST_REMEMBERED
        && let Ok(text) = str::from_utf8(text)
    {
        clean.get_or_init(|| text.into());
    }
}

/// A message that a program has written out is not much longer.
const LONGEST_REMEMBERED: usize = 128;

/// Appends what `value` writes as a JSON value: a string, or nested JSON if it is a [`Json`](crate::Json) and nothing else.
///
/// At most `limit` bytes of it are kept. May panic, as `value` may: then the line ends anywhere.
pub(crate) fn push_display(
    line: &mut Line,
    value: fmt::Arguments<'_>,
    limit: usize,
    reading: Option<Reading<'_>>,
) -> Missing {
    match reading {
        None => Missing {
            cut: stream(line, value, limit),
            hidden: false,
        },
        Some(reading) => read(line, value, limit, reading),
    }
}

/// Appends `text` as a JSON string, cut at `limit` bytes.
#[inline]
pub(crate) fn push_str(
    line: &mut Line,
    text: &str,
    limit: usize,
    reading: Option<Reading<'_>>,
) -> Missing {
    let instead = reading.and_then(|reading| reading.instead_of(text));
    if instead.is_none() && text.len() <= limit {
        escape::push_quoted(line, text);
        return Missing::default();
    }
    Missing {
        cut: push_cut(line, instead.as_deref().unwrap_or(text), limit),
        hidden: instead.is_some(),
    }
}

/// True if it was cut.
#[cold]
fn push_cut(line: &mut Line, text: &str, limit: usize) -> bool {
    escape::push_quoted(line, panic_safe::truncate_at(text, limit));
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

/// The policy wants to see the whole text before any of it is cut. It is read where it stands in the line, and stays there if it
/// may and needs no escape.
fn read(line: &mut Line, value: fmt::Arguments<'_>, limit: usize, reading: Reading<'_>) -> Missing {
    let start = line.len();
    line.push_byte(b'"');
    let mut reader = Reader {
        line,
        left: <dyn Redact>::MAX_COLLECT_LEN,
        is_clean: true,
        cut: false,
        json: MarkTracker::default(),
    };
    let outcome = reader.write_fmt(value);
    let Reader {
        is_clean,
        cut,
        json,
        ..
    } = reader;
    if outcome.is_err() && !cut {
        line.truncate(start);
        escape::push_quoted(line, panic_safe::FORMAT_ERROR);
        return Missing::default();
    }
    let text = &line.as_bytes()[start + 1..];
    let as_it_is = is_clean && text.len() <= limit && !json.is_json();
    if as_it_is && reading.knows(text) {
        line.push_byte(b'"');
        return Missing::default();
    }
    // Only texts were written.
    let instead = match str::from_utf8(text) {
        Ok(text) => reading.instead_of(text),
        Err(_) => Some(REDACTED.to_owned()),
    };
    if as_it_is && instead.is_none() {
        reading.remember(text);
        line.push_byte(b'"');
        return Missing::default();
    }
    push_read(line, start, instead, json, limit)
}

/// Writes anew what was read: it is something else, needs escapes, or is nested JSON.
#[cold]
fn push_read(
    line: &mut Line,
    start: usize,
    instead: Option<String>,
    json: MarkTracker,
    limit: usize,
) -> Missing {
    let hidden = instead.is_some();
    let text = instead.unwrap_or_else(|| line.copy_text(start + 1));
    line.truncate(start);
    let mut cut = false;
    // What a policy left of nested JSON is nested JSON, if it kept to its form.
    if json.is_json() && text.len() <= limit && is_whole(text.as_bytes()) {
        escape::push_json(line, &text);
    } else {
        cut = push_cut(line, &text, limit);
    }
    if !hidden {
        line.keep_text(text);
    }
    Missing { cut, hidden }
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
            self.line.push(&escape::quoted(panic_safe::FORMAT_ERROR));
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
            panic_safe::truncate_at(text, self.left)
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

/// Appends texts as they come.
struct Reader<'a> {
    line: &'a mut Line,
    /// How many more bytes of text are read.
    left: usize,
    /// So far nothing needs an escape.
    is_clean: bool,
    cut: bool,
    json: MarkTracker,
}

impl fmt::Write for Reader<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.json.observe(text);
        let fits = self.is_clean && text.len() <= self.left;
        if fits && escape::push_clean_text(self.line, text) {
            self.left -= text.len();
            return Ok(());
        }
        self.write_any(text)
    }
}

impl Reader<'_> {
    #[inline(never)]
    fn write_any(&mut self, text: &str) -> fmt::Result {
        self.is_clean = false;
        let kept = panic_safe::truncate_at(text, self.left);
        self.left -= kept.len();
        self.line.push(kept.as_bytes());
        if kept.len() == text.len() {
            return Ok(());
        }
        // An error stops a well-behaved `Debug`; one that ignores it writes into nothing.
        self.left = 0;
        self.cut = true;
        Err(fmt::Error)
    }
}
