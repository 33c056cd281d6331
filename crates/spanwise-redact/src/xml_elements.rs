//! XML elements whose name may be a key: `<password>…</password>`. Positions are in bytes.

use crate::{
    byte_class::ByteClass,
    byte_search::{find, find_text, is_space, matches_at, run_end, run_start, skip_space},
};

/// The name of an element, and the range of the text in the element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'t> {
    pub(crate) name: &'t str,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// An iterator over the elements that contain only text. Elements in a CDATA section are included,
/// because a section often contains a whole document.
pub(crate) struct Elements<'t> {
    text: &'t str,
    at: usize,
    /// The end of the last CDATA section. Sections that open inside that section also end there.
    last_section: SectionEnd,
}

/// The end of a CDATA section, or of the last of several adjacent sections.
#[derive(Debug, Clone, Copy, Default)]
struct SectionEnd {
    /// The position of the `]]>`, or the end of the text.
    close_at: usize,
    /// The end of the text in the section, without the white space before the `]]>`.
    text_end: usize,
    /// The end of the `]]>`.
    end: usize,
    /// The position after the white space that follows the section. A tag may be there.
    tag_at: usize,
}

/// The start of a CDATA section.
const SECTION_START: &[u8] = b"<![CDATA[";

/// The maximum length of a tag after the name of the element, in bytes.
const MAX_TAG_LEN: usize = 256;

impl<'t> Elements<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            last_section: SectionEnd::default(),
        }
    }

    /// Returns the end of the CDATA section whose content begins at `start`.
    fn section_end(&mut self, start: usize) -> SectionEnd {
        // The end is not searched again for a section inside the last section, so that the time is
        // linear.
        if start > self.last_section.close_at {
            let bytes = self.text.as_bytes();
            let end_of_section = |from| find_text(bytes, b"]]>", from).unwrap_or(bytes.len());
            let mut close_at = end_of_section(start);
            // A `]]>` in a text is written as `]]]]><![CDATA[>`.
            while bytes[close_at..].starts_with(b"]]><![CDATA[") {
                close_at = end_of_section(close_at + 3);
            }
            let end = bytes.len().min(close_at + 3);
            self.last_section = SectionEnd {
                close_at,
                text_end: run_start(bytes, close_at, close_at - start, is_space),
                end,
                tag_at: skip_space(bytes, end),
            };
        }
        self.last_section
    }
}

impl<'t> Iterator for Elements<'t> {
    type Item = Element<'t>;

    fn next(&mut self) -> Option<Element<'t>> {
        let bytes = self.text.as_bytes();
        loop {
            let tag_at = find(bytes, b'<', self.at)?;
            self.at = tag_at + 1;
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
            let mut start = skip_space(bytes, close_at + 1);
            let mark_at = find(bytes, b'<', start)?;
            let is_section = bytes[mark_at..].starts_with(SECTION_START);
            let (end, end_tag_at, next_at);
            if is_section {
                next_at = mark_at + SECTION_START.len();
                let section = self.section_end(next_at);
                end_tag_at = section.tag_at;
                if mark_at == start {
                    (start, end) = (next_at, section.text_end);
                } else {
                    // The text before the section is part of the value: `tul<![CDATA[ip99]]>`
                    end = section.end;
                }
            } else {
                (end_tag_at, next_at) = (mark_at, mark_at);
                end = run_start(bytes, end_tag_at, end_tag_at - start, is_space);
            }
            let is_closed = bytes[end_tag_at..].starts_with(b"</")
                && matches_at(bytes, end_tag_at + 2, &bytes[tag_at + 1..name_end])
                // The text is truncated, and ends in the section.
                || is_section && end_tag_at == bytes.len();
            if !is_closed || end <= start {
                continue;
            }
            self.at = next_at;
            let Some(name) = self.text.get(name_start..name_end) else {
                continue;
            };
            return Some(Element { name, start, end });
        }
    }
}
