//! The vocabulary of keys. It also splits joined words, such as `dbpassword`, into its words.

use crate::trigrams::append_letter;

/// A word of the [`Vocabulary`]: an index into its `flags`. Several spellings may be one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Word(pub(crate) u16);

/// Any word that no rule mentions.
pub(crate) const OTHER: Word = Word(0);

// The flags of a word. The module `builtin_keys` has the words with each flag, and their meaning.

/// A word of [`DESCRIPTIVE_WORDS`](crate::builtin_keys::DESCRIPTIVE_WORDS).
pub(crate) const DESCRIPTIVE: u8 = 1;
/// A word of [`IGNORED_WORDS`](crate::builtin_keys::IGNORED_WORDS) or
/// [`REGION_WORDS`](crate::builtin_keys::REGION_WORDS).
pub(crate) const IGNORED: u8 = 1 << 1;
/// A word of [`QUESTION_WORDS`](crate::builtin_keys::QUESTION_WORDS).
pub(crate) const QUESTION: u8 = 1 << 2;
/// A word of [`COUNT_WORDS`](crate::builtin_keys::COUNT_WORDS).
pub(crate) const COUNT: u8 = 1 << 3;
/// A word of [`JOINED_SUFFIXES`](crate::builtin_keys::JOINED_SUFFIXES).
pub(crate) const SUFFIX: u8 = 1 << 4;
/// The word is never part of joined words.
pub(crate) const NEVER_JOINED: u8 = 1 << 5;

/// The words of a key.
#[derive(Default)]
pub(crate) struct WordSequence {
    pub(crate) words: [Word; MAX_WORDS],
    pub(crate) len: usize,
    /// The index of the first word after the last dot.
    pub(crate) last_part: Option<usize>,
    /// Whether the key has digits that are not part of a word, as in `address_line2`.
    pub(crate) has_numbers: bool,
}

/// The maximum number of words in a sequence. If a key has more words, only the last are kept.
const MAX_WORDS: usize = 24;

impl WordSequence {
    pub(crate) fn words(&self) -> &[Word] {
        &self.words[..self.len]
    }

    pub(crate) fn push(&mut self, word: Word) {
        if self.len == MAX_WORDS {
            self.words.rotate_left(1);
            self.len -= 1;
            self.last_part = self.last_part.map(|at| at.saturating_sub(1));
        }
        self.words[self.len] = word;
        self.len += 1;
    }
}

/// Words by their spelling: a hash table with open addressing.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// For each slot, the index of its spelling plus one. 0 if the slot is free.
    table: Box<[u16; TABLE_LEN]>,
    /// Each spelling, [packed](pack) into a number, with its word.
    pub(crate) spellings: Vec<(u128, Word)>,
    /// The flags of each [`Word`].
    pub(crate) flags: Vec<u8>,
    /// For each pair of letters, the lengths of the spellings that begin with that pair. Bit `n` is
    /// set if a spelling has `n` bytes.
    lengths: Box<[u32; 32 * 32]>,
}

/// 2¹¹, because [`slot`] returns 11 bits. Less than half of the table is used.
pub(crate) const TABLE_LEN: usize = 2048;

/// The maximum length of a word, in bytes.
const MAX_WORD_LEN: usize = 16;

/// The maximum length of joined words, in bytes.
const MAX_JOINED_LEN: usize = 40;

impl Default for Vocabulary {
    fn default() -> Self {
        Self {
            table: Box::new([0; TABLE_LEN]),
            spellings: Vec::new(),
            flags: vec![0],
            lengths: Box::new([0; 32 * 32]),
        }
    }
}

impl Vocabulary {
    pub(crate) fn is(&self, word: Word, flag: u8) -> bool {
        self.flags[usize::from(word.0)] & flag != 0
    }

