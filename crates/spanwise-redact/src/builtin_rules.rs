//! Built-in key rules: decide by the words of a key whether to hide its value.
//!
//! A key is a sequence of words. The last words decide: `db_password` is a password,
//! `password_length` is a length. Words without a separator (`dbpassword`) are split with the
//! vocabulary, which has the words of all rules.
//!
//! A rule has one or more *phrases*: a word or a sequence of words. Most keys contain no part of a
//! phrase. A check of trigrams (three consecutive letters) excludes most of these keys early.

use std::{cmp::Reverse, sync::LazyLock};

use crate::{
    builtin_keys,
    key_rules::{KeyDecision, Origin},
    normalized_key::NormalizedKey,
    trigrams::{TrigramCounts, Trigrams},
    vocabulary::{
        COUNT, DESCRIPTIVE, IGNORED, NEVER_JOINED, OTHER, QUESTION, SUFFIX, Vocabulary, Word,
        WordSequence,
    },
};

/// The built-in rules.
pub(crate) static RULES: LazyLock<BuiltinRules> = LazyLock::new(BuiltinRules::new);

/// The tier of a rule: [`Policy::secrets`](crate::Policy::secrets) has only the rules of the tier
/// `Secrets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    Secrets,
    Pii,
}

/// The built-in rules with their vocabulary.
#[derive(Debug, Default)]
pub(crate) struct BuiltinRules {
    /// The name and the tier of each rule, by its index.
    named: Vec<(&'static str, Tier)>,
    vocabulary: Vocabulary,
    /// Sorted by their last word. Phrases with the same last word are sorted from the longest to
    /// the shortest.
    phrases: Vec<Phrase>,
    /// For each [`Word`], the range of `phrases` that end in it.
    phrases_by_last_word: Vec<(usize, usize)>,
    /// Phrases that are also searched inside an unknown word, sorted from the longest to the
    /// shortest. Each has its letters without spaces, and its words.
    inner_phrases: Vec<(String, Vec<Word>)>,
    /// The first three letters of each of `inner_phrases`. They exclude most words from the search.
    inner_phrase_trigrams: Trigrams,
    /// Words in other scripts, normalized, each with the index of its rule.
    other_scripts: Vec<(NormalizedKey, usize)>,
    /// A key that a rule about secrets matches has one of these trigrams.
    secret_trigrams: Trigrams,
    /// A key that any rule matches has one of these trigrams.
    trigrams: Trigrams,
}

/// A sequence of words, and its effect on keys that end in it.
#[derive(Debug)]
struct Phrase {
    words: Vec<Word>,
    effect: Effect,
    is_plural: bool,
    /// The words must be the whole key, or the whole part after its last dot.
    is_whole: bool,
}

/// The effect of a phrase on the value of a key that ends in the phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// The rule with this index hides the value. If the rule is strong, it also hides the value if
    /// more words follow the phrase.
    Hide { rule: usize, is_strong: bool },
    /// The rule with this index hides the value, unless it is a network address.
    HideUnlessNetworkAddress(usize),
    /// The key is harmless, so no shorter phrase hides its value.
    Show,
    /// The value is an id in a fixed format, so its text is not scanned.
    Trust,
}

