//! Redacts texts: finds the matches of detectors and key rules in a text, and replaces them.

use std::{borrow::Cow, sync::atomic::Ordering};

use spanwise_core::REDACTED;

use super::{Action, Policy, RuleState};
use crate::{
    Detector,
    addresses::is_network_address,
    builtin_keys::QUERY_PARAMETERS,
    builtin_rules::{RULES, Tier},
    byte_search::{char_end, char_start, ends_with_word, find, is_space, run_end},
    char_stats::CharStats,
    commands,
    context_tracker::ContextTracker,
    credential, form_data,
    json_strings::JsonStrings,
    key_rules::{KeyDecision, Origin},
    matches::{Match, Matches, Rule},
    normalized_key::NormalizedKey,
    pair_lexer::{self, Pair},
    pair_value::RuleTraits,
    percent_encoded, prose_pairs,
    scan::{self, Survey},
    scan_cost, sql_inserts,
    value_end::ValueSpan,
    version_label,
    xml_elements::Elements,
};

/// A rule that hides the value of a key.
struct HidingRule {
    rule: Rule,
    /// Whether the rule is built in. A built-in rule shows values that are not credentials.
    is_built_in: bool,
    /// Whether the rule shows network addresses.
    shows_network_addresses: bool,
}

impl HidingRule {
    /// Returns the match for the value in `text[start..end]`, or `None` if this rule shows that
    /// value.
    fn match_in(&self, text: &str, start: usize, end: usize) -> Option<Match> {
        let value = text.get(start..end)?;
        let content = value.as_bytes();
        let is_shown = if self.is_built_in {
            credential::is_nothing(content)
                || credential::is_placeholder(content)
                || self.shows_network_addresses && is_network_address(value)
        } else {
            credential::is_absent(content)
        };
        (!is_shown).then(|| Match::new(start, end, self.rule))
    }

    /// Returns the value of `pair`, or `None` if this rule shows that value. The value ends at or
    /// before the end of `text`.
    fn value(
        &self,
        text: &str,
        pair: &Pair<'_>,
        context: &mut ContextTracker,
    ) -> Option<ValueSpan> {
        let bytes = text.as_bytes();
        let traits = RuleTraits {
            is_header: is_header(pair.key),
            is_built_in: self.is_built_in,
        };
        // An AWS secret has a fixed length, so a longer value is not read to its end. Without this
        // limit, each key could cost a scan of the rest of the text.
        let end = match self.rule {
            Rule::Detector(Detector::AwsSecret) => {
                bytes.len().min(pair.separator_end + 2 * AWS_SECRET_LEN)
            }
            _ => bytes.len(),
        };
        // A value that is a network address is shown, and is then scanned again for keys inside it.
        // So a value that may be such an address is first read only up to a limit. Without the
        // limit, the time would not be linear.
        let near_end = if self.shows_network_addresses {
            end.min(pair.separator_end + MAX_ADDRESS_LEN)
        } else {
            end
        };
        let mut value = pair.value(&bytes[..near_end], context, traits)?;
        let may_be_cut_off = value.end == near_end && near_end < end;
        if may_be_cut_off && let Some(longer) = pair.value(&bytes[..end], context, traits) {
            value = longer;
        }
        if may_be_grouped_number(pair.key) {
            value.end = end_of_number_groups(&bytes[..end], value.start, value.end);
        }
        let content = &bytes[value.start..value.end];
        let is_match = match self.rule {
            Rule::Detector(Detector::UrlQuery) => is_parameter_credential(pair.key, content),
            // `AwsSecret`, because `detector_of_pair` returns no other detectors.
            Rule::Detector(_) => content.len() == AWS_SECRET_LEN,
            Rule::Key { .. } => {
                let content = text.get(value.start..value.end);
                let is_address = content.is_some_and(is_network_address);
                let is_shown = self.shows_network_addresses && !may_be_cut_off && is_address;
                !is_shown
            }
        };
        is_match.then_some(value)
    }
}

