//! Values that are text, or have a `Display` or `Debug`, written into the line as JSON strings.
//!
//! Without a policy, a value is streamed into the line. A policy scans the whole text, so the text
//! is collected first.

use std::{
    fmt::{self, Write as _},
    ops::{BitOr, BitOrAssign},
    str,
};

use spanwise_core::{
    REDACTED, Redact,
    internal::{
        nested_json::{Mark, MarkTracker, read_mark},
        panic_safe,
    },
};

use crate::{as_json::is_valid_json, clean_texts::CleanTexts, escape, line_buffer::LineBuffer};

/// A policy that scans text, with the context of one value.
#[derive(Clone, Copy)]
pub(crate) struct TextPolicy<'a> {
    pub(crate) policy: &'a dyn Redact,
    /// The key of the value; `None` for a message.
    pub(crate) key: Option<&'a str>,
    /// Texts under this key that the policy is known to leave unchanged.
    pub(crate) clean: Option<&'a CleanTexts>,
}

/// How a value in the line differs from a JSON string with the whole text of the value. A set of
/// flags, so that one comparison detects the common case, in which it does not differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Alteration(u8);

impl Alteration {
    pub(crate) const NONE: Self = Self(0);
    /// The line shows only the start of the value.
    pub(crate) const TRUNCATED: Self = Self(1);
    /// The policy replaced the text, or a part of it.
    pub(crate) const REDACTED: Self = Self(2);
    /// The value is nested JSON, not a string.
    pub(crate) const NESTED: Self = Self(4);

    pub(crate) fn truncated_if(truncated: bool) -> Self {
        if truncated {
            Self::TRUNCATED
        } else {
            Self::NONE
        }
    }

    #[inline]
    pub(crate) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) fn without(self, flag: Self) -> Self {
        Self(self.0 & !flag.0)
    }
}

impl BitOr for Alteration {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Alteration {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl TextPolicy<'_> {
    /// Returns the policy's replacement for `text`, if there is one.
    #[inline]
    pub(crate) fn replacement_for(&self, text: &str) -> Option<String> {
        self.policy.replacement_for(self.key, text)
    }

    /// Appends the policy's replacement for `text` to `shown`. Returns false if there is none.
    #[inline]
    fn replacement_into(&self, text: &str, shown: &mut String) -> bool {
        self.policy.replacement_into(self.key, text, shown)
    }

    #[inline]
    fn is_known_clean(&self, text: &[u8]) -> bool {
        self.clean.is_some_and(|clean| clean.contains(text))
    }