impl BuiltinRules {
    fn new() -> Self {
        let mut rules = Self::default();
        let common = TrigramCounts::new();
        let flags = [
            (builtin_keys::DESCRIPTIVE_WORDS, DESCRIPTIVE),
            (builtin_keys::IGNORED_WORDS, IGNORED),
            (builtin_keys::REGION_WORDS, IGNORED | NEVER_JOINED),
            (builtin_keys::NEVER_JOINED, NEVER_JOINED),
            (builtin_keys::QUESTION_WORDS, QUESTION),
            (builtin_keys::COUNT_WORDS, COUNT),
            (builtin_keys::JOINED_SUFFIXES, SUFFIX),
            (builtin_keys::JOINED_WORDS, 0),
        ];
        for (words, flag) in flags {
            words.split_whitespace().for_each(|word| {
                let word = rules.vocabulary.add(word);
                rules.vocabulary.flags[usize::from(word.0)] |= flag;
            });
        }
        let tiers = [
            (builtin_keys::STRONG, Tier::Secrets, true),
            (builtin_keys::SECRETS, Tier::Secrets, false),
            (builtin_keys::PII, Tier::Pii, false),
        ];
        for (lines, tier, is_strong) in tiers {
            for line in lines {
                rules.add_rule(line, tier, is_strong, &common);
            }
        }
        for line in builtin_keys::SHOWN {
            alternatives(line).for_each(|phrase| rules.add_phrase(phrase, Effect::Show));
        }
        for id in builtin_keys::TRUSTED_IDS {
            rules.add_phrase((id, "", true), Effect::Trust);
            rules.trigrams.add_phrase(id, &common);
            rules.secret_trigrams.add_phrase(id, &common);
        }
        for word in builtin_keys::ENGLISH_WORDS.split_whitespace() {
            rules.vocabulary.insert(word, OTHER);
        }
        let other_scripts = builtin_keys::OTHER_SCRIPTS
            .iter()
            .filter_map(|(word, rule)| {
                let rule = rules.find(rule)?;
                Some((NormalizedKey::new(word), rule))
            });
        rules.other_scripts = other_scripts.collect();
        rules.sort_phrases();
        rules
    }

    fn add_rule(
        &mut self,
        line: &'static str,
        tier: Tier,
        is_strong: bool,
        common: &TrigramCounts,
    ) {
        let rule = self.named.len();
        for (index, phrase) in alternatives(line).enumerate() {
            let (words, ..) = phrase;
            if index == 0 {
                self.named.push((words, tier));
            }
            let effect = match words {
                words if shows_network_addresses(words) => Effect::HideUnlessNetworkAddress(rule),
                _ => Effect::Hide { rule, is_strong },
            };
            self.add_phrase(phrase, effect);
            self.trigrams.add_phrase(words, common);
            if tier == Tier::Secrets {
                self.secret_trigrams.add_phrase(words, common);
            }
            let joined = words.replace(' ', "");
            let is_inner =
                joined.len() >= MIN_INNER_PHRASE_LEN || SHORT_INNER_PHRASES.contains(&&*joined);
            if is_strong && is_inner {
                let words = words.split(' ').map(|word| self.vocabulary.add(word));
                let words = words.collect();
                self.inner_phrase_trigrams.add(joined.as_bytes());
                self.inner_phrases.push((joined, words));
            }
        }
    }

    fn add_phrase(&mut self, (words, plural, is_whole): Alternative<'_>, effect: Effect) {
        let forms = [
            (words.to_owned(), false),
            (format!("{words}{plural}"), true),
        ];
        let count = 1 + usize::from(!plural.is_empty());
        for (words, is_plural) in forms.into_iter().take(count) {
            let words = words.split(' ').map(|word| self.vocabulary.add(word));
            self.phrases.push(Phrase {
                words: words.collect(),
                effect,
                is_plural,
                is_whole,
            });
        }
    }

    fn sort_phrases(&mut self) {
        let order = |phrase: &Phrase| (phrase.words.last().copied(), Reverse(phrase.words.len()));
        self.phrases.sort_by_key(order);
        let last_word = |phrase: &Phrase| phrase.words.last().map(|word| usize::from(word.0));
        self.phrases_by_last_word = (0..self.vocabulary.flags.len())
            .map(|word| {
                let from = self
                    .phrases
                    .partition_point(|phrase| last_word(phrase) < Some(word));
                let to = self
                    .phrases
                    .partition_point(|phrase| last_word(phrase) <= Some(word));
                (from, to)
            })
            .collect();
        // If one phrase begins with another, the longer one must be found.
        self.inner_phrases
            .sort_by_key(|(joined, _)| Reverse(joined.len()));
    }

