//! XML elements: `<password>…</password>`.

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

/// The elements of a text that contain text. Elements in a CDATA section are included, because a
/// section often contains a whole document.
pub(crate) struct Elements<'t> {
    text: &'t str,
    at: usize,
    /// The end of the last section. The sections that open in it also end there.
    section: SectionEnd,
}

/// The end of a CDATA section.
#[derive(Debug, Clone, Copy, Default)]
struct SectionEnd {
    /// The position of the `]]>`, or the end of the text.
    close_at: usize,
    /// The end of the text in the section, without white space.
    text_end: usize,
    /// The position of the tag after the section, if there is one.
    tag_at: usize,
}

/// The maximum length of a tag after its name, in bytes.
const MAX_TAG_LEN: usize = 256;

impl<'t> Elements<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            section: SectionEnd::default(),
        }
    }

    /// Returns the end of the section with the content from `start` on.
    fn section_end(&mut self, start: usize) -> SectionEnd {
        // Not searched again for each section in a section, so that the time is linear.
        if start > self.section.close_at {
            let bytes = self.text.as_bytes();
            let close_at = find_text(bytes, b"]]>", start).unwrap_or(bytes.len());
            self.section = SectionEnd {
                close_at,
                text_end: run_start(bytes, close_at, close_at - start, is_space),
                tag_at: skip_space(bytes, bytes.len().min(close_at + 3)),
            };
        }
        self.section
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
            let data = b"<![CDATA[";
            let (end, end_tag_at, next_at);
            if bytes[start..].starts_with(data) {
                start += data.len();
                let section = self.section_end(start);
                (end, end_tag_at, next_at) = (section.text_end, section.tag_at, start);
            } else {
                end_tag_at = find(bytes, b'<', start)?;
                next_at = end_tag_at;
                end = run_start(bytes, end_tag_at, end_tag_at - start, is_space);
            }
            let name = &bytes[tag_at + 1..name_end];
            let is_closed =
                bytes[end_tag_at..].starts_with(b"</") && matches_at(bytes, end_tag_at + 2, name);
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