    #[inline]
    fn remember_clean(&self, text: &[u8]) {
        if let Some(clean) = self.clean {
            clean.insert(text);
        }
    }
}

/// Appends the text of `value` as a JSON string. If `value` is an [`AsJson`](crate::AsJson) and
/// nothing else, appends it as nested JSON.
///
/// Cuts the text at `limit` bytes. If formatting `value` panics, this function does, too, and the
/// line may end inside the value.
#[inline]
pub(crate) fn push_display(
    line: &mut LineBuffer,
    value: fmt::Arguments<'_>,
    limit: usize,
    text_policy: Option<TextPolicy<'_>>,
) -> Alteration {
    match text_policy {
        None => push_streamed(line, value, limit),
        Some(text_policy) => push_checked(line, value, limit, text_policy),
    }
}

/// Appends `text` as a JSON string, cut at `limit` bytes.
#[inline]
pub(crate) fn push_str(
    line: &mut LineBuffer,
    text: &str,
    limit: usize,
    text_policy: Option<TextPolicy<'_>>,
) -> Alteration {
    let is_clean = text_policy.is_none_or(|policy| policy.is_known_clean(text.as_bytes()));
    if is_clean && text.len() <= limit {
        escape::push_quoted(line, text);
        return Alteration::NONE;
    }
    push_uncommon_str(line, text, limit, text_policy)
}

/// Like [`push_str`], for a text that is too long, or that the policy has to scan.
#[inline(never)] // Kept out of line, so that the common path stays small.
fn push_uncommon_str(
    line: &mut LineBuffer,
    text: &str,
    limit: usize,
    text_policy: Option<TextPolicy<'_>>,
) -> Alteration {
    let mut shown = line.take_text();
    let redacted = text_policy.is_some_and(|policy| policy.replacement_into(text, &mut shown));
    let alteration = if redacted {
        push_cut(line, &shown, limit) | Alteration::REDACTED
    } else if text.len() > limit {
        push_cut(line, text, limit)
    } else {
        if let Some(text_policy) = text_policy {
            text_policy.remember_clean(text.as_bytes());
        }
        escape::push_quoted(line, text);
        Alteration::NONE
    };
    line.put_back_text(shown);
    alteration
}

/// Appends `text` as a JSON string, cut at `limit` bytes.
#[cold]
fn push_cut(line: &mut LineBuffer, text: &str, limit: usize) -> Alteration {
    escape::push_quoted(line, panic_safe::truncate_at(text, limit));
    Alteration::truncated_if(text.len() > limit)
}

#[inline]
fn push_streamed(line: &mut LineBuffer, value: fmt::Arguments<'_>, limit: usize) -> Alteration {
    let start = line.len();
    line.push_byte(b'"');
    let mut writer = StreamWriter {
        line,
        start,
        remaining: limit,
        state: State::Text,
        truncated: false,
    };
    let outcome = writer.write_fmt(value);
    writer.finish(outcome)
}

/// Collects the whole text in the line, lets the policy scan it there, and only then cuts it. The
/// text remains there if the policy does not change it and it needs neither a cut nor an escape.
#[inline(never)] // Kept out of line: layers without a policy do not pay for it.
fn push_checked(
    line: &mut LineBuffer,
    value: fmt::Arguments<'_>,
    limit: usize,
    text_policy: TextPolicy<'_>,
) -> Alteration {
    let start = line.len();
    line.push_byte(b'"');
    let mut collector = Collector {
        line,
        remaining: <dyn Redact>::MAX_COLLECT_LEN,
        is_clean: true,
        truncated: false,
        json: MarkTracker::default(),
    };
    let outcome = collector.write_fmt(value);
    let Collector {
        is_clean,
        truncated,
        json,
        ..
    } = collector;
    if outcome.is_err() && !truncated {
        line.truncate(start);
        escape::push_quoted(line, panic_safe::FORMAT_ERROR);
        return Alteration::NONE;
    }
    let text = &line.as_bytes()[start + 1..];
    let needs_no_change = is_clean && text.len() <= limit && !json.is_json();
    if needs_no_change && text_policy.is_known_clean(text) {
        line.push_byte(b'"');
        return Alteration::NONE;
    }
    let mut shown = line.take_text();
    let text = &line.as_bytes()[start + 1..];
    // The text is valid UTF-8, because it was written as `str`s.
    let redacted = match str::from_utf8(text) {
        Ok(text) => text_policy.replacement_into(text, &mut shown),
        Err(_) => {
            shown.push_str(REDACTED);
            true
        }
    };
    if needs_no_change && !redacted {
        text_policy.remember_clean(text);
        line.push_byte(b'"');
        line.put_back_text(shown);
        return Alteration::NONE;
    }
    if !redacted {
        line.copy_text(start + 1, &mut shown);
    }
    let alteration = push_rewritten(line, start, &shown, json, limit);
    line.put_back_text(shown);
    match redacted {
        true => alteration | Alteration::REDACTED,
        false => alteration,
    }
}

/// Replaces the collected text, from the offset `start` of the line, by `text`: the policy has
/// changed it, it is too long, it needs escapes, or it is nested JSON.
#[cold]
fn push_rewritten(
    line: &mut LineBuffer,
    start: usize,
    text: &str,
    json: MarkTracker,
    limit: usize,
) -> Alteration {
    line.truncate(start);
    // Nested JSON stays nested if the policy left it valid.
    if json.is_json() && text.len() <= limit && is_valid_json(text.as_bytes()) {
        escape::push_json(line, text);
        return Alteration::NESTED;
    }
    push_cut(line, text, limit)
}

/// A writer that appends the text of a value to the line, escaped and cut.
struct StreamWriter<'a> {
    line: &'a mut LineBuffer,
    /// The offset of the value in the line, which is that of its quote.
    start: usize,
    /// The number of bytes of text that are still accepted.
    remaining: usize,
    state: State,
    truncated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The value is text so far.
    Text,
    /// The value began with the mark of nested JSON, which has not ended yet.
    Json,
    /// Nested JSON has ended. If more text follows, the whole value becomes text.
    JsonEnded,
}