    /// Returns the name and the tier of each rule, by its index.
    pub(crate) fn named(&self) -> &[(&'static str, Tier)] {
        &self.named
    }

    /// Returns the index of the rule with this normalized name, which has no spaces.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let is_match = |known: &str| known.bytes().filter(|byte| *byte != b' ').eq(name.bytes());
        self.named.iter().position(|(known, _)| is_match(known))
    }

    /// Returns whether a rule may match `key`. Considers rules about PII only if `with_pii` is set.
    #[inline]
    pub(crate) fn may_match(&self, key: &str, with_pii: bool) -> bool {
        let trigrams = if with_pii {
            &self.trigrams
        } else {
            &self.secret_trigrams
        };
        trigrams.may_be_in(key.as_bytes())
    }

    /// Returns the decision about a key. `enabled` has, for each rule, whether it is enabled.
    pub(crate) fn decide(&self, key: &NormalizedKey, enabled: &[bool]) -> KeyDecision {
        if !key.last_part().is_ascii()
            && let Some(rule) = self.rule_in_other_script(key.last_part())
            && enabled[rule]
        {
            return hidden_by(rule);
        }
        self.decide_by_words(&self.words_of(key), enabled)
    }

    /// Returns whether a key ends in words of [`SHOWN`](builtin_keys::SHOWN).
    pub(crate) fn is_harmless_phrase(&self, key: &NormalizedKey) -> bool {
        let sequence = self.words_of(key);
        let longest = self.phrases_at_end(sequence.words(), 0).next();
        longest.is_some_and(|phrase| phrase.effect == Effect::Show)
    }

    /// Returns the words of a key, with joined words split.
    fn words_of(&self, key: &NormalizedKey) -> WordSequence {
        let mut sequence = WordSequence::default();
        for (word, is_last_part) in key.words() {
            if is_last_part && sequence.last_part.is_none() {
                sequence.last_part = Some(sequence.len);
            }
            self.push_words(word, &mut sequence);
        }
        sequence
    }

    /// Returns the index of the rule of the word in another script that `key` ends in.
    #[cold]
    fn rule_in_other_script(&self, key: &[u8]) -> Option<usize> {
        let mut words = self.other_scripts.iter();
        let (_, rule) = words.find(|(word, _)| key.ends_with(word.full()))?;
        Some(*rule)
    }

    fn decide_by_words(&self, sequence: &WordSequence, enabled: &[bool]) -> KeyDecision {
        let words = sequence.words();
        let last_part = sequence.last_part.unwrap_or(0);
        // The first word of the key, and that of the part after its last dot.
        let first_words = [words.first(), words.get(last_part)];
        let begins_with = |flag| {
            first_words
                .into_iter()
                .flatten()
                .any(|word| self.vocabulary.is(*word, flag))
        };
        if words.len() > 1 && begins_with(QUESTION) {
            return KeyDecision::Pass;
        }
        let is_count = begins_with(COUNT);
        // The longest phrase at the end of the first `end` words that has an effect.
        let phrase_before = |end: usize| {
            self.phrases_at_end(&words[..end], last_part)
                .find(|phrase| match phrase.effect {
                    Effect::Hide { rule, .. } | Effect::HideUnlessNetworkAddress(rule) => {
                        enabled[rule] && !(is_count && phrase.is_plural)
                    }
                    Effect::Show | Effect::Trust => true,
                })
        };
        let mut end = words.len();
        while let Some(last) = end.checked_sub(1).map(|last| words[last]) {
            match phrase_before(end).map(|phrase| phrase.effect) {
                Some(Effect::Hide { rule, .. }) => return hidden_by(rule),
                // Callers consider the value only if the key ends like `address` or `ip`: see
                // `KeyRules::may_depend_on_value`. So `address2` and `address_raw` hide any value.
                Some(Effect::HideUnlessNetworkAddress(rule))
                    if sequence.has_numbers || end < words.len() =>
                {
                    return hidden_by(rule);
                }
                Some(Effect::HideUnlessNetworkAddress(rule)) => {
                    return KeyDecision::HideUnlessNetworkAddress { rule };
                }
                Some(Effect::Trust) if end == words.len() && !sequence.has_numbers => {
                    return KeyDecision::Trust;
                }
                Some(Effect::Show | Effect::Trust) => return KeyDecision::Pass,
                None => {}
            }
            if self.vocabulary.is(last, DESCRIPTIVE) {
                return KeyDecision::Pass;
            }
            if !self.vocabulary.is(last, IGNORED) {
                break;
            }
            end -= 1;
        }
        let strong_rule = (1..end)
            .rev()
            .find_map(|end| match phrase_before(end)?.effect {
                Effect::Hide {
                    rule,
                    is_strong: true,
                } => Some(rule),
                _ => None,
            });
        strong_rule.map_or(KeyDecision::Pass, hidden_by)
    }

