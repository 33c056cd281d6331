//! Finds the value of a key in a text.
//!
//! [`pair_lexer`](crate::pair_lexer) has the grammar, and [`value_end`] finds where a value ends.

use crate::{
    byte_class::ByteClass,
    byte_search::{
        contains_text, ends_with_word, find2, is_boundary, is_space, run_end, run_start,
    },
    context_tracker::ContextTracker,
    credential::{self, KeySubject, ValueReading},
    json_strings::JsonStrings,
    normalized_key::MAX_KEY_LEN,
    pair_lexer::Pair,
    value_end::{self, Quote, ValueContext, ValueSpan},
};

/// Properties of a hidden key and of the rule that hides it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleTraits {
    /// The key names a header: its value extends to the end of the line.
    pub(crate) header: bool,
    /// The rule is built in, and shows values that are not credentials. User rules show only absent
    /// values.
    pub(crate) built_in: bool,
}

impl Pair<'_> {
    /// Returns the latest end of the value in a JSON document: the end of the string that contains
    /// the pair. If no string contains it, the pair is a member of the document, and its JSON value
    /// ends there.
    pub(crate) fn limit_in_json(&mut self, text: &str, document: &JsonStrings) -> usize {
        match document.string_at(self.separator_end - 1) {
            Some((_, end)) => end,
            None => {
                // The replacement of the value then gets quotes.
                self.quote = Some((b'"', 0));
                document.end_of_value(text, self.separator_end)
            }
        }
    }

    fn value_context(&self, text: &[u8], context: &mut ContextTracker) -> ValueContext {
        // Tracks the text before the quotes of the key, so that only the enclosing strings are
        // open.
        let quotes = self.quote.map_or(0, |(_, slashes)| slashes + 1);
        context.move_to(text, self.name_start.saturating_sub(quotes));
        if !self.may_be_parameter {
            let before = run_start(text, self.name_start, 2, |byte| byte == b' ');
            let is_member = !self.is_colon && before > 0 && text[before - 1] == b';';
            return if is_member {
                ValueContext::ConnectionString
            } else {
                ValueContext::Plain
            };
        }
        let is_member = text[self.name_start - 1] == b';';
        if let Some(query) = context.query() {
            query
        } else if is_member {
            ValueContext::ConnectionString
        } else {
            ValueContext::Form
        }
    }

    /// Returns the value, or `None` if there is no value or the value is not a secret.
    pub(crate) fn value(
        &self,
        text: &[u8],
        context: &mut ContextTracker,
        traits: RuleTraits,
    ) -> Option<ValueSpan> {
        let mut start = self.separator_end.min(text.len());
        start = match self.quote {
            Some(_) => run_end(text, start, is_space),
            None => run_end(text, start, |byte| matches!(byte, b' ' | b'\t')),
        };
        if text[start..].starts_with(b"** ") {
            start += 3;
        }
        let notation = self.value_context(text, context);
        while let Some(after) = value_end::after_tab(text, start, context.open()) {
            start = after;
        }
        let slashes = run_end(text, start, |byte| byte == b'\\') - start;
        let word = run_end(text, start, |byte| byte.is_ascii_lowercase());
        let is_word = word > start && text.get(word) == Some(&b' ');
        // After `: ` there may be a sentence, which built-in rules do not hide.
        let may_be_prose = self.is_colon
            && text[self.separator_end - 1] == b':'
            && (self.quote.is_none() || is_word)
            && start > self.separator_end
            && traits.built_in;
        let notation = match notation {
            // URLs contain no spaces.
            ValueContext::Query { .. } if start > self.separator_end => ValueContext::Plain,
            notation => notation,
        };
        let mark = *text.get(start + slashes)?;
        let span = |start, end| ValueSpan {
            start,
            end,
            needs_quotes: None,
        };
        if let Some((start, end)) = self.value_on_next_line(text, start, context.open()) {
            return Some(span(start, end));
        }
        if traits.built_in
            && (self.is_in_arn(text) || value_end::is_break(text, start, context.open()))
        {
            return None;
        }
        // `"password:", …`: the quote ends the string that contains the key.
        let after = text.get(start + slashes + 1);
        let is_end = self.quote.is_none() && context.open() == Some((mark, slashes));
        if is_end && matches!(after, None | Some(b',' | b')' | b']' | b'}')) {
            return None;
        }
        let (value, is_quoted) = match &mark {
            mark @ (b'"' | b'\'' | b'`')
                if !value_end::is_mark_of_member(text, start, notation) =>
            {
                let start = start + slashes + 1;
                let (start, end) = value_end::quoted(text, start, *mark, slashes, context.open());
                (span(start, end), true)
            }
            _ => (
                self.bare(text, start, notation, context, traits, may_be_prose)?,
                false,
            ),
        };
        let content = &text[value.start..value.end];
        let shown = if !traits.built_in {
            credential::is_absent(content)
        } else {
            credential::is_nothing(content)
                || credential::is_placeholder(content)
                || credential::has_other_meaning(self.key, content, &text[value.end..])
                || !is_quoted && self.is_variable(text) && is_expression(content)
                || may_be_prose
                    && is_quoted
                    && (self.is_parser_token(text, content)
                        || self.is_sentence_subject(text, content, value.end))
        };
        (!shown).then_some(value)
    }

    /// Returns the value if it is not quoted, or `None` if the text is prose.
    fn bare(
        &self,
        text: &[u8],
        start: usize,
        notation: ValueContext,
        context: &ContextTracker,
        traits: RuleTraits,
        may_be_prose: bool,
    ) -> Option<ValueSpan> {
        let subject = KeySubject::for_key(self.key);
        let needs_quotes = self
            .quote
            .filter(|(mark, _)| *mark == b'"')
            .map(|(_, slashes)| slashes);
        let span = |start: usize, end: usize| ValueSpan {
            start,
            end,
            needs_quotes,
        };
        if let Some((from, to)) = value_end::block(text, start).filter(|_| self.is_colon) {
            return Some(span(from, to));
        }
        if let Some((from, to)) = self.list(text, start, subject) {
            return Some(span(from, to));
        }
        let is_debug = is_debug(&text[start..]);
        let open = context.open();
        if may_be_prose && !is_debug {
            let word = &text[start..run_end(text, start, |byte| byte.is_ascii_graphic())];
            if self.is_parser_token(text, word) {
                return None;
            }
            match credential::read_after_colon(in_string(text, start, open), subject) {
                ValueReading::Prose => return None,
                ValueReading::Through(length) => return Some(span(start, start + length)),
                ValueReading::Value => {}
            }
        }
        let mut end = if traits.header && self.is_colon && self.quote.is_none() && !is_debug {
            if is_hidden(&text[start..]) {
                return None;
            }
            let end = value_end::end_of_header(text, start, open);
            // `Debug` output in brackets contains quotes, and with `{:#?}` also line breaks.
            let word = ByteClass::WORD.run_end(text, start);
            match text.get(word) {
                Some(b'(' | b'[' | b'{' | b' ') => {
                    end.max(value_end::end_of_bare(text, start, notation, open))
                }
                _ => end,
            }
        } else {
            value_end::end_of_bare(text, start, notation, open)
        };
        let may_have_spaces = self.quote.is_none()
            && notation != ValueContext::Form
            && !matches!(notation, ValueContext::Query { .. })
            && traits.built_in;
        if may_have_spaces && subject == KeySubject::Password {
            end = end.max(start + credential::end_of_groups(&text[start..]));
        } else if may_have_spaces && subject == KeySubject::Phrase && !is_debug {
            end = end.max(start + credential::end_of_phrase(&text[start..]));
        } else if may_be_prose && subject == KeySubject::Code {
            end = start + credential::end_of_code(&text[start..], end - start);
        } else if subject == KeySubject::Person
            && (may_be_prose || may_have_spaces && has_words(self.key, &text[start..end]))
        {
            end = start + credential::end_of_person(&text[start..], end - start);
        }
        Some(span(start, end))
    }

    /// Returns a credential that is alone on the next line, if that line is indented more than the
    /// key.
    fn value_on_next_line(
        &self,
        text: &[u8],
        start: usize,
        open: Option<Quote>,
    ) -> Option<(usize, usize)> {
        const MAX_INDENT: usize = 64;
        // Longer values are ignored, so that the search for the end stays short.
        const MAX_LEN: usize = 512;
        if !self.is_colon || self.quote.is_some() {
            return None;
        }
        let line = match text.get(start)? {
            b'\r' | b'\n' => start + 1 + usize::from(text[start..].starts_with(b"\r\n")),
            b'\\' if value_end::is_break(text, start, open) => {
                run_end(text, start, |byte| byte == b'\\') + 1
            }
            _ => return None,
        };
        let near = &text[..text.len().min(line + MAX_INDENT)];
        let mut from = run_end(near, line, |byte| byte == b' ');
        let key = run_start(text, self.name_start, MAX_INDENT, |byte| {
            b" -".contains(&byte)
        });
        if from - line <= self.name_start - key {
            return None;
        }
        let near = &text[..text.len().min(from + MAX_LEN)];
        let slashes = run_end(near, from, |byte| byte == b'\\') - from;
        let end = match near.get(from + slashes)? {
            mark @ (b'"' | b'\'') => {
                from += slashes + 1;
                value_end::closing_quote(line_end(near, from), from, *mark, slashes)
            }
            _ => value_end::end_of_bare(near, from, ValueContext::Plain, open),
        };
        if end == near.len() && near.len() < text.len() {
            return None;
        }
        let is_last = || {
            let after = run_end(text, end, |byte| byte == b' ');
            text.get(after)
                .is_none_or(|byte| b"\r\n\\\"'`#(,)]}".contains(byte))
        };
        (credential::is_value(&text[from..end]) && is_last()).then_some((from, end))
    }

    /// Returns the YAML list after the key, unless all its items are prose.
    fn list(&self, text: &[u8], start: usize, subject: KeySubject) -> Option<(usize, usize)> {
        const MAX_INDENT: usize = 64;
        if !self.is_colon || !matches!(text.get(start), Some(b'\r' | b'\n')) {
            return None;
        }
        let line = run_start(text, self.name_start, MAX_INDENT, |byte| {
            b" -".contains(&byte)
        });
        let (from, to) = value_end::list(text, start, self.name_start - line)?;
        let items = text[from..to].split(|byte| *byte == b'\n');
        let is_prose = |item: &[u8]| {
            let item = item.trim_ascii_start();
            let item = item.strip_prefix(b"- ").unwrap_or(item);
            credential::read_after_colon(item, subject) == ValueReading::Prose
        };
        (!items.into_iter().all(is_prose)).then_some((from, to))
    }

    /// Returns whether the key is part of a resource name: `arn:aws:…:secret:stock-db`.
    fn is_in_arn(&self, text: &[u8]) -> bool {
        if !self.is_colon || self.name_start == 0 || text[self.name_start - 1] != b':' {
            return false;
        }
        let start = run_start(text, self.name_start, MAX_KEY_LEN, |byte| {
            ByteClass::KEY.has(byte) || byte == b':' || byte == b'/'
        });
        text[start..].starts_with(b"arn:") || text[start..].starts_with(b"urn:")
    }

    /// Returns whether the key is a variable in source code: `let password = …`.
    fn is_variable(&self, text: &[u8]) -> bool {
        let before = &text[..self.name_start];
        let before = before.strip_suffix(b"mut ").unwrap_or(before);
        let start = before.strip_suffix(b"let ").map(<[u8]>::len);
        !self.is_colon && start.is_some_and(|start| is_boundary(text, start))
    }

    /// Returns whether a quoted value is the subject of a sentence that continues after the quote.
    fn is_sentence_subject(&self, text: &[u8], name: &[u8], end: usize) -> bool {
        if KeySubject::for_key(self.key) == KeySubject::Password {
            return false;
        }
        let rest = run_end(text, end, |byte| b"\\\"'`".contains(&byte));
        credential::is_sentence_subject(name, &text[rest..])
    }

    /// Returns whether the value is a token that a parser did not expect, as in
    /// `` unexpected token: `}` ``.
    fn is_parser_token(&self, text: &[u8], content: &[u8]) -> bool {
        // `unknown password: "tulip"` is not about a parser.
        let key = self.key.as_bytes();
        if !ends_with_word(key, b"token") && !ends_with_word(key, b"tokens") {
            return false;
        }
        if content.len() <= 3
            && !content
                .iter()
                .any(|byte| ByteClass::WORD.has(*byte) || !byte.is_ascii())
        {
            return true;
        }
        let before = run_start(text, self.name_start, 1, is_space);
        let word = run_start(text, before, 16, |byte| byte.is_ascii_alphabetic());
        let words = [&b"unexpected"[..], b"expected", b"illegal", b"stray"];
        let is_parser = words
            .iter()
            .any(|known| text[word..before].eq_ignore_ascii_case(known));
        is_parser
            && content.len() <= 12
            && content
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || !ByteClass::WORD.has(*byte))
    }
}

