//! Suggestions for misspelled words: "did you mean …?"

/// Returns the closest candidate, ignoring case: within two edits of `word`, or within one edit if
/// `word` has at most three letters. An edit adds, removes or changes a letter, or swaps two
/// adjacent letters.
///
/// ```
/// assert_eq!(spanwise_core::internal::suggest::closest("LOG_FROMAT", ["LOG_FORMAT", "LOG_OUTPUT"]), Some("LOG_FORMAT"));
/// assert_eq!(spanwise_core::internal::suggest::closest("jsn", ["json", "pretty"]), Some("json"));
/// assert_eq!(spanwise_core::internal::suggest::closest("LOG_ROTATION", ["LOG_FORMAT", "LOG_OUTPUT"]), None);
/// ```
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Two edits turn any two-letter word into any other, so only one edit is allowed in a short
    // word.
    closest_within(
        if word.chars().count() <= 3 { 1 } else { 2 },
        word,
        &mut candidates.into_iter(),
    )
}

/// Like [`closest`], for the name of a variable: within one edit of `name`, or within two edits if
/// `name` has at least nine letters.
///
/// ```
/// use spanwise_core::internal::suggest::closest_name;
///
/// assert_eq!(closest_name("LOG_FROMAT", ["LOG_FORMAT", "LOG_FILE"]), Some("LOG_FORMAT"));
/// assert_eq!(closest_name("LOG_FORMATTER", ["LOG_FORMAT", "LOG_FILE"]), None);
/// assert_eq!(closest_name("LOG_FLIES", ["LOG_FORMAT", "LOG_FILE"]), None);
/// ```
pub fn closest_name<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let letters = name.chars().filter(|c| c.is_alphabetic()).count();
    closest_within(
        if letters < 9 { 1 } else { 2 },
        name,
        &mut candidates.into_iter(),
    )
}

fn closest_within<'a>(
    max_edits: usize,
    word: &str,
    candidates: &mut dyn Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let word_letters = LetterSet::from_ascii(word);
    let word: Vec<char> = lowercase(word).collect();
    let mut candidate_chars = Vec::new();
    let mut rows = EditTableRows::default();
    let edits = candidates.filter_map(|candidate| {
        // Two cheap checks exclude nearly all candidates without a copy and a comparison.
        if candidate.is_ascii() && candidate.len().abs_diff(word.len()) > max_edits {
            return None;
        }
        let candidate_letters = LetterSet::from_ascii(candidate);
        if let (Some(word_letters), Some(candidate_letters)) = (word_letters, candidate_letters)
            && word_letters.min_edits(candidate_letters) > max_edits
        {
            return None;
        }
        candidate_chars.clear();
        candidate_chars.extend(lowercase(candidate));
        let edits = rows.edits(&word, &candidate_chars, max_edits)?;
        Some((edits, candidate))
    });
    edits
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

fn lowercase(word: &str) -> impl Iterator<Item = char> {
    word.chars().flat_map(char::to_lowercase)
}

/// Returns the level that `word` probably means, if it is a misspelled level or a level name of
/// another logger.
///
/// ```
/// assert_eq!(spanwise_core::internal::suggest::closest_level("inof"), Some("info"));
/// assert_eq!(spanwise_core::internal::suggest::closest_level("verbose"), Some("debug"));
/// assert_eq!(spanwise_core::internal::suggest::closest_level("fatl"), Some("error"));
/// assert_eq!(spanwise_core::internal::suggest::closest_level("earning"), None);
/// assert_eq!(spanwise_core::internal::suggest::closest_level("warming"), None);
/// assert_eq!(spanwise_core::internal::suggest::closest_level("shop"), None);
/// ```
#[must_use]
pub fn closest_level(word: &str) -> Option<&'static str> {
    // Names of levels in other loggers, which are not accepted here.
    let foreign = match word.to_ascii_lowercase().as_str() {
        "err" | "severe" | "alert" | "emergency" => "error",
        "warnings" => "warn",
        "notice" | "information" | "informational" => "info",
        "verbose" | "dbg" | "fine" => "debug",
        "finest" | "trc" | "all" => "trace",
        "none" | "silent" => "off",
        // A likely target, for the code that warms a cache.
        "warming" => return None,
        _ => return closest(word, LEVELS).or_else(|| closest_alias(word)),
    };
    Some(foreign)
}

/// Returns the level with an alias within one edit of `word`. The alias must have the same first
/// letter as `word`, because targets such as `earning` and `natal` are not misspelled levels.
fn closest_alias(word: &str) -> Option<&'static str> {
    const ALIASES: [(&str, &str); 3] = [
        ("warning", "warn"),
        ("fatal", "error"),
        ("critical", "error"),
    ];
    let first = word.chars().next()?;
    let has_same_start = |alias: &&str| alias.starts_with(first.to_ascii_lowercase());
    let aliases = ALIASES.into_iter().map(|(alias, _)| alias);
    let alias = closest_within(1, word, &mut aliases.filter(has_same_start))?;
    let level = ALIASES.into_iter().find(|(name, _)| *name == alias);
    level.map(|(_, level)| level)
}

/// The names of levels in settings.
pub(crate) const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The set of letters in a word, ignoring case, with one bit per letter. Some characters share a
/// bit.
#[derive(Debug, Clone, Copy)]
struct LetterSet(u32);