    /// Returns the phrases that `words` end in, the longest first. `last_part` is the index of the
    /// first word after the last dot.
    fn phrases_at_end<'r>(
        &'r self,
        words: &'r [Word],
        last_part: usize,
    ) -> impl Iterator<Item = &'r Phrase> {
        let last = words.last().map_or(0, |word| usize::from(word.0));
        let (from, to) = self.phrases_by_last_word[last];
        self.phrases[from..to].iter().filter(move |phrase| {
            let start = words.len().wrapping_sub(phrase.words.len());
            words.ends_with(&phrase.words) && (!phrase.is_whole || start == 0 || start == last_part)
        })
    }

    /// Appends `word`, or its parts if it is several words without a separator.
    fn push_words(&self, word: &[u8], sequence: &mut WordSequence) {
        if let Some(known) = self.vocabulary.find(word) {
            return sequence.push(known);
        }
        let digits = word
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let word = &word[..word.len() - digits];
        sequence.has_numbers |= digits > 0;
        if word.is_empty() {
            return;
        }
        match self.vocabulary.find(word) {
            Some(known) => sequence.push(known),
            None if self.trigrams.are_in(word) => self.push_joined_words(word, sequence),
            None => sequence.push(OTHER),
        }
    }

    /// Appends the parts of `word`, which is not in the vocabulary.
    fn push_joined_words(&self, word: &[u8], sequence: &mut WordSequence) {
        if self.vocabulary.split(word, sequence) {
            return;
        }
        if let Some((start, end, words)) = self.find_inner_phrase(word) {
            if start > 0 && !self.vocabulary.split(&word[..start], sequence) {
                sequence.push(OTHER);
            }
            words.iter().for_each(|word| sequence.push(*word));
            let after_phrase = &word[end..];
            let is_end_or_plural = matches!(after_phrase, b"" | b"s");
            if !is_end_or_plural && !self.vocabulary.split(after_phrase, sequence) {
                sequence.push(OTHER);
            }
            return;
        }
        sequence.push(OTHER);
        let suffixes = (1..word.len()).filter_map(|at| self.vocabulary.find(&word[at..]));
        if let Some(suffix) = suffixes
            .into_iter()
            .find(|word| self.vocabulary.is(*word, SUFFIX))
        {
            sequence.push(suffix);
        }
    }

    /// Returns the first of `inner_phrases` in a word: its start, its end and its words.
    fn find_inner_phrase(&self, word: &[u8]) -> Option<(usize, usize, &[Word])> {
        word.windows(3).enumerate().find_map(|(at, letters)| {
            if !self.inner_phrase_trigrams.are_in(letters) {
                return None;
            }
            let from_here = &word[at..];
            let mut phrases = self.inner_phrases.iter();
            let (joined, words) =
                phrases.find(|(joined, _)| from_here.starts_with(joined.as_bytes()))?;
            Some((at, at + joined.len(), &**words))
        })
    }
}

