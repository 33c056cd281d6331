//! Values in SQL statements: `INSERT INTO users (name, password) VALUES ('ada', '…')`.

use crate::{
    byte_class::ByteClass,
    byte_search::{
        ends_with_word, find, find2, is_space, matches_at, quote_at, run_end, run_start, skip_space,
    },
    normalized_key::MAX_KEY_LEN,
    scan_cost, value_end,
};

/// Statements with more columns are skipped.
const MAX_COLUMNS: usize = 64;

/// Calls `found` with the rule, the start and the end of each literal in a column that a rule
/// hides.
pub(crate) fn literals<'t, R>(
    text: &'t str,
    rule: impl Fn(&'t str) -> Option<R>,
    mut found: impl FnMut(&R, usize, usize),
) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(open_at) = find(bytes, b'(', at) {
        at = open_at + 1;
        if !follows_into(bytes, open_at) {
            continue;
        }
        let mut rules = Vec::new();
        let Some(list_end) = columns(text, at, |name| rules.push(rule(name))) else {
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
        while let Some(row) = row_at(bytes, at) {
            let (literals, end) = values_of(bytes, row);
            at = end + usize::from(bytes.get(end) == Some(&b')'));
            if literals.len() == rules.len() {
                for (rule, (start, end)) in rules.iter().zip(literals) {
                    if let Some(rule) = rule.as_ref().filter(|_| start < end) {
                        found(rule, start, end);
                    }
                }
            } else if let Some(rule) = rules.iter().flatten().next()
                && find2(&bytes[..end], *b"\"'", row).is_some()
            {
                // The number of values differs from the number of columns, because SQL dialects
                // interpret a backslash before a quote differently. So the whole row is hidden.
                found(rule, row, end);
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
        let (start, end, after) = value(text, at);
        values.push((start, end));
        if text.get(after) != Some(&b',') {
            return (values, after);
        }
        at = after + 1;
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

/// Calls `name` with each column of the list at `start`. Returns the end of the list.
fn columns<'t>(text: &'t str, start: usize, mut name: impl FnMut(&'t str)) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = start;
    let is_mark = |byte: u8| is_space(byte) || b"\"'`[]\\".contains(&byte);
    for _ in 0..MAX_COLUMNS {
        let begin = run_end(bytes, at, is_mark);
        let end = ByteClass::KEY.run_end(&bytes[..bytes.len().min(begin + MAX_KEY_LEN)], begin);
        name(text.get(begin..end)?);
        at = run_end(bytes, end, is_mark) + 1;
        match bytes.get(at - 1)? {
            b',' => {}
            b')' => return Some(at),
            _ => return None,
        }
    }
    None
}

/// Returns the start of the next row's first value.
fn row_at(text: &[u8], at: usize) -> Option<usize> {
    let open_at = run_end(text, at, |byte| is_space(byte) || byte == b',');
    (text.get(open_at) == Some(&b'(')).then_some(open_at + 1)
}

/// Returns the start and the end of a value, and the position of the `,` or `)` after it. The start
/// and the end are equal for a value that is neither a literal nor a number.
fn value(text: &[u8], at: usize) -> (usize, usize, usize) {
    let start = skip_space(text, at);
    // `N'…'`, `E'…'`
    let prefix = start + usize::from(matches!(text.get(start), Some(b'N' | b'n' | b'E' | b'e')));
    let quoted = [start, prefix].into_iter();
    if let Some(((mark, slashes), from)) = quoted.filter_map(|at| quote_at(text, at)).next() {
        let end = end_of_literal(text, from, mark, slashes);
        let after = (end + slashes + 1).min(text.len());
        return (from, end, end_of_value(text, after));
    }
    let after = end_of_value(text, start);
    let is_number = start < after && text[start..after].iter().all(u8::is_ascii_digit);
    (start, if is_number { after } else { start }, after)
}

/// Returns the end of a literal. A doubled quote is part of it.
fn end_of_literal(text: &[u8], start: usize, mark: u8, slashes: usize) -> usize {
    let mut from = start;
    loop {
        let end = value_end::closing_quote(text, from, mark, slashes);
        if slashes > 0 || text.get(end + 1) != Some(&mark) {
            return end;
        }
        from = end + 2;
    }
}

/// Returns the next `,` or `)` outside of brackets and quotes, or the end.
fn end_of_value(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b',' | b')' if depth == 0 => return at,
            b'"' | b'\'' => at = value_end::closing_quote(text, at + 1, *byte, 0),
            _ => {}
        }
        scan_cost::add(1);
        at += 1;
    }
    text.len()
}
