//! A text with what is secret in it replaced: what the scanner and the keys find, as the policy
//! shows it.

use std::{borrow::Cow, sync::atomic::Ordering};

use spanwise_core::REDACTED;

use super::{Outcome, Policy};
use crate::{
    Detector,
    bytes::{find, is_space},
    commands::{self, Argument},
    credential,
    document::Document,
    elements, encoded, inserts,
    keys::{Decision, Normal, Origin, is_network_address},
    mentions,
    names::QUERY,
    pairs::{self, Around, Hiding, Pair},
    scan::{self, Hit, Rule, Signs},
    words::{RULES, Tier},
    work,
};

/// A rule that hides the value of a key.
struct Found {
    rule: Rule,
    /// It is of this crate, and leaves alone what is no credential.
    built_in: bool,
    /// It leaves alone addresses of networks.
    unless_address: bool,
}

impl Found {
    /// The hit of a value, unless it tells nothing.
    fn hit(&self, text: &str, start: usize, end: usize) -> Option<Hit> {
        let value = text.get(start..end)?;
        let says = value.as_bytes();
        let shown = if self.built_in {
            credential::is_nothing(says)
                || credential::is_placeholder(says)
                || self.unless_address && is_network_address(value)
        } else {
            credential::is_absent(says)
        };
        (!shown).then(|| Hit::new(start, end, self.rule))
    }
}

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
        let mut hits = Vec::new();
        let signs = scan::detect(text.as_bytes(), self.rules.detected, &mut hits);
        if hits.is_empty() && !signs.may_have_keys() && !self.has_paths_into(text) {
            return Cow::Borrowed(text);
        }
        let hits = self.hits(key, text, signs, hits);
        if hits.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(self.render(text, &hits))
    }

    /// Adds what the keys hide to what the detectors found. In the order of the text.
    #[inline(never)]
    fn hits(&self, key: Option<&str>, text: &str, signs: Signs, mut hits: Vec<Hit>) -> Vec<Hit> {
        // Looked for if there is something to hide, and once.
        let mut document = None;
        if signs.may_have_pairs() {
            self.pairs(text, &mut document, &mut hits);
        }
        self.other_pairs(text, signs, &mut hits);
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

    fn wants(&self, detector: Detector) -> bool {
        self.rules.detected & scan::bit(detector) != 0
    }

    /// The rule about a key that stands in `text`.
    fn rule(&self, text: &str, key: &str) -> Option<Found> {
        work::step(key.len());
        let (rule, origin, unless_address) = match self.rules.keys.decide(key) {
            Decision::Hide { rule, origin } => (rule, origin, false),
            Decision::HideUnlessAddress { rule } => (rule, Origin::BuiltIn, true),
            Decision::Trust | Decision::Pass => return None,
        };
        let from = key.as_ptr() as usize - text.as_ptr() as usize;
        let at = (from, from + key.len());
        Some(Found {
            rule: Rule::Key { rule, at },
            built_in: origin == Origin::BuiltIn,
            unless_address,
        })
    }

    /// [`rule`](Self::rule), for a key that may be of two words: `API key`, not `password wrong`.
    fn rule_of_reading(&self, text: &str, key: &str) -> Option<Found> {
        if let Some((first, last)) = key.split_once(' ') {
            let is_noun = pairs::NOUNS
                .iter()
                .any(|noun| last.eq_ignore_ascii_case(noun));
            if !is_noun && self.rule(text, first).is_some() {
                return None;
            }
        }
        self.rule(text, key)
    }

    /// The detector that a name is for, of which the value decides.
    fn detector(&self, pair: &Pair<'_>) -> Option<Detector> {
        // Only keys named so are looked at once more.
        let end = pair.key.as_bytes();
        let end = &end[end.len().saturating_sub(3)..];
        if !pair.may_be_parameter && !end.eq_ignore_ascii_case(b"key") {
            return None;
        }
        let normal = Normal::new(pair.key);
        let name = normal.whole();
        let is_query = pair.may_be_parameter && QUERY.iter().any(|query| query.as_bytes() == name);
        let is_aws = || name.ends_with(b"secretkey") || name.ends_with(b"secretaccesskey");
        let detector = if is_query {
            Detector::UrlQuery
        } else if is_aws() {
            Detector::AwsSecret
        } else {
            return None;
        };
        self.wants(detector).then_some(detector)
    }

    fn pairs(&self, text: &str, document: &mut Option<Option<Document>>, hits: &mut Vec<Hit>) {
        let bytes = text.as_bytes();
        let mut around = Around::default();
        let mut at = 0;
        // Where what was hidden so far ends.
        let (mut until, mut is_until_header) = (0, false);
        // What the last pair says that the next value is called.
        let mut named = None;
        while let Some(mut pair) = pairs::next(text, &mut at) {
            // The value of a header goes on to the end of the line. One inside another is not
            // followed there again.
            let is_header_in_value = || !is_until_header && is_header(pair.key);
            if !pair.may_go_on(bytes, until) && !is_header_in_value() {
                continue;
            }
            let name = std::mem::replace(&mut named, pair.gives_name(text));
            // A rule of the user's for the key of the value itself stands.
            let is_ruled = || self.rule(text, pair.key).is_some_and(|own| !own.built_in);
            let name = name.filter(|(_, end)| pair.is_value_after(bytes, *end) && !is_ruled());
            let of_name = name.and_then(|(name, _)| {
                let found = self.rule(text, name)?;
                pair.key = name;
                Some(found)
            });
            let by_key = |key| {
                if key == pair.key {
                    self.rule(text, key)
                } else {
                    self.rule_of_reading(text, key)
                }
            };
            let found = of_name.or_else(|| pair.readings(text).find_map(by_key));
            let found = found.or_else(|| {
                let detector = self.detector(&pair)?;
                Some(Found {
                    rule: Rule::Detector(detector),
                    built_in: true,
                    unless_address: false,
                })
            });
            let Some(found) = found else { continue };
            let rule = found.rule;
            let hiding = Hiding {
                header: is_header(pair.key),
                built_in: found.built_in,
            };
            let end = match document.get_or_insert_with(|| Document::of(text)) {
                Some(document) => pair.place(document).min(text.len()),
                None => text.len(),
            };
            let end = match rule {
                // One that goes on is none: it is not followed to its end, which may be that of the
                // text, from each such key again.
                Rule::Detector(Detector::AwsSecret) => end.min(pair.after() + 2 * AWS_SECRET),
                _ => end,
            };
            // What is shown is read again from each key in it: an address is looked for within a
            // bound, and what goes on is none.
            let near = if found.unless_address {
                end.min(pair.after() + LONGEST_ADDRESS)
            } else {
                end
            };
            let Some(mut value) = pair.value(&bytes[..near], &mut around, hiding) else {
                continue;
            };
            let goes_on = value.end == near && near < end;
            if goes_on && let Some(whole) = pair.value(&bytes[..end], &mut around, hiding) {
                value = whole;
            }
            if is_phone(pair.key) {
                value.end = end_of_phone(&bytes[..end], value.start, value.end);
            }
            let says = &bytes[value.start..value.end];
            let is_it = match rule {
                Rule::Detector(Detector::UrlQuery) => is_credential_of(pair.key, says),
                Rule::Detector(_) => says.len() == AWS_SECRET,
                Rule::Key { .. } => {
                    let says = text.get(value.start..value.end);
                    !(found.unless_address && !goes_on && says.is_some_and(is_network_address))
                }
            };
            if !is_it {
                continue;
            }
            if value.end <= until {
                at = at.max(value.next(bytes));
                continue;
            }
            hits.push(Hit {
                start: value.start,
                end: value.end,
                rule,
                needs_quotes: value.needs_quotes,
            });
            // Keys in it are looked for once more, but not in what was hidden before: no byte is
            // read for more than two of them.
            at = at.max(until);
            (until, is_until_header) = (value.end, hiding.header);
        }
    }

    /// Pairs that have another form: encoded, as elements, as arguments.
    fn other_pairs(&self, text: &str, signs: Signs, hits: &mut Vec<Hit>) {
        if signs.may_have_encoded_pairs() {
            let mut at = 0;
            while let Some(pair) = encoded::next(text, &mut at) {
                if let Some(found) = self.rule(text, pair.key) {
                    let (start, end) = pair.value(text);
                    hits.extend(found.hit(text, start, end));
                    at = at.max(end);
                }
            }
        }
        if signs.may_have_elements() {
            let mut at = 0;
            while let Some(element) = elements::next(text, &mut at) {
                if let Some(found) = self.rule(text, element.name) {
                    hits.extend(found.hit(text, element.start, element.end));
                }
            }
        }
        if signs.may_have_inserts() {
            let rule = |name| self.rule(text, name);
            inserts::literals(text, rule, |found, start, end| {
                hits.extend(found.hit(text, start, end));
            });
        }
        if signs.may_have_mentions() {
            self.mentions(text, hits);
        }
        if !signs.may_have_command_line() {
            return;
        }
        commands::arguments(text, |argument| match argument {
            Argument::Option { key, start, end } => {
                let found = self.rule(text, key);
                hits.extend(found.and_then(|found| found.hit(text, start, end)));
            }
            Argument::Secret { start, end } if self.wants(Detector::CommandLine) => {
                let rule = Rule::Detector(Detector::CommandLine);
                hits.push(Hit::new(start, end, rule));
            }
            Argument::Secret { .. } => {}
        });
    }

    /// Secrets in running text: `the new password is …`.
    fn mentions(&self, text: &str, hits: &mut Vec<Hit>) {
        let (mut at, mut before) = (0, mentions::Before::default());
        while let Some(mention) = mentions::next(text, &mut at, &mut before) {
            hits.extend(mention.keys().find_map(|key| {
                let found = self.rule_of_reading(text, key)?;
                let Rule::Key { rule, .. } = found.rule else {
                    return None;
                };
                // Only what is secret has the form of one.
                let tier = RULES.named().get(rule).map(|(_, tier)| *tier);
                let (start, end) = mention
                    .value(text, key)
                    .filter(|_| tier != Some(Tier::Pii))?;
                found.hit(text, start, end)
            }));
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
            // The end of a value with escapes in it may be the end of an escape, and no list is a
            // string.
            let is_string =
                quotes.is_none() || !value.contains(|c: char| c == '"' || c.is_control());
            if alone && is_string && find(value.as_bytes(), b'\\', 0).is_none() {
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

/// Returns whether the value of a key is a number that people write in groups.
fn is_phone(key: &str) -> bool {
    let ends = ["phone", "mobile", "tel", "fax", "number", "no"];
    ends.iter().any(|end| {
        let last = key
            .len()
            .checked_sub(end.len())
            .and_then(|at| key.get(at..));
        last.is_some_and(|last| last.eq_ignore_ascii_case(end))
    })
}

/// Returns where a number ends of which the first group ends at `end`: `+49 171 5550123`.
fn end_of_phone(text: &[u8], start: usize, end: usize) -> usize {
    const MAX_GROUPS: usize = 8;
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+()-./".contains(byte);
    if !text[start..end].iter().all(is_part) {
        return end;
    }
    let mut at = end;
    for _ in 0..MAX_GROUPS {
        let Some(group) = text.get(at..).and_then(|rest| rest.strip_prefix(b" ")) else {
            break;
        };
        let length = group
            .iter()
            .take(16)
            .take_while(|byte| is_part(byte))
            .count();
        let digits = group[..length].iter().filter(|byte| byte.is_ascii_digit());
        // A group ends as a value does: `2 of 3`, `42ms` are none.
        let ends = group
            .get(length)
            .is_none_or(|byte| is_space(*byte) || b",;&\"')}]".contains(byte));
        if digits.count() < 2 || !ends {
            break;
        }
        at += 1 + length;
    }
    at
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

/// Returns whether the value of a parameter is a credential whose name is a word elsewhere: not
/// `?code=404`, `?code=NOT_FOUND`. A signature is one whatever it says.
fn is_credential_of(key: &str, value: &[u8]) -> bool {
    let is_signature = find(key.as_bytes(), b'g', 0).is_some() || key.starts_with(['X', 'x']);
    value.len() >= SHORTEST_PARAMETER && (is_signature || !credential::is_words(value))
}

/// A parameter of a URL whose name is a word elsewhere is no credential if it is shorter:
/// `?code=404`.
const SHORTEST_PARAMETER: usize = 8;

/// No address of a network that is shown is longer, with the gap and the quote before it.
const LONGEST_ADDRESS: usize = 256;

/// The length of a secret access key.
const AWS_SECRET: usize = 40;
