//! Many literals looked for in one pass.

/// Literals of at least three bytes, found by their first three: of a text without any, a few nanoseconds per ten bytes are spent.
///
/// Case does not count here; whoever looks checks what was found.
#[derive(Debug, Clone)]
pub(crate) struct Literals {
    /// A bit for each hash of three bytes that begin a literal.
    starts: Box<[u64; WORDS]>,
    /// The three bytes with the literal, sorted.
    known: Vec<(u32, u16)>,
}

const WORDS: usize = 512;

impl Literals {
    /// Literals of less than three bytes are not found.
    pub(crate) fn new<'l>(literals: impl IntoIterator<Item = &'l str>) -> Self {
        let mut starts = Box::new([0; WORDS]);
        let mut known = Vec::new();
        for (index, literal) in literals.into_iter().enumerate() {
            if let [a, b, c, ..] = literal.as_bytes() {
                let three = [a, b, c]
                    .into_iter()
                    .fold(0, |three, byte| push(three, *byte));
                let hash = hash(three);
                starts[hash >> 6] |= 1 << (hash & 63);
                known.push((three, index as u16));
            }
        }
        known.sort_unstable();
        Self { starts, known }
    }

    /// True if a literal may begin with these three bytes.
    #[inline(always)]
    pub(crate) fn may_start(&self, three: u32) -> bool {
        let hash = hash(three);
        self.starts[hash >> 6] >> (hash & 63) & 1 != 0
    }

    /// The literals that begin with these three bytes, by their number.
    pub(crate) fn starting(&self, three: u32) -> impl Iterator<Item = usize> {
        let from = self.known.partition_point(|(known, _)| *known < three);
        self.known[from..]
            .iter()
            .take_while(move |(known, _)| *known == three)
            .map(|(_, index)| usize::from(*index))
    }
}

/// The last three bytes, after one more.
#[inline(always)]
pub(crate) const fn push(three: u32, byte: u8) -> u32 {
    // The case of a letter is one bit; of what is no letter the bit is the same in text and literal.
    (three << 8 | (byte | 0x20) as u32) & 0x00FF_FFFF
}

#[inline(always)]
const fn hash(three: u32) -> usize {
    (three.wrapping_mul(0x9E37_79B1) >> 17) as usize
}
