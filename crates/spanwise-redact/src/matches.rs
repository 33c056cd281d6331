//! The matches of one text.

use std::ops::{Deref, DerefMut};

use crate::Detector;

/// A part of a text that must be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rule: Rule,
    /// The number of backslashes before the quotes that the replacement needs, if it needs quotes.
    pub(crate) needs_quotes: Option<usize>,
}

/// The rule that found a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Detector(Detector),
    /// The index of a key rule, and the start and the end of the key in the text.
    Key {
        rule: usize,
        key_range: (usize, usize),
    },
}

impl Match {
    pub(crate) fn by(detector: Detector, (start, end): (usize, usize)) -> Self {
        Self::new(start, end, Rule::Detector(detector))
    }

    pub(crate) const fn new(start: usize, end: usize, rule: Rule) -> Self {
        Self {
            start,
            end,
            rule,
            needs_quotes: None,
        }
    }
}

/// A list of matches. Up to [`INLINE_LEN`] are stored inline, so most texts need no allocation.
#[derive(Debug)]
pub(crate) struct Matches {
    inline: [Match; INLINE_LEN],
    /// The number of matches in `inline`.
    inline_count: usize,
    /// All matches, also those in `inline`, if there are more than [`INLINE_LEN`] or the list was
    /// replaced. Empty if not.
    spilled: Vec<Match>,
}

const INLINE_LEN: usize = 4;

impl Matches {
    pub(crate) fn new() -> Self {
        Self {
            inline: [const { Match::new(0, 0, Rule::Detector(Detector::Pem)) }; INLINE_LEN],
            inline_count: 0,
            spilled: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, found: Match) {
        if self.spilled.is_empty()
            && let Some(free) = self.inline.get_mut(self.inline_count)
        {
            *free = found;
            self.inline_count += 1;
            return;
        }
        if self.spilled.is_empty() {
            self.spilled.extend_from_slice(&self.inline);
        }
        self.spilled.push(found);
    }

    /// Replaces all matches.
    pub(crate) fn replace(&mut self, matches: Vec<Match>) {
        self.inline_count = 0;
        self.spilled = matches;
    }
}

impl Deref for Matches {
    type Target = [Match];

    fn deref(&self) -> &[Match] {
        if self.spilled.is_empty() {
            &self.inline[..self.inline_count]
        } else {
            &self.spilled
        }
    }
}

impl DerefMut for Matches {
    fn deref_mut(&mut self) -> &mut [Match] {
        if self.spilled.is_empty() {
            &mut self.inline[..self.inline_count]
        } else {
            &mut self.spilled
        }
    }
}

impl Extend<Match> for Matches {
    fn extend<I: IntoIterator<Item = Match>>(&mut self, matches: I) {
        for found in matches {
            self.push(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_keep_their_order_in_any_number() {
        for count in 0..10 {
            let mut matches = Matches::new();
            matches
                .extend((0..count).map(|at| Match::new(at, at + 1, Rule::Detector(Detector::Ssn))));
            matches.reverse();
            let starts: Vec<usize> = matches.iter().map(|found| found.start).collect();
            assert_eq!(starts, (0..count).rev().collect::<Vec<_>>());
            let last_half = matches[count / 2..].to_vec();
            matches.replace(last_half.clone());
            assert_eq!(matches[..], last_half);
        }
    }
}