impl Policy {
    /// Returns `text`, the value of `key`, with all matches replaced.
    #[inline]
    pub(super) fn redact<'t>(&self, key: Option<&str>, text: &'t str) -> Cow<'t, str> {
        let survey = Survey::new(text.as_bytes());
        if survey.is_clearly_clean(text.as_bytes()) && !self.has_paths_into(text) {
            return Cow::Borrowed(text);
        }
        self.scan(key, text, survey)
    }

    /// Returns whether a path rule may match inside the text. This check is separate, because a
    /// JSON array may have no `:` and no digit.
    #[inline]
    fn has_paths_into(&self, text: &str) -> bool {
        !self.rules.keys.paths().is_empty() && crate::json_paths::may_be_json(text)
    }

    /// Appends the result of [`redact`](Self::redact) to `shown`, unless the result is `text`
    /// itself. Returns whether anything was appended.
    #[inline]
    pub(super) fn append_redacted(
        &self,
        key: Option<&str>,
        text: &str,
        shown: &mut String,
    ) -> bool {
        let survey = Survey::new(text.as_bytes());
        let is_clean = survey.is_clearly_clean(text.as_bytes()) && !self.has_paths_into(text);
        !is_clean && self.scan_into(key, text, survey, shown)
    }

    // Not inlined: otherwise the fast path for a clean text would save registers to the stack.
    #[inline(never)]
    fn scan<'t>(&self, key: Option<&str>, text: &'t str, survey: Survey) -> Cow<'t, str> {
        let mut shown = String::new();
        if self.scan_into(key, text, survey, &mut shown) {
            Cow::Owned(shown)
        } else {
            Cow::Borrowed(text)
        }
    }

    #[inline(never)] // See `scan`.
    fn scan_into(&self, key: Option<&str>, text: &str, survey: Survey, shown: &mut String) -> bool {
        let mut matches = Matches::new();
        let wanted = self.rules.enabled_detectors;
        let stats = scan::detect(text.as_bytes(), survey, wanted, &mut matches);
        if let [found] = &*matches
            && key.is_some_and(|key| is_version(key, text, found))
        {
            return false;
        }
        if !matches.is_empty() || stats.may_have_keys() || self.has_paths_into(text) {
            self.append_key_matches(key, text, stats, &mut matches);
        }
        let is_changed = !matches.is_empty();
        if is_changed {
            self.render(text, &matches, shown);
        }
        is_changed
    }

    /// Appends the matches of key rules, and sorts all matches.
    #[inline(never)] // See `scan`.
    fn append_key_matches(
        &self,
        key: Option<&str>,
        text: &str,
        stats: CharStats,
        matches: &mut Matches,
    ) {
        // The JSON strings of the text. `None` until they are needed, for the value of a hidden key
        // or for a match. `Some(None)` if the text was parsed and is not JSON.
        let mut strings = None;
        if stats.may_have_pairs() {
            self.append_pairs(text, &mut strings, matches);
        }
        self.append_other_pairs(text, stats, matches);
        if self.has_paths_into(text) {
            crate::json_paths::find_matches(key, text, &self.rules.keys, matches);
        }
        if matches.is_empty() {
            return;
        }
        // If a key rule and a detector match the same value, the key rule is first and decides.
        let order = |found: &Match| {
            let is_detector = matches!(found.rule, Rule::Detector(_));
            (found.start, std::cmp::Reverse(found.end), is_detector)
        };
        matches.sort_by_key(order);
        if let Some(strings) = strings.get_or_insert_with(|| JsonStrings::parse(text)) {
            let aligned = strings.align(text, matches.to_vec());
            matches.replace(aligned);
            matches.sort_by_key(order);
        }
    }

    pub(super) fn wants(&self, detector: Detector) -> bool {
        self.rules.enabled_detectors & scan::detector_bit(detector) != 0
    }

    /// Returns the rule that hides a key inside `text`. `key` must be a slice of `text`.
    fn rule(&self, text: &str, key: &str) -> Option<HidingRule> {
        scan_cost::add(key.len());
        let (rule, origin, shows_network_addresses) = match self.rules.keys.decide(key) {
            KeyDecision::Hide { rule, origin } => (rule, origin, false),
            KeyDecision::HideUnlessNetworkAddress { rule } => (rule, Origin::BuiltIn, true),
            KeyDecision::Trust | KeyDecision::Pass => return None,
        };
        let key_start = key.as_ptr() as usize - text.as_ptr() as usize;
        let key_range = (key_start, key_start + key.len());
        Some(HidingRule {
            rule: Rule::Key { rule, key_range },
            is_built_in: origin == Origin::BuiltIn,
            shows_network_addresses,
        })
    }

    /// Like [`rule`](Self::rule), for a key that may have two words: `API key` is a key, but
    /// `password name` describes the key `password`.
    fn rule_of_reading(&self, text: &str, key: &str) -> Option<HidingRule> {
        if let Some((first, last)) = key.split_once(' ') {
            let is_second_word = pair_lexer::SECOND_WORDS
                .iter()
                .any(|word| last.eq_ignore_ascii_case(word));
            if !is_second_word && self.rule(text, first).is_some() {
                return None;
            }
        }
        self.rule(text, key)
    }

    /// Returns the detector for the value of a pair whose key no rule hides. Under some keys, a
    /// value is a secret only if it has the form of one: `?code=…`, `secret_key=…`.
    fn detector_of_pair(&self, pair: &Pair<'_>) -> Option<Detector> {
        // A cheap check first: normalizing a key is expensive.
        if !pair.may_be_parameter && !ends_with_word(pair.key.as_bytes(), b"key") {
            return None;
        }
        let normalized = NormalizedKey::new(pair.key);
        let name = normalized.full();
        let is_query = pair.may_be_parameter
            && QUERY_PARAMETERS
                .iter()
                .any(|query| query.as_bytes() == name);
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

    /// Appends matches for the values of pairs such as `key=value`.
    fn append_pairs(
        &self,
        text: &str,
        strings: &mut Option<Option<JsonStrings>>,
        matches: &mut Matches,
    ) {
        let bytes = text.as_bytes();
        let mut context = ContextTracker::default();
        let mut at = 0;
        // The end of the last hidden value, and whether that value is a header.
        let (mut hidden_end, mut is_hidden_header) = (0, false);
        // The name that the previous pair assigns to the next value.
        let mut assigned_name = None;
        while let Some(mut pair) = pair_lexer::next_pair(text, &mut at) {
            // A header extends to the end of the line. So a header inside a hidden value may extend
            // beyond that value, unless the hidden value is itself a header.
            let is_header_in_value = || !is_hidden_header && is_header(pair.key);
            if !pair.may_extend_beyond(bytes, hidden_end) && !is_header_in_value() {
                continue;
            }
            let name_of_value =
                std::mem::replace(&mut assigned_name, pair.name_of_next_value(text));
            // A part of a `multipart/form-data` body: `name="password"`, and its value on a later
            // line.
            if let Some(name) = assigned_name.filter(|(_, end)| *end > hidden_end)
                && form_data::has_attribute_at(bytes, pair.name_start)
                && let (name, name_end) = form_data::innermost_name(text, name)
                && let Some(rule) = self.rule(text, name)
                && let Some((start, end)) = form_data::value(bytes, name_end)
                && let Some(found) = rule.match_in(text, start, end)
            {
                matches.push(found);
                (hidden_end, is_hidden_header) = (end, false);
                continue;
            }
            let Some(hiding_rule) = self.rule_of_pair(text, &mut pair, name_of_value) else {
                continue;
            };
            let end = match strings.get_or_insert_with(|| JsonStrings::parse(text)) {
                Some(strings) => pair.max_end_in_json(text, strings),
                None => text.len(),
            };
            let Some(value) = hiding_rule.value(&text[..end], &pair, &mut context) else {
                continue;
            };
            if value.end <= hidden_end {
                at = at.max(value.next_separator_start(bytes));
                continue;
            }
            matches.push(Match {
                needs_quotes: value.needs_quotes,
                ..Match::new(value.start, value.end, hiding_rule.rule)
            });
            // Searches for keys inside this hidden value, but not inside the previous hidden value.
            // So each byte is read for at most two keys.
            at = at.max(hidden_end);
            (hidden_end, is_hidden_header) = (value.end, is_header(pair.key));
        }
    }

    /// Returns the rule that hides the value of a pair. `name` is the name that the previous pair
    /// assigns to the value, as in `name: API_TOKEN, value: …`, and the end of that name. If a rule
    /// hides this name, it becomes the key of `pair`.
    fn rule_of_pair<'t>(
        &self,
        text: &'t str,
        pair: &mut Pair<'t>,
        name: Option<(&'t str, usize)>,
    ) -> Option<HidingRule> {
        // A user rule about the pair's own key takes precedence over the name.
        let has_user_rule = || {
            self.rule(text, pair.key)
                .is_some_and(|rule| !rule.is_built_in)
        };
        let name = name.filter(|(_, end)| pair.is_value_after(text.as_bytes(), *end));
        if let Some((name, _)) = name.filter(|_| !has_user_rule())
            && let Some(rule) = self.rule(text, name)
        {
            pair.key = name;
            return Some(rule);
        }
        let rule_of_key = |key| {
            if key == pair.key {
                self.rule(text, key)
            } else {
                self.rule_of_reading(text, key)
            }
        };
        let rule = pair.readings(text).find_map(rule_of_key);
        let is_harmless = || {
            let phrase = pair.key_in_prose(text);
            phrase.is_some_and(|phrase| self.rules.keys.is_harmless_phrase(phrase))
        };
        if rule.as_ref().is_some_and(|rule| rule.is_built_in) && is_harmless() {
            return None;
        }
        rule.or_else(|| {
            let detector = self.detector_of_pair(pair)?;
            Some(HidingRule {
                rule: Rule::Detector(detector),
                is_built_in: true,
                shows_network_addresses: false,
            })
        })
    }

    /// Appends matches for the values of keys in other notations: percent-encoded pairs, XML
    /// elements, SQL, prose and command-line arguments.
    fn append_other_pairs(&self, text: &str, stats: CharStats, matches: &mut Matches) {
        if stats.may_have_encoded_pairs() {
            let mut at = 0;
            while let Some(pair) = percent_encoded::next(text, &mut at) {
                if let Some(rule) = self.rule(text, pair.key) {
                    let (start, end) = pair.value(text);
                    matches.extend(rule.match_in(text, start, end));
                    at = at.max(end);
                }
            }
        }
        if stats.may_have_xml_elements() {
            for element in Elements::new(text) {
                if let Some(rule) = self.rule(text, element.name) {
                    matches.extend(rule.match_in(text, element.start, element.end));
                }
            }
        }
        if stats.sql_insert {
            let rule_of_column = |name| self.rule(text, name);
            sql_inserts::each_literal(text, rule_of_column, |rule, start, end| {
                matches.extend(rule.match_in(text, start, end));
            });
        }
        if stats.may_have_prose_pairs() {
            self.append_prose_pairs(text, matches);
        }
        if !stats.command_line {
            return;
        }
        commands::arguments(text, |key, start, end| match key {
            Some(key) => {
                let rule = self.rule(text, key);
                matches.extend(rule.and_then(|rule| rule.match_in(text, start, end)));
            }
            None if self.wants(Detector::CommandLine) => {
                let rule = Rule::Detector(Detector::CommandLine);
                matches.push(Match::new(start, end, rule));
            }
            None => {}
        });
    }

    /// Appends matches for secrets in prose: `the new password is …`.
    fn append_prose_pairs(&self, text: &str, matches: &mut Matches) {
        let (mut at, mut before) = (0, prose_pairs::PrecedingWords::default());
        while let Some(pair) = prose_pairs::next(text, &mut at, &mut before) {
            matches.extend(pair.keys().find_map(|key| {
                let hiding_rule = self.rule_of_reading(text, key)?;
                let Rule::Key { rule, .. } = hiding_rule.rule else {
                    return None;
                };
                // In a sentence, PII such as a name looks like any other word. So the rules about
                // PII do not apply.
                let tier = RULES.named().get(rule).map(|(_, tier)| *tier);
                let (start, end) = pair.value(text, key).filter(|_| tier != Some(Tier::Pii))?;
                hiding_rule.match_in(text, start, end)
            }));
        }
    }

    /// Appends `text` to `out`, with its matches replaced, and counts the matches.
    fn render(&self, text: &str, matches: &[Match], out: &mut String) {
        out.reserve(text.len());
        let mut at = 0;
        let mut matches = matches.iter().peekable();
        while let Some(found) = matches.next() {
            // Overlapping matches are replaced as one. The result is the value of one key if the
            // first match is of a key rule and contains all others.
            let mut end = found.end;
            let mut is_one_value = true;
            while let Some(next) = matches.next_if(|next| next.start < end) {
                is_one_value &= next.end <= found.end && matches!(found.rule, Rule::Key { .. });
                end = end.max(next.end);
            }
            let start = char_start(text, found.start.max(at));
            let end = char_end(text, end);
            let rule_state = self.rule_state(found.rule);
            rule_state.count.fetch_add(1, Ordering::Relaxed);
            let value = &text[start..end];
            let name = match found.rule {
                Rule::Detector(detector) => detector.name(),
                Rule::Key {
                    key_range: (from, to),
                    ..
                } => &text[from..to],
            };
            out.push_str(&text[at..start]);
            let quotes = found
                .needs_quotes
                .map(|slashes| "\\".repeat(slashes) + "\"");
            out.extend(quotes.as_deref());
            let action = rule_state.action.unwrap_or(self.rules.action);
            // `KeepLast` and `Pseudonym` apply only to a plain string. `KeepLast` could cut an
            // escape in two, and a list is not a string.
            let is_whole_string = || {
                let is_string =
                    quotes.is_none() || !value.contains(|c: char| c == '"' || c.is_control());
                is_one_value && is_string && find(value.as_bytes(), b'\\', 0).is_none()
            };
            if matches!(action, Action::Redact | Action::Remove) || !is_whole_string() {
                out.push_str(REDACTED);
            } else {
                out.push_str(&self.replacement(rule_state, name, value));
            }
            out.extend(quotes.as_deref());
            at = end;
        }
        out.push_str(&text[at..]);
    }

    fn rule_state(&self, rule: Rule) -> &RuleState {
        match rule {
            Rule::Detector(detector) => &self.rules.detector_states[detector as usize],
            Rule::Key { rule, .. } => &self.rules.rule_states[rule],
        }
    }
}

