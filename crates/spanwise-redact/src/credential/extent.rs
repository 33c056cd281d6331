//! Finds the end of values with several words: phrases, codes, names.

use super::{trim_marks, trim_marks_end, words_of};
use crate::{
    byte_class::ByteClass,
    byte_search::line_from,
    word_lists::{FUNCTION_WORDS, SENTENCE_OPENERS, SENTENCE_STARTS, STATES, VERBS, any_contains},
};

/// Returns the end of the phrase at the start of `text`: at the end of the line, at a punctuation
/// mark, or before the next key. The words may be numbered, and may have commas between them.
pub(crate) fn end_of_phrase(text: &[u8]) -> usize {
    let line = line_from(text, 0, 512);
    let ends_in_comma = |(_, word): (usize, &[u8])| word.len() > 1 && word.ends_with(b",");
    let has_commas = words_of(line)
        .take(3)
        .filter(|word| ends_in_comma(*word))
        .count()
        == 3;
    // `end` is after the last word of the phrase. `read_end` is also after a number that follows.
    let (mut end, mut read_end) = (0, 0);
    for (at, word) in words_of(line).take(64) {
        if at > read_end + 1 && read_end > 0 {
            break;
        }
        let digits_end = ByteClass::DIGIT.run_end(word, 0);
        let (number, rest) = word.split_at(digits_end);
        let (mark, rest) = match rest {
            [b'.' | b')' | b':', rest @ ..] => (1, rest),
            rest => (0, rest),
        };
        let is_number = (1..=2).contains(&number.len());
        if is_number && rest.is_empty() {
            read_end = at + word.len();
            continue;
        }
        // `1.orbit`
        let start = if is_number && mark == 1 {
            digits_end + 1
        } else {
            0
        };
        let letters_end = ByteClass::ALPHA.run_end(word, start);
        let after = &word[letters_end..];
        let is_word =
            letters_end > start && (after.is_empty() || b",;.\"'`)]}".contains(&after[0]));
        if !is_word {
            break;
        }
        end = at + letters_end;
        read_end = at + word.len();
        let goes_on = after.is_empty() || has_commas && after == b",";
        if !goes_on {
            break;
        }
    }
    end
}

/// Returns the end of an app password of Google at the start of `text`: four groups of four small
/// letters. Returns 0 if there is none, or if one of the groups is a word of a sentence.
pub(crate) fn end_of_app_password(text: &[u8]) -> usize {
    // Four groups and three spaces.
    const LENGTH: usize = 4 * 4 + 3;
    let Some(groups) = text.get(..LENGTH) else {
        return 0;
    };
    let lists = [
        FUNCTION_WORDS,
        SENTENCE_OPENERS,
        SENTENCE_STARTS,
        STATES,
        VERBS,
    ];
    let is_group = |group: &[u8]| {
        group.len() == 4 && group.iter().all(u8::is_ascii_lowercase) && !any_contains(&lists, group)
    };
    let is_end = text
        .get(LENGTH)
        .is_none_or(|byte| !ByteClass::KEY.has(*byte) && *byte != b'=');
    let is_match = is_end && groups.split(|byte| *byte == b' ').all(is_group);
    if is_match { LENGTH } else { 0 }
}

/// Returns the end of a code at the start of `text`, which may have several groups of digits:
/// `123 456`. The first group ends at `first_end`.
pub(crate) fn end_of_code(text: &[u8], first_end: usize) -> usize {
    let line = line_from(text, 0, 64);
    let is_group = |word: &[u8]| word.len() <= 6 && word.iter().all(u8::is_ascii_digit);
    if line.get(..first_end).is_some_and(is_group) {
        end_of_parts(line, first_end, |word, digits| {
            word.starts_with(digits) && is_group(digits)
        })
    } else {
        first_end
    }
}

/// Returns the end of PII of several words at the start of `text`: `Ada Lovelace`, `12 Baker
/// Street`. The first word ends at `first_end`.
pub(crate) fn end_of_person(text: &[u8], first_end: usize) -> usize {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || b"'.-".contains(byte);
    end_of_parts(line_from(text, 0, 160), first_end, |word, part| {
        let is_name = part.len() > 1 && part[0].is_ascii_uppercase() && part.iter().all(is_letter);
        let is_number = part.len() <= 6 && part.iter().all(u8::is_ascii_digit);
        (is_name || is_number) && !word.iter().any(|byte| b"=:{(".contains(byte))
    })
}

/// Returns the end of a value of several words. The first word ends at `first_end`. The next words
/// belong to the value if one space precedes each of them, and `is_part` accepts them. A word with
/// punctuation marks around it is the last one, and the value includes the marks before it.
/// `is_part` gets the word with and without these marks.
fn end_of_parts(line: &[u8], first_end: usize, is_part: impl Fn(&[u8], &[u8]) -> bool) -> usize {
    let mut end = first_end;
    for (at, word) in words_of(line).skip_while(|(at, _)| *at < first_end) {
        let part = trim_marks(word);
        if at != end + 1 || part.is_empty() || !is_part(word, part) {
            break;
        }
        end = at + trim_marks_end(word).len();
        if part.len() != word.len() {
            break;
        }
    }
    end
}