impl StreamWriter<'_> {
    #[inline]
    fn finish(mut self, outcome: fmt::Result) -> Alteration {
        if outcome.is_err() || self.state != State::Text {
            return self.finish_uncommon(outcome);
        }
        self.line.push_byte(b'"');
        Alteration::truncated_if(self.truncated)
    }

    /// Ends a value that failed, was truncated, or is JSON.
    #[cold]
    fn finish_uncommon(&mut self, outcome: fmt::Result) -> Alteration {
        if outcome.is_err() && !self.truncated {
            self.line.truncate(self.start);
            self.line.push(&escape::quoted(panic_safe::FORMAT_ERROR));
            return Alteration::NONE;
        }
        if self.state == State::Json || (self.truncated && self.state != State::Text) {
            self.fall_back_to_text();
        }
        let truncated = Alteration::truncated_if(self.truncated);
        match self.state {
            State::Text => self.line.push_byte(b'"'),
            State::Json | State::JsonEnded => return truncated | Alteration::NESTED,
        }
        truncated
    }

    /// Handles a mark at the start or the end of nested JSON.
    #[cold]
    fn mark(&mut self, mark: &Mark) {
        match (mark, self.state) {
            (Mark::Begin, State::Text) if self.line.len() == self.start + 1 => {
                self.line.truncate(self.start);
                self.state = State::Json;
            }
            (Mark::End, State::Json) => {
                self.state = State::JsonEnded;
                // A wrapper around the value may have forwarded only part of the JSON.
                if !is_valid_json(&self.line.as_bytes()[self.start..]) {
                    self.fall_back_to_text();
                }
            }
            _ => {}
        }
    }

    /// Turns the JSON in the line into text, because it is not valid or not the whole value.
    #[cold]
    fn fall_back_to_text(&mut self) {
        let json = String::from_utf8_lossy(&self.line.as_bytes()[self.start..]).into_owned();
        self.line.truncate(self.start);
        self.line.push_byte(b'"');
        escape::push_text(self.line, &json);
        self.state = State::Text;
    }
}

impl fmt::Write for StreamWriter<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_text = self.state == State::Text && !text.is_empty();
        let is_common = is_text && text.len() <= self.remaining;
        if is_common && escape::push_clean_text(self.line, text) {
            self.remaining -= text.len();
            return Ok(());
        }
        self.write_uncommon(text)
    }
}

impl StreamWriter<'_> {
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn write_uncommon(&mut self, text: &str) -> fmt::Result {
        if text.is_empty() {
            self.mark(&read_mark(text));
            return Ok(());
        }
        if self.state == State::JsonEnded {
            self.fall_back_to_text();
        }
        let fits = text.len() <= self.remaining;
        let text = if fits {
            text
        } else {
            panic_safe::truncate_at(text, self.remaining)
        };
        self.remaining -= text.len();
        match self.state {
            State::Json => escape::push_json(self.line, text),
            State::Text | State::JsonEnded => escape::push_text(self.line, text),
        }
        if fits {
            return Ok(());
        }
        // The error stops a `Debug`. If it ignores the error, its further text is dropped.
        self.remaining = 0;
        self.truncated = true;
        Err(fmt::Error)
    }
}

/// A writer that collects the text of a value in the line, unescaped, for the policy.
struct Collector<'a> {
    line: &'a mut LineBuffer,
    /// The number of bytes of text that are still accepted.
    remaining: usize,
    /// Whether the text so far is known to need no escape.
    is_clean: bool,
    truncated: bool,
    /// Detects whether the value is nested JSON.
    json: MarkTracker,
}

impl fmt::Write for Collector<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.json.observe(text);
        let is_common = self.is_clean && text.len() <= self.remaining;
        if is_common && escape::push_clean_text(self.line, text) {
            self.remaining -= text.len();
            return Ok(());
        }
        self.write_uncommon(text)
    }
}

impl Collector<'_> {
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn write_uncommon(&mut self, text: &str) -> fmt::Result {
        self.is_clean = false;
        let accepted = panic_safe::truncate_at(text, self.remaining);
        self.remaining -= accepted.len();
        self.line.push(accepted.as_bytes());
        if accepted.len() == text.len() {
            return Ok(());
        }
        // The error stops a `Debug`. If it ignores the error, its further text is dropped.
        self.remaining = 0;
        self.truncated = true;
        Err(fmt::Error)
    }
}
