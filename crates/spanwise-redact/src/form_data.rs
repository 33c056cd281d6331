//! Parts of a form in `multipart/form-data`.
//!
//! ```text
//! part = 'form-data; name="' name '"' … line-break line-break value line-break "--"
//! ```
//!
//! The line breaks and quotes may be escaped, as in JSON.

use crate::byte_search::{ends_with_word, find_text};

/// The maximum length of the headers of a part after its name, in bytes.
const MAX_HEADERS_LEN: usize = 256;

/// Line breaks, plain and escaped.
const LINE_BREAKS: [&[u8]; 4] = [b"\r\n", b"\n", b"\\r\\n", b"\\n"];

/// Returns whether an attribute of a part begins at `at`.
pub(crate) fn has_attribute_at(text: &[u8], at: usize) -> bool {
    ends_with_word(&text[..at], b"form-data; ")
}

/// Returns the range of the value of the part whose name ends at `name_end`.
pub(crate) fn value(text: &[u8], name_end: usize) -> Option<(usize, usize)> {
    let near = &text[..text.len().min(name_end + MAX_HEADERS_LEN)];
    let blank_lines = LINE_BREAKS.iter().filter_map(|line_break| {
        let at = find_text(near, &line_break.repeat(2), name_end)?;
        Some((at, *line_break))
    });
    let (headers_end, line_break) = blank_lines.min_by_key(|(at, _)| *at)?;
    let start = headers_end + 2 * line_break.len();
    let end = find_text(text, &[line_break, b"--"].concat(), start).unwrap_or(text.len());
    (start < end).then_some((start, end))
}
