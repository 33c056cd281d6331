//! Finds the value of a key in a text.
//!
//! [`pair_lexer`](crate::pair_lexer) has the grammar, and [`value_end`] finds where a value ends.

use crate::{
    byte_class::ByteClass,
    byte_search::{
        contains_text, ends_with_word, find2, is_boundary, is_space, run_end, run_start,
    },
    color_codes,
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
    /// Whether the key names a header. The value then extends to the end of the line.
    pub(crate) is_header: bool,
    /// Whether the rule is built in. A built-in rule shows values that are not credentials. A user
    /// rule shows only absent values.
    pub(crate) is_built_in: bool,
}

impl Pair<'_> {
    /// Returns the latest end of the value in a JSON document: the end of the string that contains
    /// the pair. If no string contains the pair, the pair is a member of the document. In that
    /// case, returns the end of the member's JSON value, and notes that the replacement needs
    /// quotes.
    pub(crate) fn limit_in_json(&mut self, text: &str, document: &JsonStrings) -> usize {
        match document.string_at(self.separator_end - 1) {
            Some((_, end)) => end,
            None => {
                // With a quoted key, the replacement of an unquoted value gets quotes.
                self.key_quote = Some((b'"', 0));
                document.end_of_value(text, self.separator_end)
            }
        }
    }

    /// Returns the notation around the pair, and moves `context` to the key.
    fn value_context(&self, text: &[u8], context: &mut ContextTracker) -> ValueContext {
        // Tracks the text before the quotes of the key, so that only the enclosing strings are
        // open.
        let quote_len = self.key_quote.map_or(0, |(_, slashes)| slashes + 1);
        context.move_to(text, self.name_start.saturating_sub(quote_len));
        if !self.may_be_parameter {
            let gap_start = run_start(text, self.name_start, 2, |byte| byte == b' ');
            let is_member = !self.is_colon && gap_start > 0 && text[gap_start - 1] == b';';
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
        start = match self.key_quote {
            Some(_) => run_end(text, start, is_space),
            None => run_end(text, start, |byte| matches!(byte, b' ' | b'\t')),
        };
        if text[start..].starts_with(b"** ") {
            start += 3;
        }
        start = color_codes::after(text, start);
        let notation = self.value_context(text, context);
        while let Some(tab_end) = value_end::after_tab(text, start, context.open_string()) {
            start = tab_end;
        }
        let slashes = run_end(text, start, |byte| byte == b'\\') - start;
        let word_end = run_end(text, start, |byte| byte.is_ascii_lowercase());
        let is_word = word_end > start && text.get(word_end) == Some(&b' ');
        // After `: ` there may be a sentence, which built-in rules do not hide.
        let may_be_prose = self.is_colon
            && text[self.separator_end - 1] == b':'
            && (self.key_quote.is_none() || is_word)
            && start > self.separator_end
            && traits.is_built_in;
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
        if let Some((start, end)) = self.value_on_next_line(text, start, context.open_string()) {
            return Some(span(start, end));
        }
        if traits.is_built_in
            && (self.is_in_arn(text)
                || value_end::is_break_or_tab(text, start, context.open_string()))
        {
            return None;
        }
        // In `"password:", …` the quote closes the string that contains the key.
        let next = text.get(start + slashes + 1);
        let closes_string =
            self.key_quote.is_none() && context.open_string() == Some((mark, slashes));
        if closes_string && matches!(next, None | Some(b',' | b')' | b']' | b'}')) {
            return None;
        }
        let (value, is_quoted) = match &mark {
            mark @ (b'"' | b'\'' | b'`')
                if !value_end::is_backtick_in_member(text, start, notation) =>
            {
                let start = start + slashes + 1;
                let (start, end) =
                    value_end::quoted(text, start, *mark, slashes, context.open_string());
                (span(start, end), true)
            }
            _ => (
                self.unquoted_value(text, start, notation, context, traits, may_be_prose)?,
                false,
            ),
        };
        let content = &text[value.start..value.end];
        let is_shown = if !traits.is_built_in {
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
        (!is_shown).then_some(value)
    }

    /// Returns the unquoted value at `start`, or `None` if the text is prose or already redacted.
    fn unquoted_value(
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
            .key_quote
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
        let open_string = context.open_string();
        if may_be_prose && !is_debug {
            let word = &text[start..run_end(text, start, |byte| byte.is_ascii_graphic())];
            if self.is_parser_token(text, word) {
                return None;
            }
            let mut line = until_string_end(text, start, open_string);
            // The text after a colored key, or after a code before the value, may have more codes.
            let may_end_code = |at: usize| matches!(text[at - 1], b'm' | b'K');
            if may_end_code(self.separator_at) || may_end_code(start) {
                line = color_codes::until(line);
            }
            match credential::read_after_colon(line, subject) {
                ValueReading::Prose => return None,
                ValueReading::Through(length) => return Some(span(start, start + length)),
                ValueReading::Value => {}
            }
        }
        let mut end = if traits.is_header && self.is_colon && self.key_quote.is_none() && !is_debug
        {
            if is_already_redacted(&text[start..]) {
                return None;
            }
            let end = value_end::end_of_header(text, start, open_string);
            // `Debug` output in brackets contains quotes, and with `{:#?}` also line breaks.
            let word_end = ByteClass::WORD.run_end(text, start);
            match text.get(word_end) {
                Some(b'(' | b'[' | b'{' | b' ') => end.max(value_end::end_of_unquoted(
                    text,
                    start,
                    notation,
                    open_string,
                )),
                _ => end,
            }
        } else {
            value_end::end_of_unquoted(text, start, notation, open_string)
        };
        let may_have_spaces = self.key_quote.is_none()
            && notation != ValueContext::Form
            && !matches!(notation, ValueContext::Query { .. })
            && traits.is_built_in;
        if may_have_spaces && subject == KeySubject::Password {
            end = end.max(start + credential::end_of_app_password(&text[start..]));
        } else if may_have_spaces && subject == KeySubject::Phrase && !is_debug {
            end = end.max(start + credential::end_of_phrase(&text[start..]));
        } else if may_be_prose && subject == KeySubject::Code {
            end = start + credential::end_of_code(&text[start..], end - start);
        } else if subject == KeySubject::Person
            && (may_be_prose || may_have_spaces && may_have_words(self.key, &text[start..end]))
        {
            end = start + credential::end_of_person(&text[start..], end - start);
        }
        Some(span(start, end))
    }

    /// Returns the range of a credential that is alone on the next line, if that line is indented
    /// more than the key.
    fn value_on_next_line(
        &self,
        text: &[u8],
        start: usize,
        open_string: Option<Quote>,
    ) -> Option<(usize, usize)> {
        const MAX_INDENT: usize = 64;
        // Longer values are ignored, so that the search for the end stays short.
        const MAX_LEN: usize = 512;
        if !self.is_colon || self.key_quote.is_some() {
            return None;
        }
        let line_start = match text.get(start)? {
            b'\r' | b'\n' => start + 1 + usize::from(text[start..].starts_with(b"\r\n")),
            b'\\' if value_end::is_break_or_tab(text, start, open_string) => {
                run_end(text, start, |byte| byte == b'\\') + 1
            }
            _ => return None,
        };
        let near = &text[..text.len().min(line_start + MAX_INDENT)];
        let mut value_start = run_end(near, line_start, |byte| byte == b' ');
        let indent_start = run_start(text, self.name_start, MAX_INDENT, |byte| {
            b" -".contains(&byte)
        });
        if value_start - line_start <= self.name_start - indent_start {
            return None;
        }
        let near = &text[..text.len().min(value_start + MAX_LEN)];
        let slashes = run_end(near, value_start, |byte| byte == b'\\') - value_start;
        let end = match near.get(value_start + slashes)? {
            mark @ (b'"' | b'\'') => {
                value_start += slashes + 1;
                value_end::closing_quote(
                    until_line_end(near, value_start),
                    value_start,
                    *mark,
                    slashes,
                )
            }
            _ => value_end::end_of_unquoted(near, value_start, ValueContext::Plain, open_string),
        };
        if end == near.len() && near.len() < text.len() {
            return None;
        }
        let is_last = || {
            let after_spaces = run_end(text, end, |byte| byte == b' ');
            text.get(after_spaces)
                .is_none_or(|byte| b"\r\n\\\"'`#(,)]}".contains(byte))
        };
        (credential::is_credential_alone(&text[value_start..end]) && is_last())
            .then_some((value_start, end))
    }

    /// Returns the range of the YAML list after the key, unless all items of the list are prose.
    fn list(&self, text: &[u8], start: usize, subject: KeySubject) -> Option<(usize, usize)> {
        const MAX_INDENT: usize = 64;
        if !self.is_colon || !matches!(text.get(start), Some(b'\r' | b'\n')) {
            return None;
        }
        let line_start = run_start(text, self.name_start, MAX_INDENT, |byte| {
            b" -".contains(&byte)
        });
        let (from, to) = value_end::list(text, start, self.name_start - line_start)?;
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
        let let_at = before.strip_suffix(b"let ").map(<[u8]>::len);
        !self.is_colon && let_at.is_some_and(|let_at| is_boundary(text, let_at))
    }

    /// Returns whether a quoted value is the subject of a sentence that continues after the quote.
    fn is_sentence_subject(&self, text: &[u8], name: &[u8], end: usize) -> bool {
        if KeySubject::for_key(self.key) == KeySubject::Password {
            return false;
        }
        let rest_start = run_end(text, end, |byte| b"\\\"'`".contains(&byte));
        credential::is_sentence_subject(name, &text[rest_start..])
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
        let word_end = run_start(text, self.name_start, 1, is_space);
        let word_start = run_start(text, word_end, 16, |byte| byte.is_ascii_alphabetic());
        let words = [&b"unexpected"[..], b"expected", b"illegal", b"stray"];
        let is_parser = words
            .iter()
            .any(|known| text[word_start..word_end].eq_ignore_ascii_case(known));
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
    let after_name = &name[ByteClass::WORD.run_end(name, 0)..];
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && marks.iter().any(|mark| after_name.starts_with(mark))
        && !value.iter().any(|byte| b"\"'`".contains(byte))
}

/// Returns whether PII after `=` may have several words, like names and streets. `first` is the
/// first word. After a host address, a message follows instead: `address=db-1 Connection refused`.
fn may_have_words(key: &str, first: &[u8]) -> bool {
    let key = key.as_bytes();
    let is_number = first.iter().all(u8::is_ascii_digit);
    !first.is_empty()
        && !contains_text(key, b"phone")
        && (!contains_text(key, b"addr") || is_number)
}

/// Returns the text up to the end of the line that contains `at`.
fn until_line_end(text: &[u8], at: usize) -> &[u8] {
    &text[..find2(text, *b"\r\n", at).unwrap_or(text.len())]
}

/// Returns the text from `start` to the end of the open string, but at most the length that is read
/// as a sentence.
fn until_string_end(text: &[u8], start: usize, open_string: Option<Quote>) -> &[u8] {
    let near = &text[..text.len().min(start + credential::MAX_LINE_LEN)];
    let end = match open_string {
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

/// Returns whether the whole value at the start of the text is already redacted. In the `Debug`
/// output of a struct, the next field may follow the value.
fn is_already_redacted(value: &[u8]) -> bool {
    let after = value.strip_prefix(spanwise_core::REDACTED.as_bytes());
    after.is_some_and(|after| {
        matches!(
            after.first(),
            None | Some(b',' | b'\r' | b'\n' | b'"' | b'\'')
        )
    })
}
