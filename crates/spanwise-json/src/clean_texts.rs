//! Texts that the policy shows unchanged, remembered so that they are not scanned again.

use std::{str, sync::OnceLock};

use crate::line_buffer::small_block;

/// The first texts of one key that the policy left unchanged.
///
/// Most keys have either few values, such as a route, or always new ones. A text is never replaced,
/// so a read takes no lock. A key with always new values costs a few comparisons for each value.
#[derive(Debug, Default)]
pub(crate) struct CleanTexts([OnceLock<CleanText>; CAPACITY]);

#[derive(Debug)]
struct CleanText {
    /// See [`fingerprint`].
    fingerprint: u64,
    text: Box<str>,
}

const CAPACITY: usize = 4;

/// Longer texts are not remembered: they are seldom equal, and would take memory for each key.
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
        // Two threads may add the same text twice. If they choose the same slot, one text is lost,
        // and is scanned again.
        if let Some(free) = self.0.iter().find(|slot| slot.get().is_none()) {
            free.get_or_init(|| CleanText {
                fingerprint: fingerprint(bytes),
                text: text.into(),
            });
        }
    }
}

/// Returns a hash of the ends and the middle of a text, where texts with a counter differ. It
/// spares most comparisons of whole texts, which cost a call each.
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
