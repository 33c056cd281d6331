//! Texts that the redaction policy leaves unchanged, stored so that it does not scan them again.

use std::{str, sync::OnceLock};

use crate::line_buffer::small_block;

/// The first texts of one key that the policy left unchanged.
///
/// Most keys either have few different values, such as routes, or a new value each time. A stored
/// text is never replaced, so a read takes no lock. A key with a new value each time costs a few
/// comparisons for each value.
#[derive(Debug, Default)]
pub(crate) struct CleanTexts([OnceLock<CleanText>; CAPACITY]);

#[derive(Debug)]
struct CleanText {
    /// See [`fingerprint`].
    fingerprint: u64,
    text: Box<str>,
}

/// The number of texts that are stored for a key.
const CAPACITY: usize = 4;

/// The maximum length of a stored text, in bytes. Longer texts seldom repeat, but take memory.
const MAX_CLEAN_LEN: usize = 128;

impl CleanTexts {
    #[inline]
    pub(crate) fn contains(&self, text: &[u8]) -> bool {
        let fingerprint = fingerprint(text);
        for slot in &self.0 {
            match slot.get() {
                Some(clean)
                    if clean.fingerprint == fingerprint && clean.text.as_bytes() == text =>
                {
                    return true;
                }
                Some(_) => {}
                None => return false,
            }
        }
        false
    }

    /// Adds a text, unless all slots are used or the text is too long.
    #[inline]
    pub(crate) fn insert(&self, text: &[u8]) {
        let [.., last] = &self.0;
        if last.get().is_none() && text.len() <= MAX_CLEAN_LEN {
            self.insert_new(text);
        }
    }

    #[cold]
    fn insert_new(&self, bytes: &[u8]) {
        let Ok(text) = str::from_utf8(bytes) else {
            return;
        };
        // Two threads may add the same text to two slots. If they add two texts to one slot, one of
        // the texts is lost, and scanned again.
        if let Some(free) = self.0.iter().find(|slot| slot.get().is_none()) {
            free.get_or_init(|| CleanText {
                fingerprint: fingerprint(bytes),
                text: text.into(),
            });
        }
    }
}

/// Returns a hash of the start, the middle and the end of a text, where texts with a counter
/// differ. The hash avoids most comparisons of whole texts, which cost a call each.
#[inline]
fn fingerprint(text: &[u8]) -> u64 {
    let middle = &text[(text.len() / 2).saturating_sub(4)..];
    let parts = [text.first_chunk(), middle.first_chunk(), text.last_chunk()];
    let bits = match parts {
        [Some(first), Some(middle), Some(last)] => {
            let [first, middle, last] = [first, middle, last].map(|part| u64::from_le_bytes(*part));
            first ^ middle.rotate_left(11) ^ last.rotate_left(29)
        }
        _ => u128::from_le_bytes(small_block(text)) as u64,
    };
    bits.wrapping_add(text.len() as u64)
}
