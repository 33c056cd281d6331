//! Limits of the attributes, events and links of a span, and of a log record.

use spanwise_core::internal::panic_safe;

/// The maximum length of a value in bytes. It applies in addition to the limit in characters.
pub(crate) const MAX_VALUE_LEN: usize = 16 * 1024;

/// The maximum length in bytes of one exported item: of a log record, or of the attributes, events
/// and links of a span together.
pub(crate) const MAX_ITEM_LEN: usize = 64 * 1024;

/// The limits of the attributes of one span, event, link or record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttributeLimits {
    /// The maximum number of attributes.
    pub(crate) count: usize,
    /// The maximum length of a text in characters, and of a byte array in bytes. If it is
    /// `usize::MAX`, only [`MAX_VALUE_LEN`] limits a value.
    pub(crate) value_chars: usize,
}

impl AttributeLimits {
    /// Returns the longest prefix of `text` within the limits.
    #[inline]
    pub(crate) fn cut_text(self, text: &str) -> &str {
        // A text has at most as many characters as bytes, so a short one need not be counted.
        if text.len() <= self.value_chars.min(MAX_VALUE_LEN) {
            return text;
        }
        self.cut_long_text(text)
    }

    #[cold]
    fn cut_long_text(self, text: &str) -> &str {
        let text = panic_safe::truncate_at(text, MAX_VALUE_LEN);
        match text.char_indices().nth(self.value_chars) {
            Some((end, _)) => &text[..end],
            None => text,
        }
    }

    /// Returns the longest prefix of `bytes` within the limits.
    pub(crate) fn cut_bytes(self, bytes: &[u8]) -> &[u8] {
        &bytes[..bytes.len().min(self.value_chars).min(MAX_VALUE_LEN)]
    }
}

impl Default for AttributeLimits {
    fn default() -> Self {
        Self {
            count: 128,
            value_chars: usize::MAX,
        }
    }
}
