//! Decides whether the text after `key: ` is prose: a sentence, a state, a count or an error.
//!
//! An error chain has several parts, separated by colons: `session: cache: timed out`.

use super::{
    KeySubject, is_credential, trim_marks,
    word_shapes::{
        is_count, is_error_name, is_format_placeholder, is_measure, is_module, is_name, is_path,
        is_sentence_word, is_type,
    },
    words_of,
};
use crate::{
    byte_search::is_space,
    value_end::is_scheme,
    word_lists::{
        AUXILIARIES, FUNCTION_WORDS, PASSWORD_LIKE, SENTENCE_OPENERS, SENTENCE_STARTS, STATES,
        VERBS, any_contains, contains_word,
    },
};

/// The maximum number of parts of an error chain before the one that decides.
const MAX_CHAIN_LEN: u8 = 3;

/// Returns whether a line after a key of this subject is prose.
pub(super) fn is_prose(line: &[u8], subject: KeySubject) -> bool {
    LineStart::new(line, subject, 0).is_some_and(|start| start.is_prose())
}

/// The first words of a line.
#[derive(Clone, Copy)]
struct LineStart<'l> {
    line: &'l [u8],
    subject: KeySubject,
    /// The number of parts of an error chain before the line.
    depth: u8,
    /// The first word as written, with punctuation marks.
    first: &'l [u8],
    /// The first word without punctuation marks.
    word: &'l [u8],
    second: Option<&'l [u8]>,
    /// The text after the first word.
    rest: &'l [u8],
}

impl<'l> LineStart<'l> {
    fn new(line: &'l [u8], subject: KeySubject, depth: u8) -> Option<Self> {
        let mut words = words_of(line);
        let (at, first) = words.next()?;
        Some(Self {
            line,
            subject,
            depth,
            first,
            word: trim_marks(first),
            second: words.next().map(|(_, word)| word),
            rest: &line[at + first.len()..],
        })
    }

    /// Returns whether the line is prose. Each step decides, or returns `None` to leave the
    /// decision to the next step.
    fn is_prose(&self) -> bool {
        self.by_first_word()
            .or_else(|| self.by_phrase_or_chain())
            .or_else(|| self.by_state())
            .unwrap_or_else(|| self.by_second_word())
    }

    /// Returns whether the key announces a value that may have a state, such as a token.
    fn may_have_state(&self) -> bool {
        matches!(self.subject, KeySubject::Thing | KeySubject::Code)
    }

    fn is_state(&self) -> bool {
        contains_word(STATES, self.word)
    }

    fn is_opener(&self) -> bool {
        contains_word(SENTENCE_OPENERS, self.word)
    }

    fn may_start_sentence(&self) -> bool {
        self.is_opener() || contains_word(SENTENCE_STARTS, self.word)
    }

    /// Decides by the form of the first word.
    fn by_first_word(&self) -> Option<bool> {
        let (first, word, second) = (self.first, self.word, self.second);
        if word.is_empty() {
            // Only punctuation marks, such as the `}` after `unexpected token: `.
            let is_short = first.len() <= 5;
            return Some(
                is_short || second.is_some_and(|second| is_sentence_word(trim_marks(second))),
            );
        }
        if word.iter().all(u8::is_ascii_digit) {
            return Some(is_count(word, self.rest, self.subject));
        }
        // A YAML tag: `!vault |`.
        if first[0] == b'!' && second == Some(b"|") && is_sentence_word(word) {
            return Some(true);
        }
        if is_type(first)
            || self.may_have_state() && is_module(word)
            || is_format_placeholder(first)
        {
            return Some(true);
        }
        if is_measure(word) {
            return Some(self.subject == KeySubject::Thing);
        }
        // In prose, only opening punctuation marks, such as brackets, precede the first word.
        let mut before = first.iter().take_while(|byte| **byte != word[0]);
        if before.any(|byte| b"!?|;:)]}>".contains(byte)) {
            return Some(false);
        }
        // The `Debug` of a struct is prose only if the struct is an error.
        let begins_with_bracket = |second: &[u8]| b"{[".contains(&second[0]);
        let is_struct = first[1..].iter().any(|byte| b"({[".contains(byte))
            || word[0].is_ascii_uppercase() && second.is_some_and(begins_with_bracket);
        if is_error_name(first, self.subject) {
            return Some(!(is_struct && has_credential_in_brackets(self.line)));
        }
        is_struct.then_some(false)
    }

