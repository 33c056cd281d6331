//! Values in SQL `INSERT` statements: `INSERT INTO users (name, password) VALUES ('ada', '…')`.
//!
//! The names of the columns are the keys. A value belongs to the column with the same index.

use crate::{
    byte_class::ByteClass,
    byte_search::{
        backslashes_before, ends_with_word, find, find2, is_space, matches_at, run_end, run_start,
        skip_space,
    },
    normalized_key::MAX_KEY_LEN,
    scan_cost, value_end,
    word_lists::contains_word,
};

/// The maximum number of columns. Statements with more columns are skipped.
const MAX_COLUMNS: usize = 64;

/// Algorithms and encodings, which may be arguments of a function: `digest('…', 'sha256')`.
#[rustfmt::skip]
const ALGORITHMS: &[&str] = &[
    "bf", "xdes", "des", "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha2_256",
    "sha2_512", "hex", "base64", "escape", "utf8", "utf-8", "utf8mb4",
];

/// Calls `on_literal` with the rule, the start and the end of each literal in a column that a rule
/// hides. `rule_of_column` returns the rule that hides the column with a name.
pub(crate) fn each_literal<'t, R>(
    text: &'t str,
    rule_of_column: impl Fn(&'t str) -> Option<R>,
    mut on_literal: impl FnMut(&R, usize, usize),
) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(open_at) = find(bytes, b'(', at) {
        at = open_at + 1;
        if !follows_into(bytes, open_at) {
            continue;
        }
        let mut rules = Vec::new();
        let Some(list_end) = columns(text, at, |name| rules.push(rule_of_column(name))) else {
            continue;
        };
        at = list_end;
        let word_start = skip_space(bytes, list_end);
        let word_end = word_start + "values".len();
        if !matches_at(bytes, word_start, b"values") {
            continue;
        }
        at = word_end;
        if rules.iter().all(Option::is_none) {
            continue;
        }
        while let Some(row_start) = next_row(bytes, at) {
            let (values, end) = values_of(bytes, row_start);
            at = end + usize::from(bytes.get(end) == Some(&b')'));
            if values.len() == rules.len() {
                for (rule, value) in rules.iter().zip(values) {
                    if let Some(rule) = rule {
                        literals_of(bytes, value, |start, end| on_literal(rule, start, end));
                    }
                }
            } else if let Some(rule) = rules.iter().flatten().next()
                && find2(&bytes[..end], *b"\"'", row_start).is_some()
            {
                // If the numbers of values and columns differ, the values were probably split at
                // the wrong quotes: SQL dialects interpret a backslash before a quote differently.
                // So the whole row is hidden.
                on_literal(rule, row_start, end);
            }
        }
    }
}

/// Returns the start and the end of each value of a row that begins at `start`, and the end of the
/// row.
fn values_of(text: &[u8], start: usize) -> (Vec<(usize, usize)>, usize) {
    let mut values = Vec::new();
    let mut at = start;
    loop {
        let end = end_of_value(text, at);
        values.push((at, end));
        if text.get(end) != Some(&b',') {
            return (values, end);
        }
        at = end + 1;
    }
}

/// Returns whether `INTO table` precedes the bracket at `open_at`.
fn follows_into(text: &[u8], open_at: usize) -> bool {
    let name_end = run_start(text, open_at, MAX_KEY_LEN, is_space);
    let name_start = run_start(text, name_end, MAX_KEY_LEN, |byte| {
        ByteClass::KEY.has(byte) || b"\"'`[]\\".contains(&byte)
    });
    let word_end = run_start(text, name_start, MAX_KEY_LEN, is_space);
    name_start < name_end && word_end < name_start && ends_with_word(&text[..word_end], b"into")
}

/// Calls `on_column` with the name of each column in the list that begins at `start`. Returns the
/// end of the list.
fn columns<'t>(text: &'t str, start: usize, mut on_column: impl FnMut(&'t str)) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = start;
    let is_mark = |byte: u8| is_space(byte) || b"\"'`[]\\".contains(&byte);
    for _ in 0..MAX_COLUMNS {
        let begin = run_end(bytes, at, is_mark);
        let end = ByteClass::KEY.run_end(&bytes[..bytes.len().min(begin + MAX_KEY_LEN)], begin);
        on_column(text.get(begin..end)?);
        at = run_end(bytes, end, is_mark) + 1;
        match bytes.get(at - 1)? {
            b',' => {}
            b')' => return Some(at),
            _ => return None,
        }
    }
    None
}

/// Returns the start of the first value of the next row.
fn next_row(text: &[u8], at: usize) -> Option<usize> {
    let open_at = run_end(text, at, |byte| is_space(byte) || byte == b',');
    (text.get(open_at) == Some(&b'(')).then_some(open_at + 1)
}

/// The minimum number of digits of a literal number in an expression. A number with fewer digits
/// may be the length of a hash: `sha2(?, 256)`.
const MIN_NUMBER_LEN: usize = 4;

/// Calls `on_literal` with the start and the end of each literal in `text[start..end]`. This is the
/// expression of a value: `crypt('…', gen_salt('bf'))`, `X'…'`. Numbers are literals only in an
/// expression without quotes.
fn literals_of(
    text: &[u8],
    (start, end): (usize, usize),
    mut on_literal: impl FnMut(usize, usize),
) {
    let mut at = start;
    let mut is_argument = false;
    while let Some(quote_at) = find2(&text[..end], *b"\"'", at) {
        is_argument |= text[at..quote_at].contains(&b'(');
        let (literal_end, after) = end_of_literal(text, start, quote_at);
        let literal = (quote_at + 1, literal_end.min(end));
        if !is_argument || !contains_word(ALGORITHMS, &text[literal.0..literal.1]) {
            on_literal(literal.0, literal.1);
        }
        at = after;
    }
    if at > start {
        return;
    }
    let number_start = skip_space(text, start).min(end);
    let number = text[number_start..end].trim_ascii_end();
    if number.first().is_some_and(u8::is_ascii_digit) && ByteClass::ALNUM.has_all(number) {
        return on_literal(number_start, number_start + number.len());
    }
    // `md5(4821)`
    while at < end {
        let word_end = ByteClass::WORD.run_end(&text[..end], at);
        let word = &text[at..word_end];
        if word.len() >= MIN_NUMBER_LEN && ByteClass::DIGIT.has_all(word) {
            on_literal(at, word_end);
        }
        at = word_end + 1;
    }
}

/// Returns the end of the literal whose opening quote is at `quote_at`, and the end of its closing
/// quote. A doubled quote is part of the literal. Backslashes before the quotes mean that the
/// statement is in a string. They do not begin before `start`.
fn end_of_literal(text: &[u8], start: usize, quote_at: usize) -> (usize, usize) {
    let mark = text[quote_at];
    let slashes = backslashes_before(&text[start..], quote_at - start);
    let mut from = quote_at + 1;
    loop {
        let end = value_end::closing_quote(text, from, mark, slashes);
        if slashes > 0 || text.get(end + 1) != Some(&mark) {
            return (end, (end + slashes + 1).min(text.len()));
        }
        from = end + 2;
    }
}

/// Returns the position of the next `,` or `)` outside of brackets and quotes, or the end of the
/// text.
fn end_of_value(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        at = match byte {
            b',' | b')' if depth == 0 => return at,
            b'"' | b'\'' => end_of_literal(text, start, at).1,
            _ => at + 1,
        };
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        scan_cost::add(1);
    }
    text.len()
}
