//! Suggestions for misspelled words: "did you mean …?"

/// Returns the closest candidate within two edits of `word`, ignoring case. An edit adds, removes
/// or changes a letter, or swaps two adjacent letters.
///
/// ```
/// assert_eq!(spanwise_core::internal::suggest::closest("LOG_FROMAT", ["LOG_FORMAT", "LOG_OUTPUT"]), Some("LOG_FORMAT"));
/// assert_eq!(spanwise_core::internal::suggest::closest("jsn", ["json", "pretty"]), Some("json"));
/// assert_eq!(spanwise_core::internal::suggest::closest("LOG_ROTATION", ["LOG_FORMAT", "LOG_OUTPUT"]), None);
/// ```
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Two edits turn any two-letter word into any other, so short words may differ by one edit
    // only.
    closest_within(
        if word.chars().count() <= 3 { 1 } else { 2 },
        word,
        candidates,
    )
}

/// Returns the closest name of a variable: within one edit, or within two edits if `name` has at
/// least nine letters.
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
    closest_within(if letters < 9 { 1 } else { 2 }, name, candidates)
}

fn closest_within<'a>(
    max_edits: usize,
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let edits =
        |candidate: &str| edits(&word, &candidate.to_lowercase().chars().collect::<Vec<_>>());
    candidates
        .into_iter()
        .map(|candidate| (edits(candidate), candidate))
        .filter(|(edits, _)| *edits <= max_edits)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Returns the level that `word` probably means, if it is a misspelled level or a level name of
/// another logger.
///
/// ```
/// assert_eq!(spanwise_core::internal::suggest::closest_level("inof"), Some("info"));
/// assert_eq!(spanwise_core::internal::suggest::closest_level("verbose"), Some("debug"));
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
        _ => return closest(word, LEVELS),
    };
    Some(foreign)
}

pub(crate) const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Returns the Damerau-Levenshtein distance, with each pair of letters swapped at most once
/// (optimal string alignment).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut min_edits = (last[j] + usize::from(from != to))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                min_edits = min_edits.min(before[j - 1] + 1);
            }
            row.push(min_edits);
        }
        before = last;
        last = row;
    }
    last[b.len()]
}