    /// Decides if the key announces a passphrase, or if the line is an error chain.
    fn by_phrase_or_chain(&self) -> Option<bool> {
        let word = self.word;
        if self.subject == KeySubject::Phrase {
            let mut words = words_of(self.line).take(4);
            let is_sentence = is_sentence_word(word)
                && words.any(|(_, word)| contains_word(FUNCTION_WORDS, trim_marks(word)));
            return Some(is_sentence || self.second.is_none() && self.is_state());
        }
        if self.first.last() != Some(&b':') || self.second.is_none() || self.depth == MAX_CHAIN_LEN
        {
            return None;
        }
        // `stock-db: permission denied`
        let is_rest_prose = || {
            let rest = Self::new(self.rest, self.subject, self.depth + 1);
            rest.is_some_and(|rest| rest.is_prose())
        };
        let is_password = self.subject == KeySubject::Password;
        let is_name_in_chain = self.may_have_state() && (is_sentence_word(word) || is_name(word));
        Some(
            self.is_state()
                || self.is_opener()
                || self.may_start_sentence() && !is_password
                || (is_name_in_chain
                    || self.may_start_sentence() && !contains_word(PASSWORD_LIKE, word))
                    && is_rest_prose(),
        )
    }

    /// Decides if the first word is sufficient: a path, a state, a participle, or a single word.
    fn by_state(&self) -> Option<bool> {
        let (word, second) = (self.word, self.second);
        let ends_with_mark = self.ends_with_mark();
        if is_path(word) && (second.is_none() || ends_with_mark) {
            return Some(self.may_have_state() || second.is_some());
        }
        let is_state = self.is_state();
        if !is_sentence_word(word) && !is_state {
            // `SameSite must be …`
            let is_camel = word.len() <= 20 && word.iter().all(u8::is_ascii_alphabetic);
            let is_verb = |second: &[u8]| contains_word(VERBS, trim_marks(second));
            return Some(self.may_have_state() && is_camel && second.is_some_and(is_verb));
        }
        let endings = [&b"ed"[..], b"ing", b"able", b"ible"];
        let is_participle = self.may_have_state()
            && word.len() > 5
            && endings.iter().any(|end| word.ends_with(end));
        if is_state || is_participle {
            return Some(true);
        }
        let is_alone = second.is_none() || ends_with_mark && self.first.last() != Some(&b',');
        is_alone.then_some(false)
    }

    /// Returns whether the first word ends with a punctuation mark.
    fn ends_with_mark(&self) -> bool {
        self.first
            .last()
            .is_some_and(|last| b",;.:!?)".contains(last))
    }

    /// Decides by the words after the first one.
    fn by_second_word(&self) -> bool {
        let (word, second) = (self.word, self.second.unwrap_or_default());
        let next = trim_marks(second);
        // In `Authorization: token …`, a credential follows the scheme `token`. In a sentence such
        // as `token has expired`, a verb or another known word follows.
        if is_scheme(word) && self.subject != KeySubject::Password {
            return any_contains(&[STATES, VERBS, FUNCTION_WORDS], next);
        }
        let known = [
            STATES,
            SENTENCE_OPENERS,
            SENTENCE_STARTS,
            VERBS,
            FUNCTION_WORDS,
        ];
        let is_known = |word: &[u8]| any_contains(&known, word);
        let is_number = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
        let is_pair = second.contains(&b'=')
            || second.last() == Some(&b':') && !is_known(next) && !is_number(next);
        if is_pair {
            return false;
        }
        if self.may_start_sentence() && !self.is_opener() && self.subject == KeySubject::Password {
            return self.is_subject_of(next);
        }
        if self.may_start_sentence() {
            return next.is_empty()
                || is_sentence_word(next)
                || is_number(next.strip_suffix(b"+").unwrap_or(next))
                || matches!(second[0], b'"' | b'\'' | b'`' | b'(' | b'/' | b'\\')
                || is_name(next)
                || next.len() <= 24 && next.iter().all(u8::is_ascii_alphabetic)
                || is_error_name(next, self.subject);
        }
        // A subject and a verb (`provider answered`), or words of a sentence.
        let words = || words_of(self.line).map(|(_, word)| word);
        let sentence = || {
            words()
                .take_while(|word| !word.contains(&b'=') && is_sentence_word(trim_marks(word)))
                .map(trim_marks)
                .take(3)
        };
        let is_sentence = || match sentence().count() {
            3 => true,
            2 => sentence().any(is_known),
            _ => false,
        };
        self.may_have_state() && (contains_word(VERBS, next) || is_sentence())
    }

    /// Returns whether the first word is the subject of the verb `next`. In `password: root from
    /// …`, `root` is a password.
    fn is_subject_of(&self, next: &[u8]) -> bool {
        let is_verb = |word: &[u8]| any_contains(&[VERBS, STATES], word);
        // The subject may have two words: `signature verification failed`.
        let is_verb_third = || {
            let third = words_of(self.line).nth(2).map(|(_, word)| trim_marks(word));
            contains_word(SENTENCE_STARTS, next) && third.is_some_and(is_verb)
        };
        contains_word(AUXILIARIES, next)
            || (is_verb(next) || is_verb_third()) && !contains_word(PASSWORD_LIKE, self.word)
    }
}

/// Returns whether the brackets of an error contain a credential: `InvalidToken("a1b2c3d4")`.
fn has_credential_in_brackets(line: &[u8]) -> bool {
    let is_mark = |byte: &u8| is_space(*byte) || b"(){}[]\"',".contains(byte);
    line.split(is_mark).skip(1).take(24).any(is_credential)
}
