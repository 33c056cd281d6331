//! Finds the value of a key in a text, and decides whether the value is a secret.
//!
//! [`pair_lexer`](crate::pair_lexer) finds the keys and documents the grammar. [`value_end`] finds
//! where a value ends. Positions and lengths are in bytes.

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
    value_end::{self, Notation, Quote, ValueSpan},
};

/// Properties of a hidden key and of the rule that hides it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleTraits {
    /// Whether the key names an HTTP header. The value then extends to the end of the line.
    pub(crate) is_header: bool,
    /// Whether the rule is built in. A built-in rule shows values that are not credentials. A user
    /// rule shows only absent values, such as `null`.
    pub(crate) is_built_in: bool,
}

impl Pair<'_> {
    /// Returns the maximum end of the value in a JSON document. If a string contains the pair, this
    /// is the end of the string. If not, the pair is a member of an object, and this is the end of
    /// the member's JSON value.
    ///
    /// For a member, also sets [`key_quote`](Self::key_quote), so that the replacement of an
    /// unquoted value gets quotes.
    pub(crate) fn max_end_in_json(&mut self, text: &str, document: &JsonStrings) -> usize {
        match document.string_at(self.separator_end - 1) {
            Some((_, end)) => end,
            None => {
                self.key_quote = Some((b'"', 0));
                document.end_of_value(text, self.separator_end)
            }
        }
    }

    /// Returns the notation around the value, and moves `context` to the key.
    fn notation(&self, text: &[u8], context: &mut ContextTracker) -> Notation {
        // Stops before the opening quote of the key. Otherwise the key itself would be the
        // innermost open string, not the string that contains the pair.
        let quote_len = self.key_quote.map_or(0, |(_, slashes)| slashes + 1);
        context.move_to(text, self.name_start.saturating_sub(quote_len));
        if !self.may_be_parameter {
            let gap_start = run_start(text, self.name_start, 2, |byte| byte == b' ');
            let is_member = !self.is_colon && gap_start > 0 && text[gap_start - 1] == b';';
            return if is_member {
                Notation::ConnectionString
            } else {
                Notation::Plain
            };
        }
        let is_member = text[self.name_start - 1] == b';';
        if let Some(query) = context.query() {
            query
        } else if is_member {
            Notation::ConnectionString
        } else {
            Notation::Form
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
        // Bold text in Markdown: `**password:** …`
        if text[start..].starts_with(b"** ") {
            start += 3;
        }
        start = color_codes::after(text, start);
        let notation = self.notation(text, context);
        while let Some(tab_end) = value_end::after_escaped_tab(text, start, context.open_string()) {
            start = tab_end;
        }
        let slashes = run_end(text, start, |byte| byte == b'\\') - start;
        let word_end = run_end(text, start, |byte| byte.is_ascii_lowercase());
        let begins_with_word = word_end > start && text.get(word_end) == Some(&b' ');
        // A sentence may follow `: `. Built-in rules do not hide sentences.
        let may_be_prose = self.is_colon
            && text[self.separator_end - 1] == b':'
            && (self.key_quote.is_none() || begins_with_word)
            && start > self.separator_end
            && traits.is_built_in;
        let notation = match notation {
            // URLs contain no spaces, so a value after a space is not part of the URL.
            Notation::Query { .. } if start > self.separator_end => Notation::Plain,
            notation => notation,
        };
        let first_byte = *text.get(start + slashes)?;
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
                || value_end::is_escaped_break_or_tab(text, start, context.open_string()))
        {
            return None;
        }
        // In `"password:", …` the quote closes the string that contains the key.
        let after_quote = text.get(start + slashes + 1);
        let closes_string =
            self.key_quote.is_none() && context.open_string() == Some((first_byte, slashes));
        if closes_string && matches!(after_quote, None | Some(b',' | b')' | b']' | b'}')) {
            return None;
        }
        let (value, is_quoted) = match &first_byte {
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
        notation: Notation,
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
        if let Some((from, to)) = value_end::yaml_block(text, start).filter(|_| self.is_colon) {
            return Some(span(from, to));
        }
        if let Some((from, to)) = self.yaml_list(text, start, subject) {
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
            // If the key or the value is colored, a color code may also end the value.
            let may_follow_code = |at: usize| matches!(text[at - 1], b'm' | b'K');
            if may_follow_code(self.separator_at) || may_follow_code(start) {
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
            // `Debug` output in brackets may extend beyond that end, because it contains quotes,
            // and with `{:#?}` also line breaks.
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
            && notation != Notation::Form
            && !matches!(notation, Notation::Query { .. })
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

    /// Returns the range of the credential that is alone on the line after the key, if that line is
    /// indented more than the key.
    fn value_on_next_line(
        &self,
        text: &[u8],
        start: usize,
        open_string: Option<Quote>,
    ) -> Option<(usize, usize)> {
        const MAX_INDENT: usize = 64;
        // A longer value is ignored, so that the search for its end reads few bytes.
        const MAX_LEN: usize = 512;
        if !self.is_colon || self.key_quote.is_some() {
            return None;
        }
        let line_start = match text.get(start)? {
            b'\r' | b'\n' => start + 1 + usize::from(text[start..].starts_with(b"\r\n")),
            b'\\' if value_end::is_escaped_break_or_tab(text, start, open_string) => {
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
            _ => value_end::end_of_unquoted(near, value_start, Notation::Plain, open_string),
        };
        if end == near.len() && near.len() < text.len() {
            return None;
        }
        let ends_line = || {
            let after_spaces = run_end(text, end, |byte| byte == b' ');
            text.get(after_spaces)
                .is_none_or(|byte| b"\r\n\\\"'`#(,)]}".contains(byte))
        };
        (credential::is_credential_alone(&text[value_start..end]) && ends_line())
            .then_some((value_start, end))
    }

    /// Returns the range of the YAML list after the key, unless all items of the list are prose.
    fn yaml_list(&self, text: &[u8], start: usize, subject: KeySubject) -> Option<(usize, usize)> {
        const MAX_INDENT: usize = 64;
        if !self.is_colon || !matches!(text.get(start), Some(b'\r' | b'\n')) {
            return None;
        }
        let line_start = run_start(text, self.name_start, MAX_INDENT, |byte| {
            b" -".contains(&byte)
        });
        let (from, to) = value_end::yaml_list(text, start, self.name_start - line_start)?;
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
    fn is_sentence_subject(&self, text: &[u8], value: &[u8], value_end: usize) -> bool {
        if KeySubject::for_key(self.key) == KeySubject::Password {
            return false;
        }
        let rest_start = run_end(text, value_end, |byte| b"\\\"'`".contains(&byte));
        credential::is_sentence_subject(value, &text[rest_start..])
    }

    /// Returns whether the value is a token that a parser did not expect, as in
    /// `` unexpected token: `}` ``.
    fn is_parser_token(&self, text: &[u8], content: &[u8]) -> bool {
        // A parser reports only tokens: `unknown password: "tulip"` is not about a parser.
        let key = self.key.as_bytes();
        if !ends_with_word(key, b"token") && !ends_with_word(key, b"tokens") {
            return false;
        }
        // Marks, such as `}` or `=>`.
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
        let follows_word = words
            .iter()
            .any(|known| text[word_start..word_end].eq_ignore_ascii_case(known));
        // Marks, or a keyword such as `struct`.
        follows_word
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

/// Returns whether PII after `=` may have several words, as names and streets do. The address of a
/// host is a single word, which a message may follow: `address=db-1 Connection refused`.
fn may_have_words(key: &str, first_word: &[u8]) -> bool {
    let key = key.as_bytes();
    let is_number = first_word.iter().all(u8::is_ascii_digit);
    !first_word.is_empty()
        && !contains_text(key, b"phone")
        && (!contains_text(key, b"addr") || is_number)
}

/// Returns `text` up to the end of the line that contains `at`.
fn until_line_end(text: &[u8], at: usize) -> &[u8] {
    &text[..find2(text, *b"\r\n", at).unwrap_or(text.len())]
}

/// Returns the text from `start` to the end of the open string, or of the whole text. Returns at
/// most [`credential::MAX_LINE_LEN`] bytes, because no more are read as a sentence.
fn until_string_end(text: &[u8], start: usize, open_string: Option<Quote>) -> &[u8] {
    let near = &text[..text.len().min(start + credential::MAX_LINE_LEN)];
    let end = match open_string {
        Some((mark, slashes)) => value_end::closing_quote(near, start, mark, slashes),
        None => near.len(),
    };
    &text[start..end]
}

/// Returns whether the value begins like the `Debug` output of an option, a result or a list.
/// `Debug` output ends with its bracket, while a header ends with the line.
fn is_debug(value: &[u8]) -> bool {
    let begins = |with: &&str| value.starts_with(with.as_bytes());
    ["Some(", "Ok(", "[\"", "[("].iter().any(begins)
}

/// Returns whether the whole value at the start of `text` is already redacted. In the `Debug`
/// output of a struct, a `,` and the next field may follow the value.
fn is_already_redacted(text: &[u8]) -> bool {
    let after = text.strip_prefix(spanwise_core::REDACTED.as_bytes());
    after.is_some_and(|after| {
        matches!(
            after.first(),
            None | Some(b',' | b'\r' | b'\n' | b'"' | b'\'')
        )
    })
}
