//! Searches a text for many literals in one pass.

use crate::byte_class::ByteClass;

/// Literals of at least three bytes, found by their first three bytes. A text without a literal
/// costs a few instructions per two bytes.
///
/// The filter ignores case. Callers compare the whole literal.
#[derive(Debug, Clone)]
pub(crate) struct PrefixFilter {
    /// One bit for each hash of bytes 1 to 3 and of bytes 2 to 4 of a literal.
    bits: Box<[u64; WORDS]>,
    /// The first three bytes of each literal with its number, sorted.
    known: Vec<(u32, u16)>,
    /// For each third byte, the index of the first entry of `known` with this third byte or a
    /// greater one.
    begins: Box<[u16; 257]>,
}

const WORDS: usize = 512;

impl PrefixFilter {
    /// Creates a filter from literals. Literals of fewer than three bytes are not found. Literals
    /// of three bytes are found only before a byte of their class, if they have a class.
    pub(crate) fn new<'l>(
        literals: impl IntoIterator<Item = (&'l str, Option<ByteClass>)>,
    ) -> Self {
        let mut bits = Box::new([0; WORDS]);
        let mut known = Vec::new();
        let mut set = |three: u32| {
            let hash = hash(three);
            bits[hash >> 6] |= 1 << (hash & 63);
        };
        for (index, (literal, next)) in literals.into_iter().enumerate() {
            let [a, b, c, rest @ ..] = literal.as_bytes() else {
                continue;
            };
            set(three(*a, *b, *c));
            match rest.first() {
                Some(d) => set(three(*b, *c, *d)),
                None => (0..=u8::MAX)
                    .filter(|d| next.is_none_or(|next| next.has(*d)))
                    .for_each(|d| set(three(*b, *c, d))),
            }
            known.push((three(*a, *b, *c), index as u16));
        }
        known.sort_unstable();
        let mut begins = Box::new([0; 257]);
        for (third, begin) in (0_u32..).zip(begins.iter_mut()) {
            *begin = known.partition_point(|(three, _)| three >> 16 < third) as u16;
        }
        Self {
            bits,
            known,
            begins,
        }
    }

    /// Returns the next position from `from` on where a literal may begin, there or one byte later.
    // Not inlined, so that its loop can use all registers.
    #[inline(never)]
    pub(crate) fn next_candidate(&self, text: &[u8], from: usize) -> Option<usize> {
        let bits = &*self.bits;
        let mut rest = text.get(from..)?;
        let here = |rest: &[u8]| text.len() - rest.len();
        // Tests three bytes at every second position, because a literal begins there or one byte
        // earlier.
        while let Some(eight) = rest.first_chunk::<8>() {
            let eight = u64::from_le_bytes(*eight) | u64::from_le_bytes([CASE_BIT; 8]);
            for skip in [0, 2, 4] {
                if is_set(bits, (eight >> (8 * skip + 8)) as u32) {
                    return Some(here(rest) + skip);
                }
            }
            rest = &rest[6..];
        }
        while let Some(four) = rest.first_chunk::<4>() {
            if is_set(bits, (u32::from_le_bytes(*four) >> 8) | CASE) {
                return Some(here(rest));
            }
            rest = &rest[2..];
        }
        let [.., a, b, c] = rest else { return None };
        is_set(bits, three(*a, *b, *c)).then_some(text.len() - 3)
    }

    /// Calls `check` with the number and the position of each literal that may be in `text`, until
    /// it returns a value. The literals begin in `starts`, a prefix of `text`, from `from` on.
    pub(crate) fn find_map<T>(
        &self,
        text: &[u8],
        starts: &[u8],
        from: usize,
        check: impl Fn(usize, usize) -> Option<T>,
    ) -> Option<T> {
        let mut next = self.next_candidate(starts, from);
        while let Some(start) = next {
            let found = [start, start + 1].into_iter().find_map(|at| {
                let mut literals = self.candidates_at(text.get(at..)?);
                literals.find_map(|literal| check(literal, at))
            });
            if found.is_some() {
                return found;
            }
            next = self.next_candidate(starts, start + 2);
        }
        None
    }

    /// Returns the numbers of the literals that may start `text`.
    pub(crate) fn candidates_at(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let first = match text {
            [a, b, c, ..] => three(*a, *b, *c),
            _ => u32::MAX,
        };
        let third = (first >> 16 & 0xFF) as usize;
        let (from, to) = (self.begins[third], self.begins[third + 1]);
        let known = &self.known[usize::from(from)..usize::from(to)];
        let from = known.partition_point(|(known, _)| *known < first);
        known[from..]
            .iter()
            .take_while(move |(known, _)| *known == first)
            .map(|(_, index)| usize::from(*index))
    }
}

#[inline]
fn is_set(bits: &[u64; WORDS], three: u32) -> bool {
    let hash = hash(three);
    bits[hash >> 6] >> (hash & 63) & 1 != 0
}

/// Returns three bytes as a number.
const fn three(a: u8, b: u8, c: u8) -> u32 {
    u32::from_le_bytes([a, b, c, 0]) | CASE
}

/// The case bit of a letter. For other bytes it has the same value in text and literal.
const CASE: u32 = 0x0020_2020;
const CASE_BIT: u8 = 0x20;

/// Hashes the lower three bytes.
#[inline]
const fn hash(three: u32) -> usize {
    (three.wrapping_mul(0x79B9_9E00) >> 17) as usize
}