/// Returns whether a match is the whole text, and is a version because of its key:
/// `app_version="1.2.3.4"`.
fn is_version(key: &str, text: &str, found: &Match) -> bool {
    found.rule == Rule::Detector(Detector::Ipv4)
        && text.trim_matches('"').len() == found.end - found.start
        && version_label::is_key_of_version(key)
}

/// Returns whether the key may name a number in several groups, such as a phone number.
fn may_be_grouped_number(key: &str) -> bool {
    let mut ends = ["phone", "mobile", "tel", "fax", "number", "no"].iter();
    ends.any(|end| ends_with_word(key.as_bytes(), end.as_bytes()))
}

/// Returns the end of a number such as `+49 171 5550123`, whose first group ends at `end`. Returns
/// `end` for any other value.
fn end_of_number_groups(text: &[u8], start: usize, end: usize) -> usize {
    const MAX_GROUPS: usize = 8;
    let is_part = |byte: u8| byte.is_ascii_digit() || b"+()-./".contains(&byte);
    if !text[start..end].iter().all(|byte| is_part(*byte)) {
        return end;
    }
    let mut at = end;
    for _ in 0..MAX_GROUPS {
        let Some(group) = text.get(at..).and_then(|rest| rest.strip_prefix(b" ")) else {
            break;
        };
        let length = run_end(&group[..group.len().min(16)], 0, is_part);
        let digits = group[..length].iter().filter(|byte| byte.is_ascii_digit());
        // A group must end like a value, so `42ms` is not a group.
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

/// Returns whether the key names an HTTP header whose value is a secret.
fn is_header(key: &str) -> bool {
    let normalized = NormalizedKey::new(key);
    let name = normalized.last_part();
    name.ends_with(b"authorization") || name == b"cookie" || name == b"setcookie"
}

/// Returns whether the value of one of the [`QUERY_PARAMETERS`] is a credential. Short values and
/// words are not (`?code=404`, `?code=NOT_FOUND`), except that a signature may consist of words.
fn is_parameter_credential(key: &str, value: &[u8]) -> bool {
    // Only the names of signatures and of parameters in signed URLs have a `g` or begin with `X`.
    let is_signature = key.contains(['g', 'G']) || key.starts_with(['X', 'x']);
    value.len() >= MIN_PARAMETER_LEN && (is_signature || !credential::is_words(value))
}

/// The minimum length of a credential in one of the [`QUERY_PARAMETERS`], in bytes.
const MIN_PARAMETER_LEN: usize = 8;

/// The maximum length of a shown network address, in bytes, with a space and a quote before it.
const MAX_ADDRESS_LEN: usize = 256;

/// The length of a secret access key of AWS, in bytes.
const AWS_SECRET_LEN: usize = 40;
