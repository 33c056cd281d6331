//! A text with what is secret in it replaced: what the scanner and the keys find, as the policy shows it.

use std::{borrow::Cow, sync::atomic::Ordering};

use spanwise_core::REDACTED;

use super::{Outcome, Policy};
use crate::{
    Detector,
    document::Document,
    keys::{Decision, Normal, is_network_address},
    names::QUERY,
    pairs,
    scan::{self, Hit, Rule},
};

impl Policy {
    /// `text`, found under `key`, with what is secret in it replaced.
    #[inline]
    pub(super) fn hidden<'t>(&self, key: Option<&str>, text: &'t str) -> Cow<'t, str> {
        if scan::is_plain(text.as_bytes()) && !self.has_paths_into(text) {
            return Cow::Borrowed(text);
        }
        self.read(key, text)
    }

    /// True if a rule about paths may lead into it: a list needs neither a `:` nor a digit.
    #[inline]
    fn has_paths_into(&self, text: &str) -> bool {
        self.rules.keys.has_paths() && crate::json::may_be_json(text)
    }

    #[inline(never)]
    fn read<'t>(&self, key: Option<&str>, text: &'t str) -> Cow<'t, str> {
        let hits = self.hits(key, text);
        if hits.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(self.render(text, &hits))
    }

    fn hits(&self, key: Option<&str>, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        let signs = scan::detect(text.as_bytes(), self.rules.detected, &mut hits);
        // Looked for if there is something to hide, and once.
        let mut document = None;
        if signs.may_have_pairs() {
            self.pairs(text, &mut document, &mut hits);
        }
        if self.has_paths_into(text) {
            crate::json::by_path(key, text, &self.rules.keys, &mut hits);
        }
        if hits.is_empty() {
            return hits;
        }
        // Of two that found the same, the key says what is done with it.
        let order = |hit: &Hit| {
            let by_form = matches!(hit.rule, Rule::Detector(_));
            (hit.start, std::cmp::Reverse(hit.end), by_form)
        };
        hits.sort_by_key(order);
        if let Some(document) = document.get_or_insert_with(|| Document::of(text)) {
            hits = document.fit(text, hits);
            hits.sort_by_key(order);
        }
        hits
    }

    fn pairs(&self, text: &str, document: &mut Option<Option<Document>>, hits: &mut Vec<Hit>) {
        let keys = &self.rules.keys;
        let wants = |detector| self.rules.detected & scan::bit(detector) != 0;
        let mut at = 0;
        // Where what was hidden so far ends.
        let (mut until, mut is_until_header) = (0, false);
        while let Some(mut pair) = pairs::next(text, &mut at) {
            // The value of a header goes on to the end of the line. One inside another is not followed there again.
            let is_header_in_value = || !is_until_header && is_header(pair.key);
            if !pair.may_go_on(text.as_bytes(), until) && !is_header_in_value() {
                continue;
            }
            let decision = keys.decide(pair.key);
            let rule = match decision {
                Decision::Hide { rule, .. } | Decision::HideUnlessAddress { rule } => {
                    let from = pair.key.as_ptr() as usize - text.as_ptr() as usize;
                    Some(Rule::Key {
                        rule,
                        at: (from, from + pair.key.len()),
                    })
                }
                Decision::Trust => None,
                Decision::Pass => {
                    // Only keys named so are looked at once more.
                    let end = pair.key.as_bytes();
                    let end = &end[end.len().saturating_sub(3)..];
                    if !pair.in_query && !end.eq_ignore_ascii_case(b"key") {
                        continue;
                    }
                    let normal = Normal::new(pair.key);
                    let name = normal.whole();
                    let is_aws = name.ends_with(b"secretkey") || name.ends_with(b"secretaccesskey");
                    if pair.in_query && QUERY.iter().any(|query| query.as_bytes() == name) {
                        Some(Rule::Detector(Detector::UrlQuery))
                    } else {
                        is_aws.then_some(Rule::Detector(Detector::AwsSecret))
                    }
                }
            };
            let Some(rule) = rule else { continue };
            if matches!(rule, Rule::Detector(detector) if !wants(detector)) {
                continue;
            }
            let header = is_header(pair.key);
            let end = match document.get_or_insert_with(|| Document::of(text)) {
                Some(document) => pair.place(document).min(text.len()),
                None => text.len(),
            };
            let end = match rule {
                // One that goes on is none: it is not followed to its end, which may be that of the text, from each such key again.
                Rule::Detector(Detector::AwsSecret) => end.min(pair.after() + 2 * AWS_SECRET),
                _ => end,
            };
            if let Some(value) = pair.value(&text.as_bytes()[..end], header) {
                let length = value.end - value.start;
                let is_it = match rule {
                    Rule::Detector(Detector::UrlQuery) => length >= SHORTEST_PARAMETER,
                    Rule::Detector(_) => length == AWS_SECRET,
                    Rule::Key { .. } => true,
                };
                let is_address = matches!(decision, Decision::HideUnlessAddress { .. })
                    && text
                        .get(value.start..value.end)
                        .is_some_and(is_network_address);
                if !is_it || is_address {
                    continue;
                }
                if value.end <= until {
                    at = at.max(value.next(text.as_bytes()));
                    continue;
                }
                hits.push(Hit {
                    start: value.start,
                    end: value.end,
                    rule,
                    needs_quotes: value.needs_quotes,
                });
                // Keys in it are looked for once more, but not in what was hidden before: no byte is read for more than two of them.
                at = at.max(until);
                (until, is_until_header) = (value.end, header);
            }
        }
    }

    fn render(&self, text: &str, hits: &[Hit]) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        let mut hits = hits.iter().peekable();
        while let Some(hit) = hits.next() {
            // Hits that overlap are one.
            let mut end = hit.end;
            let mut alone = true;
            while let Some(next) = hits.next_if(|next| next.start < end) {
                alone &= next.end <= hit.end && matches!(hit.rule, Rule::Key { .. });
                end = end.max(next.end);
            }
            let (start, end) = (floor(text, hit.start.max(at)), ceil(text, end));
            let outcome = self.outcome(hit.rule);
            outcome.count.fetch_add(1, Ordering::Relaxed);
            let value = &text[start..end];
            let name = match hit.rule {
                Rule::Detector(detector) => detector.name(),
                Rule::Key { at: (from, to), .. } => &text[from..to],
            };
            out.push_str(&text[at..start]);
            let quotes = hit.needs_quotes.map(|slashes| "\\".repeat(slashes) + "\"");
            out.extend(quotes.as_deref());
            // The end of a value with escapes in it may be the end of an escape, and no list is a string.
            let in_new_quotes = |c: char| quotes.is_some() && (c == '"' || c.is_control());
            if alone && !value.contains(|c| c == '\\' || in_new_quotes(c)) {
                out.push_str(&self.shown(outcome, name, value));
            } else {
                out.push_str(REDACTED);
            }
            out.extend(quotes.as_deref());
            at = end;
        }
        out.push_str(&text[at..]);
        out
    }

    fn outcome(&self, rule: Rule) -> &Outcome {
        match rule {
            Rule::Detector(detector) => &self.rules.detectors[detector as usize],
            Rule::Key { rule, .. } => &self.rules.outcomes[rule],
        }
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

fn is_header(key: &str) -> bool {
    let normal = Normal::new(key);
    let name = normal.last();
    name.ends_with(b"authorization") || name == b"cookie" || name == b"setcookie"
}

/// A parameter of a URL whose name is a word elsewhere is no credential if it is shorter: `?code=404`.
const SHORTEST_PARAMETER: usize = 8;

/// The length of a secret access key.
const AWS_SECRET: usize = 40;