    /// Adds the word with this spelling, or returns the existing one.
    pub(crate) fn add(&mut self, spelling: &str) -> Word {
        if let Some(known) = self.find(spelling.as_bytes()) {
            return known;
        }
        let word = Word(self.flags.len() as u16);
        self.flags.push(0);
        self.insert(spelling, word);
        word
    }

    /// Adds a spelling of `word`.
    pub(crate) fn insert(&mut self, spelling: &str, word: Word) {
        // No spelling is too long: a test verifies that each word of a rule is in the vocabulary.
        let Some(packed) = pack(spelling.as_bytes()) else {
            return;
        };
        self.spellings.push((packed, word));
        let mut at = slot(packed);
        while self.table[at] != 0 {
            at = (at + 1) % TABLE_LEN;
        }
        self.table[at] = self.spellings.len() as u16;
        if let [first, second, ..] = *spelling.as_bytes() {
            self.lengths[append_letter(append_letter(0, first), second)] |= 1 << spelling.len();
        }
    }

    #[inline]
    pub(crate) fn find(&self, spelling: &[u8]) -> Option<Word> {
        let packed = pack(spelling)?;
        let mut at = slot(packed);
        loop {
            let index = self.table[at].checked_sub(1)?;
            let (known, word) = self.spellings[usize::from(index)];
            if known == packed {
                return Some(word);
            }
            at = (at + 1) % TABLE_LEN;
        }
    }

    /// Splits `joined` into the fewest known words and appends them to `sequence`. Returns `false`,
    /// and appends nothing, if `joined` is too long or does not consist of known words.
    pub(crate) fn split(&self, joined: &[u8], sequence: &mut WordSequence) -> bool {
        let len = joined.len();
        if len > MAX_JOINED_LEN {
            return false;
        }
        // For each position: the minimum number of words that the letters before the position
        // consist of, and the start of the last of these words, and that word.
        let mut best = [(u8::MAX, 0_u8, OTHER); MAX_JOINED_LEN + 1];
        best[0].0 = 0;
        for from in 0..len {
            let count = best[from].0;
            if count == u8::MAX {
                continue;
            }
            let mut lengths = match joined[from..] {
                [first, second, ..] => self.lengths[append_letter(append_letter(0, first), second)],
                _ => 0,
            };
            // `x` is a word only at the start, as in `xapikey`.
            if from == 0 && joined[0] == b'x' {
                lengths |= 1 << 1;
            }
            while lengths != 0 {
                let word_len = lengths.ilog2() as usize;
                lengths ^= 1 << word_len;
                let Some(spelling) = joined.get(from..from + word_len) else {
                    continue;
                };
                match self.find(spelling) {
                    Some(word)
                        if word != OTHER
                            && !self.is(word, NEVER_JOINED)
                            && count + 1 < best[from + word_len].0 =>
                    {
                        best[from + word_len] = (count + 1, from as u8, word);
                    }
                    _ => {}
                }
            }
        }
        if best[len].0 == u8::MAX {
            return false;
        }
        let mut words = [OTHER; MAX_JOINED_LEN];
        // The words, the last one first.
        let (mut at, mut count) = (len, 0);
        while at > 0 {
            words[count] = best[at].2;
            at = usize::from(best[at].1);
            count += 1;
        }
        words[..count]
            .iter()
            .rev()
            .for_each(|word| sequence.push(*word));
        true
    }
}

/// Returns a spelling as a number, or `None` if it has more than [`MAX_WORD_LEN`] bytes.
fn pack(spelling: &[u8]) -> Option<u128> {
    let mut packed = [0; MAX_WORD_LEN];
    packed.get_mut(..spelling.len())?.copy_from_slice(spelling);
    Some(u128::from_le_bytes(packed))
}

/// Returns the first slot of [`Vocabulary::table`] to try for a packed spelling.
fn slot(packed: u128) -> usize {
    let folded = packed as u64 ^ ((packed >> 64) as u64).rotate_left(29);
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 53) as usize
}
