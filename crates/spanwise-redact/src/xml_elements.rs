//! XML elements: `<password>…</password>`.

use crate::{
    byte_class::ByteClass,
    byte_search::{find, find_text, matches_at, run_end, skip_space},
};

/// The name of an element with its text.
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
        let tag = find(bytes, b'<', *at)?;
        *at = tag + 1;
        // A namespace prefix is not part of the name.
        let mut start = tag + 1;
        let mut end = ByteClass::KEY.run_end(bytes, start);
        if bytes.get(end) == Some(&b':') {
            start = end + 1;
            end = ByteClass::KEY.run_end(bytes, start);
        }
        let near = &bytes[..bytes.len().min(end + MAX_TAG_LEN)];
        let close = run_end(near, end, |byte| !matches!(byte, b'<' | b'>'));
        let is_tag = end > start && matches!(bytes.get(end), Some(b'>' | b' ' | b'\t' | b'\n'));
        if !is_tag || near.get(close) != Some(&b'>') || near[close - 1] == b'/' {
            continue;
        }
        let from = skip_space(bytes, close + 1);
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
        let end_tag = if bytes[to..].starts_with(b"]]>") {
            skip_space(bytes, to + 3)
        } else {
            to
        };
        let name = &bytes[tag + 1..end];
        let is_closed = bytes[end_tag..].starts_with(b"</") && matches_at(bytes, end_tag + 2, name);
        let inside = bytes[from..to].trim_ascii_end().len();
        if !is_closed || inside == 0 {
            continue;
        }
        *at = to;
        let Some(name) = text.get(start..end) else {
            continue;
        };
        return Some(Element {
            name,
            start: from,
            end: from + inside,
        });
    }
}
