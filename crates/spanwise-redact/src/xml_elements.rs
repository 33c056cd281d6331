//! XML elements: `<password>…</password>`.

use crate::{
    byte_class::ByteClass,
    byte_search::{find, find_text, matches_at, run_end, skip_space},
};

/// The name of an element, and the range of the text in the element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'t> {
    pub(crate) name: &'t str,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Returns the next element with a text, from `*at` on.
pub(crate) fn next<'t>(text: &'t str, at: &mut usize) -> Option<Element<'t>> {
    const MAX_TAG_LEN: usize = 256;
    let bytes = text.as_bytes();
    loop {
        let tag_at = find(bytes, b'<', *at)?;
        *at = tag_at + 1;
        // A namespace prefix is not part of the name.
        let mut name_start = tag_at + 1;
        let mut name_end = ByteClass::KEY.run_end(bytes, name_start);
        if bytes.get(name_end) == Some(&b':') {
            name_start = name_end + 1;
            name_end = ByteClass::KEY.run_end(bytes, name_start);
        }
        let near = &bytes[..bytes.len().min(name_end + MAX_TAG_LEN)];
        let close_at = run_end(near, name_end, |byte| !matches!(byte, b'<' | b'>'));
        let is_tag = name_end > name_start
            && matches!(bytes.get(name_end), Some(b'>' | b' ' | b'\t' | b'\n'));
        if !is_tag || near.get(close_at) != Some(&b'>') || near[close_at - 1] == b'/' {
            continue;
        }
        let from = skip_space(bytes, close_at + 1);
        let data = b"<![CDATA[";
        let (from, to) = if bytes[from..].starts_with(data) {
            let from = from + data.len();
            let to = find_text(bytes, b"]]>", from)?;
            // A CDATA section contains no element.
            *at = to;
            (from, to)
        } else {
            (from, find(bytes, b'<', from)?)
        };
        let end_tag_at = if bytes[to..].starts_with(b"]]>") {
            skip_space(bytes, to + 3)
        } else {
            to
        };
        let name = &bytes[tag_at + 1..name_end];
        let is_closed =
            bytes[end_tag_at..].starts_with(b"</") && matches_at(bytes, end_tag_at + 2, name);
        let text_len = bytes[from..to].trim_ascii_end().len();
        if !is_closed || text_len == 0 {
            continue;
        }
        *at = to;
        let Some(name) = text.get(name_start..name_end) else {
            continue;
        };
        return Some(Element {
            name,
            start: from,
            end: from + text_len,
        });
    }
}