fn hidden_by(rule: usize) -> KeyDecision {
    let origin = Origin::BuiltIn;
    KeyDecision::Hide { rule, origin }
}

/// Returns whether the rule with this name shows values that are network addresses.
pub(crate) fn shows_network_addresses(rule: &str) -> bool {
    matches!(rule, "address" | "ip")
}

/// The words of a phrase, the ending of their plural, and [`Phrase::is_whole`].
type Alternative<'l> = (&'l str, &'l str, bool);

/// Returns the alternatives of a line of [`builtin_keys`]: `zip code(s) | =zip`.
fn alternatives(line: &'static str) -> impl Iterator<Item = Alternative<'static>> {
    line.split('|').map(|phrase| {
        let phrase = phrase.trim();
        let (words, is_whole) = match phrase.strip_prefix('=') {
            Some(words) => (words, true),
            None => (phrase, false),
        };
        match words.split_once('(') {
            Some((words, plural)) => (words, plural.trim_end_matches(')'), is_whole),
            None => (words, "", is_whole),
        }
    })
}

/// The minimum length, in bytes, of a phrase that is searched inside words. Shorter phrases may be
/// part of English words.
const MIN_INNER_PHRASE_LEN: usize = 8;

/// Shorter phrases that are searched nevertheless. English words that contain one are in
/// [`ENGLISH_WORDS`](builtin_keys::ENGLISH_WORDS).
const SHORT_INNER_PHRASES: [&str; 4] = ["passwd", "secret", "apikey", "privkey"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the alternatives of all lines: their words, the ending of their plural, their line.
    fn listed(lists: &[&[&'static str]]) -> Vec<(&'static str, &'static str, &'static str)> {
        let lines = lists.concat().into_iter();
        let all = lines.flat_map(|line| alternatives(line).map(move |found| (line, found)));
        all.map(|(line, (words, plural, _))| (words, plural, line))
            .collect()
    }

    const HIDDEN: [&[&str]; 3] = [
        builtin_keys::STRONG,
        builtin_keys::SECRETS,
        builtin_keys::PII,
    ];

    #[test]
    fn listed_words_are_in_the_vocabulary() {
        let shown = [builtin_keys::SHOWN, builtin_keys::TRUSTED_IDS];
        for (words, plural, _) in [listed(&HIDDEN), listed(&shown)].concat() {
            for word in format!("{words} {words}{plural}").split(' ') {
                assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
                assert!(RULES.vocabulary.find(word.as_bytes()).is_some(), "{word}");
            }
        }
        assert!(RULES.vocabulary.spellings.len() < crate::vocabulary::TABLE_LEN / 2);
        assert_eq!(RULES.other_scripts.len(), builtin_keys::OTHER_SCRIPTS.len());
    }

    /// The trigrams must cover every rule, because a key with none of them is not checked further.
    #[test]
    fn trigrams_cover_every_rule() {
        for (words, plural, _) in listed(&HIDDEN) {
            for between in ["", "_", "2-", "["] {
                let key = format!("x{}{plural}", words.replace(' ', between));
                assert!(RULES.may_match(&key, true), "{key}");
                assert!(RULES.may_match(&key.to_uppercase(), true), "{key}");
            }
        }
        let mut common = builtin_keys::COMMON_WORDS.split_whitespace();
        let not_excluded = common.find(|word| RULES.may_match(word, false));
        assert_eq!(not_excluded, None);
    }

    #[test]
    fn rules_have_distinct_words() {
        let mut seen = std::collections::BTreeMap::new();
        for (words, plural, line) in [listed(&HIDDEN), listed(&[builtin_keys::SHOWN])].concat() {
            for words in [words.to_owned(), format!("{words}{plural}")] {
                let other = seen.insert(words.clone(), line).unwrap_or(line);
                assert_eq!(other, line, "{words}");
            }
        }
    }
}