/// Returns whether a value is an expression in source code without a literal: `request.token()`,
/// `Dsn::parse(text)`, `|name| …`.
fn is_expression(value: &[u8]) -> bool {
    let (name, marks) = match value.strip_prefix(b"|") {
        Some(parameter) => (parameter, &[&b"|"[..]][..]),
        None => (value, &[&b"."[..], b"::", b"("][..]),
    };
    let rest = &name[ByteClass::WORD.run_end(name, 0)..];
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && marks.iter().any(|mark| rest.starts_with(mark))
        && !value.iter().any(|byte| b"\"'`".contains(byte))
}

/// Returns whether PII after `=` may have several words, like names and streets. After a host
/// address, a message follows instead: `address=db-1 Connection refused`.
fn has_words(key: &str, first: &[u8]) -> bool {
    let key = key.as_bytes();
    let is_number = first.iter().all(u8::is_ascii_digit);
    !first.is_empty()
        && !contains_text(key, b"phone")
        && (!contains_text(key, b"addr") || is_number)
}

/// Returns the text up to the end of the line that contains `at`.
fn line_end(text: &[u8], at: usize) -> &[u8] {
    &text[..find2(text, *b"\r\n", at).unwrap_or(text.len())]
}

/// Returns the text from `start` to the end of the open string, up to the length that is read as a
/// sentence.
fn in_string(text: &[u8], start: usize, open: Option<Quote>) -> &[u8] {
    let near = &text[..text.len().min(start + credential::MAX_LINE_LEN)];
    let end = match open {
        Some((mark, slashes)) => value_end::closing_quote(near, start, mark, slashes),
        None => near.len(),
    };
    &text[start..end]
}

/// Returns whether the value is the `Debug` output of an option or a list. Such a value ends with
/// its bracket, while a header ends with the line.
fn is_debug(value: &[u8]) -> bool {
    let begins = |with: &&str| value.starts_with(with.as_bytes());
    ["Some(", "Ok(", "[\"", "[("].iter().any(begins)
}

/// Returns whether the whole value is already redacted. In the `Debug` output of a struct, the next
/// field may follow.
fn is_hidden(value: &[u8]) -> bool {
    let after = value.strip_prefix(spanwise_core::REDACTED.as_bytes());
    after.is_some_and(|after| {
        matches!(
            after.first(),
            None | Some(b',' | b'\r' | b'\n' | b'"' | b'\'')
        )
    })
}
