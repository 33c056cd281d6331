//! Parts of a form in `multipart/form-data`.
//!
//! ```text
//! part = 'form-data; name="' name '"' … line-break line-break value line-break "--"
//! ```
//!
//! The line breaks and quotes may be escaped, as in JSON. A name may have brackets, as in
//! `user[password]`.

use crate::{
    byte_class::ByteClass,
    byte_search::{ends_with_word, find_text, matches_at, run_end},
};

/// The maximum length of the headers of a part after its name, in bytes.
const MAX_HEADERS_LEN: usize = 256;

/// Line breaks, plain and escaped.
const LINE_BREAKS: [&[u8]; 4] = [b"\r\n", b"\n", b"\\r\\n", b"\\n"];

/// Returns whether the first attribute of a part begins at `at`.
pub(crate) fn has_attribute_at(text: &[u8], at: usize) -> bool {
    ends_with_word(&text[..at], b"form-data; ")
}

/// Returns the name in the last brackets of a name such as `user[password]`, and the end of the
/// brackets. `name` is the part before the brackets, with its end. An index, as in `pin[0]`, is not
/// a name.
pub(crate) fn innermost_name<'t>(text: &'t str, name: (&'t str, usize)) -> (&'t str, usize) {
    let bytes = text.as_bytes();
    let (mut name, mut end) = name;
    while bytes.get(end) == Some(&b'[') {
        let inner_end = ByteClass::KEY.run_end(bytes, end + 1);
        if bytes.get(inner_end) != Some(&b']') {
            break;
        }
        if bytes[end + 1].is_ascii_alphabetic() {
            name = &text[end + 1..inner_end];
        }
        end = inner_end + 1;
    }
    (name, end)
}

/// Returns the range of the value of the part whose name ends at `name_end`.
pub(crate) fn value(text: &[u8], name_end: usize) -> Option<(usize, usize)> {
    let near = &text[..text.len().min(name_end + MAX_HEADERS_LEN)];
    // A header continues with the name of a file or a line break, unlike a sentence such as
    // `name="password" is required`.
    let after_name = run_end(near, name_end, |byte| matches!(byte, b'"' | b'\\'));
    let line_break_at = |at: usize| LINE_BREAKS.iter().any(|it| matches_at(near, at, it));
    let is_header =
        matches_at(near, after_name, b"; filename") || (name_end..=after_name).any(line_break_at);
    if !is_header {
        return None;
    }
    let blank_lines = LINE_BREAKS.iter().filter_map(|line_break| {
        let at = find_text(near, &line_break.repeat(2), name_end)?;
        Some((at, *line_break))
    });
    let (headers_end, line_break) = blank_lines.min_by_key(|(at, _)| *at)?;
    let start = headers_end + 2 * line_break.len();
    let end = find_text(text, &[line_break, b"--"].concat(), start).unwrap_or(text.len());
    (start < end).then_some((start, end))
}
