//! Escaping and quoting, so that logged text cannot forge other fields or lines.
//!
//! Nor can logged text forge the *context* of a line: the unit of work and its id, such as
//! `| POST /orders r-1`.

/// Appends `text`, and escapes characters that end the line, control the terminal, change the
/// direction of text, or are invisible.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    for (c, is_escaped) in chars_with_escapes(text) {
        if is_escaped {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
}

/// Returns whether a terminal shows `text` unchanged, and no line after the first looks like a line
/// of a log. Lines that are empty or begin with a space do not.
pub(crate) fn is_plain(text: &str) -> bool {
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    !has_escapes(first)
        && lines.all(|line| !has_escapes(line) && (line.is_empty() || line.starts_with(' ')))
}

fn has_escapes(text: &str) -> bool {
    !text.is_ascii() && chars_with_escapes(text).any(|(_, is_escaped)| is_escaped)
        || text.bytes().any(|byte| byte.is_ascii_control())
}

/// Returns the characters of a text, and whether each must be escaped. Invisible characters inside
/// an emoji are not escaped.
fn chars_with_escapes(text: &str) -> impl Iterator<Item = (char, bool)> {
    let mut previous = '\0';
    let mut chars = text.chars().peekable();
    std::iter::from_fn(move || {
        let c = chars.next()?;
        let belongs_to_emoji = match c {
            EMOJI_STYLE => is_emoji(previous),
            JOINER => is_emoji_part(previous) && chars.peek().copied().is_some_and(is_emoji),
            _ => false,
        };
        previous = c;
        Some((c, !belongs_to_emoji && must_be_escaped(c)))
    })
}

/// Selects the emoji form of a symbol that also has a text form: the second character of `⚠️`.
const EMOJI_STYLE: char = '\u{fe0f}';

/// Joins two emoji into one.
const JOINER: char = '\u{200d}';

fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27bf}' | '\u{1f300}'..='\u{1faff}')
}

fn is_emoji_part(c: char) -> bool {
    is_emoji(c) || c == EMOJI_STYLE
}

fn must_be_escaped(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    matches!(c,
        // Controls: C1. The C0 controls and DEL are ASCII characters, which are handled above.
        '\u{80}'..='\u{9f}'
        // The direction of text.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
        // Line breaks.
        | '\u{2028}' | '\u{2029}'
        // Invisible: spaces, joiners and operators without width, byte order marks, annotations.
        | '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}'
        // Variants of the character before, and tags.
        | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}'
        // Letters and patterns that are blank.
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
        // Controls of numbers, of shorthand and of music.
        | '\u{600}'..='\u{605}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
}

/// Appends a message. Quotes it if it begins with a quote, if characters must be escaped, or if a
/// part of it looks like a field or the context.
pub(crate) fn push_message(out: &mut String, text: &str) {
    let is_ambiguous = text.starts_with('"')
        || has_escapes(text)
        || has_gap(text)
        || text.split_whitespace().any(looks_like_field);
    if is_ambiguous {
        push_quoted(out, text);
    } else {
        push_escaped(out, text);
    }
}

/// Returns whether a text has two blanks of any kind side by side. Such a gap precedes the context.
fn has_gap(text: &str) -> bool {
    let mut after_blank = false;
    text.chars().any(|c| {
        let is_blank = c.is_whitespace();
        std::mem::replace(&mut after_blank, is_blank) && is_blank
    })
}

/// Returns whether a word looks like a field (`order_id=42`), like the beginning of the context or
/// of a span, or like a shortened id.
fn looks_like_field(word: &str) -> bool {
    let is_shortened = word.len() > '…'.len_utf8() && word.starts_with('…');
    matches!(word, "|" | "▸") || is_shortened || word.find('=').is_some_and(|at| at > 0)
}

/// Appends the name of a target, a field, a span or a file, or a word of the context, in quotes if
/// its end would be unclear.
pub(crate) fn push_name(out: &mut String, name: &str) {
    if name.is_empty() || name.contains(is_separator) {
        push_quoted(out, name);
    } else {
        push_escaped(out, name);
    }
}

/// Returns whether a name or a value with this character needs quotes. Characters that must be
/// escaped need quotes, too: outside of quotes, a backslash does not mark an escape.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || must_be_escaped(c) || matches!(c, '=' | '"' | '|' | '▸')
}

/// Appends a value on one line. Quotes it if its end would be unclear, so that it cannot forge
/// another field. The `Debug` text of a string, a list or a struct ends at its own quote or
/// bracket, so it needs no more quotes.
pub(crate) fn push_value(out: &mut String, text: &str) {
    let is_open_ended = text.is_empty() || text.starts_with('\'') || text.contains(is_separator);
    let needs_no_escapes = || !has_escapes(text);
    if !is_open_ended || needs_no_escapes() && is_enclosed(without_type_name(text)) {
        push_escaped(out, text);
    } else {
        push_quoted(out, text);
    }
}

/// Appends a text on one line, in the quotes that need fewer escapes.
pub(crate) fn push_quoted(out: &mut String, text: &str) {
    let quote = match text.contains('"') && !text.contains('\'') {
        true => '\'',
        false => '"',
    };
    out.push(quote);
    for (c, is_escaped) in chars_with_escapes(text) {
        match c {
            '\\' => out.push_str("\\\\"),
            _ if c == quote => out.extend(['\\', c]),
            _ if is_escaped => out.extend(c.escape_default()),
            _ => out.push(c),
        }
    }
    out.push(quote);
}

/// Returns the part of the `Debug` text of a struct that follows the name: `{ id: 42 }` for
/// `Order { id: 42 }`. A text without such a name is returned as it is.
fn without_type_name(text: &str) -> &str {
    let is_in_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    let after_name = text.trim_start_matches(is_in_path);
    let after_name = after_name.strip_prefix(' ').unwrap_or(after_name);
    match after_name.starts_with(['{', '(']) {
        true => after_name,
        false => text,
    }
}

/// Returns whether the opening quote or bracket of `text` closes at its end, as in the `Debug` text
/// of a string or a list.
fn is_enclosed(text: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' | '{' | '(' if !quoted => depth += 1,
            ']' | '}' | ')' if !quoted => match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return false,
            },
            _ => {}
        }
        if depth == 0 && !quoted {
            return index + c.len_utf8() == text.len() && index > 0;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let mut out = String::new();
        push_value(&mut out, text);
        out
    }

    #[test]
    fn debug_texts_are_not_quoted_again() {
        for text in [
            "42",
            "acme",
            "/orders/{id}",
            r#"Some("two words")"#,
            r#"Order { id: 42, note: "a \"b\"" }"#,
            r#"shop::Order { id: 42 }"#,
            r#"["a", "b"]"#,
            r#""a text with \"quotes\"""#,
            r#"{"sku":"book"}"#,
        ] {
            assert_eq!(value(text), text);
        }
    }

    #[test]
    fn open_ended_values_are_quoted() {
        for (text, shown) in [
            ("", r#""""#),
            ("two words", r#""two words""#),
            ("a=b", r#""a=b""#),
            (r#"say "hi""#, r#"'say "hi"'"#),
            (r#"it's "so""#, r#""it's \"so\"""#),
            ("'x", r#""'x""#),
            ("a\nb", r#""a\nb""#),
            ("Order {} forged=1", r#""Order {} forged=1""#),
            ("two words {}", r#""two words {}""#),
            ("(a) x=(b)", r#""(a) x=(b)""#),
        ] {
            assert_eq!(value(text), shown);
        }
    }
}
