//! Lists of words that are separated by commas: the grammar that most settings share.

use std::ops::Range;

use crate::{ParseError, parse_error::Problem};

/// One word of a list, without surrounding blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word<'a> {
    /// The word; empty between two commas.
    pub text: &'a str,
    /// The byte range of the word in the list.
    pub range: Range<usize>,
}

/// Splits a list at its commas, except for commas inside `[…]`, `{…}` or double quotes.
///
/// ```
/// let words = spanwise_core::words::split("info, [a{b=1,c=2}]=debug");
/// let words: Vec<&str> = words.map(|word| word.text).collect();
/// assert_eq!(words, ["info", "[a{b=1,c=2}]=debug"]);
/// ```
pub fn split(list: &str) -> impl Iterator<Item = Word<'_>> {
    let (mut depth, mut is_quoted) = (0_usize, false);
    let parts = list.split(move |c| {
        match c {
            '"' => is_quoted = !is_quoted,
            '[' | '{' if !is_quoted => depth += 1,
            ']' | '}' if !is_quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0 && !is_quoted
    });
    words(parts)
}

/// Returns the words of the parts between commas.
fn words<'a>(parts: impl Iterator<Item = &'a str>) -> impl Iterator<Item = Word<'a>> {
    let mut part_start = 0;
    parts.map(move |part| {
        let text = part.trim();
        let word_start = part_start + (part.len() - part.trim_start().len());
        part_start += part.len() + 1;
        Word {
            text,
            range: word_start..word_start + text.len(),
        }
    })
}

/// Parses each word of a list, as [`split`] returns them. Omits empty words, and collects the
/// problems of all words.
///
/// # Errors
/// Returns the problems of every word that `parse` refuses.
///
/// ```
/// use spanwise_core::{Problem, words};
///
/// let number = |word: &str| word.parse::<u8>().map_err(|_| Problem::new(format!("`{word}` is not a number")));
/// assert_eq!(words::parse_each("1, 2,,3", number), Ok(vec![1, 2, 3]));
/// let error = words::parse_each("1,x,y", number).unwrap_err();
/// assert_eq!(error.problems()[1].range, Some(4..5));
/// ```
pub fn parse_each<'a, T>(
    list: &'a str,
    parse: impl FnMut(&'a str) -> Result<T, Problem>,
) -> Result<Vec<T>, ParseError> {
    parse_words(split(list), parse)
}

/// Like [`parse_each`], but each comma ends a word: brackets and quotes have no meaning.
///
/// # Errors
/// Returns the problems of every word that `parse` refuses.
///
/// ```
/// let words = spanwise_core::words::parse_each_between_commas("key=a[b, team=\"shop", Ok);
/// assert_eq!(words, Ok(vec!["key=a[b", "team=\"shop"]));
/// ```
pub fn parse_each_between_commas<'a, T>(
    list: &'a str,
    parse: impl FnMut(&'a str) -> Result<T, Problem>,
) -> Result<Vec<T>, ParseError> {
    parse_words(words(list.split(',')), parse)
}

fn parse_words<'a, T>(
    words: impl Iterator<Item = Word<'a>>,
    mut parse: impl FnMut(&'a str) -> Result<T, Problem>,
) -> Result<Vec<T>, ParseError> {
    let mut problems = Vec::new();
    let mut values = Vec::new();
    for word in words.filter(|word| !word.text.is_empty()) {
        match parse(word.text) {
            Ok(value) => values.push(value),
            Err(problem) => problems.push(problem.at(word.range)),
        }
    }
    ParseError::check(problems).map(|()| values)
}

/// Returns the problem that `word` repeats the `name` of an earlier word of the list.
#[must_use]
pub fn repeated(word: &str, name: &str) -> Problem {
    Problem::new(format!("`{word}`: `{name}` occurs twice: write it once"))
}