impl LetterSet {
    /// Returns `None` if the word is not ASCII, because its lower case may have other letters.
    fn from_ascii(word: &str) -> Option<Self> {
        let bits = word
            .bytes()
            .fold(0, |bits, letter| bits | 1 << (letter & 31));
        word.is_ascii().then_some(Self(bits))
    }

    /// Returns a lower bound of the number of edits between two words, because an edit changes at
    /// most two bits.
    fn min_edits(self, other: Self) -> usize {
        (self.0 ^ other.0).count_ones().div_ceil(2) as usize
    }
}

/// The last three rows of the table of edit distances between the starts of two words. Each
/// comparison reuses their memory.
#[derive(Debug, Default)]
struct EditTableRows {
    before_previous: Vec<usize>,
    previous: Vec<usize>,
    current: Vec<usize>,
}

impl EditTableRows {
    /// Returns the Damerau-Levenshtein distance, with each pair of letters swapped at most once
    /// (optimal string alignment). Returns `None` if it is greater than `max_edits`.
    ///
    /// At start-up, the name of each environment variable is compared with that of each setting,
    /// and nearly all are different. So the comparison ends as soon as the words differ too much.
    fn edits(&mut self, a: &[char], b: &[char], max_edits: usize) -> Option<usize> {
        if a.len().abs_diff(b.len()) > max_edits {
            return None;
        }
        let Self {
            before_previous,
            previous,
            current,
        } = self;
        before_previous.clear();
        previous.clear();
        previous.extend(0..=b.len());
        for (i, from) in a.iter().enumerate() {
            current.clear();
            current.push(i + 1);
            for (j, to) in b.iter().enumerate() {
                let mut min_edits = (previous[j] + usize::from(from != to))
                    .min(previous[j + 1] + 1)
                    .min(current[j] + 1);
                if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                    min_edits = min_edits.min(before_previous[j - 1] + 1);
                }
                current.push(min_edits);
            }
            // No later row has a number below the smallest number of these two rows.
            let exceeds = |row: &[usize]| row.iter().all(|edits| *edits > max_edits);
            if exceeds(current) && exceeds(previous) {
                return None;
            }
            std::mem::swap(before_previous, previous);
            std::mem::swap(previous, current);
        }
        Some(previous[b.len()]).filter(|edits| *edits <= max_edits)
    }
}

#[cfg(test)]
mod tests {
    use super::{EditTableRows, closest_within};

    /// The recursive definition of the distance, without an early end.
    fn distance(a: &[char], b: &[char]) -> usize {
        let (Some((last_a, rest_a)), Some((last_b, rest_b))) = (a.split_last(), b.split_last())
        else {
            return a.len().max(b.len());
        };
        let change = distance(rest_a, rest_b) + usize::from(last_a != last_b);
        let add = distance(a, rest_b) + 1;
        let remove = distance(rest_a, b) + 1;
        let swap = match (rest_a.split_last(), rest_b.split_last()) {
            (Some((x, rest_a)), Some((y, rest_b))) if x == last_b && y == last_a => {
                distance(rest_a, rest_b) + 1
            }
            _ => usize::MAX,
        };
        change.min(add).min(remove).min(swap)
    }

    /// All words of up to four of the letters `a`, `b` and `c`.
    fn words() -> Vec<Vec<char>> {
        let mut words = vec![Vec::new()];
        let mut from = 0;
        for _ in 0..4 {
            let to = words.len();
            for index in from..to {
                for letter in ['a', 'b', 'c'] {
                    let longer = [&words[index][..], &[letter]].concat();
                    words.push(longer);
                }
            }
            from = to;
        }
        words
    }

    #[test]
    fn edits_ending_early_keep_the_distance() {
        let words = words();
        let mut rows = EditTableRows::default();
        for a in &words {
            for b in &words {
                let expected = distance(a, b);
                for max_edits in 0..4 {
                    let edits = rows.edits(a, b, max_edits);
                    let expected = Some(expected).filter(|edits| *edits <= max_edits);
                    assert_eq!(edits, expected, "{a:?}, {b:?}, at most {max_edits}");
                }
            }
        }
    }

    #[test]
    fn closest_has_the_smallest_distance() {
        let words = words();
        let texts: Vec<String> = words.iter().map(|word| word.iter().collect()).collect();
        for (word, text) in words.iter().zip(&texts) {
            for max_edits in 0..3 {
                let others = || words.iter().zip(&texts).filter(|(other, _)| *other != word);
                let smallest = others().map(|(other, _)| distance(word, other)).min();
                let upper_case: Vec<String> =
                    others().map(|(_, text)| text.to_uppercase()).collect();
                let mut candidates = upper_case.iter().map(String::as_str);
                let found = closest_within(max_edits, text, &mut candidates);
                let found = found.map(|found| {
                    let found: Vec<char> = found.to_lowercase().chars().collect();
                    distance(word, &found)
                });
                assert_eq!(
                    found,
                    smallest.filter(|edits| *edits <= max_edits),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn closest_ignores_the_case_of_other_alphabets() {
        let found = closest_within(1, "\u{212a}ET", &mut ["key", "ket"].into_iter());
        assert_eq!(found, Some("ket"));
    }
}
