//! The grammar of `LOG_SAMPLE`.

use std::{cmp::Reverse, num::ParseIntError, str::FromStr};

use spanwise_core::{
    ParseError,
    internal::{TextSetting, parse_duration, parse_level, parse_percentage, suggest},
};
use tracing::Level;

use crate::{EventMatcher, First, Limit, Rate, Sampler, SamplerBuilder};

/// Parses rules in the syntax of [`Sampler`], and sorts them so that the most specific rule comes
/// first.
///
/// ```
/// use spanwise_sample::Sampler;
///
/// let sampler: Sampler = "info=0.1, sqlx=5/s, shop::cache=first:10/100".parse()?;
/// assert_eq!(sampler.to_string(), "shop::cache=first:10/100,sqlx=5/s,info=0.1");
///
/// assert_eq!(
///     "inof=0.1,sqlx=5/x".parse::<Sampler>().unwrap_err().to_string(),
///     "`inof=0.1`: `inof` is not a level: did you mean `info`? (if `inof` is a target, \
///      write `inof::`); `sqlx=5/x`: `x` is not a time: write s, m, h or ms, or a number of them, such as 10s"
/// );
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
impl FromStr for SamplerBuilder {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut rules: Vec<(EventMatcher, Limit)> = Vec::new();
        let mut problems: Vec<String> = Vec::new();
        let mut previous_word = "";
        for word in text.split(',').map(str::trim) {
            match parse_rule(word, previous_word) {
                Ok((matcher, _))
                    if rules
                        .iter()
                        .any(|(other, _)| match_same_events(&matcher, other)) =>
                {
                    problems.push(format!("`{word}`: `{matcher}` occurs twice: write it once"));
                }
                Ok(rule) => rules.push(rule),
                Err(problem) if problems.contains(&problem) => {}
                Err(problem) => problems.push(problem),
            }
            previous_word = word;
        }
        ParseError::check(problems)?;
        // Sorts by the length of the target. Rules for a level have no target, so they come last.
        rules.sort_by_key(|(matcher, _)| {
            let target = matcher.target.as_ref();
            Reverse(target.map(|target| target.as_str().len()))
        });
        let builder = Self::default();
        Ok(rules
            .into_iter()
            .fold(builder, |builder, (matcher, limit)| {
                builder.rule(matcher, limit)
            }))
    }
}

/// Returns whether two matchers from `LOG_SAMPLE`, which have no conditions on values, match the
/// same events. A hyphen in a target also matches an underscore, so both count as the same.
fn match_same_events(matcher: &EventMatcher, other: &EventMatcher) -> bool {
    let target = |matcher: &EventMatcher| {
        let target = matcher.target.as_ref();
        target.map(|target| target.as_str().replace('-', "_"))
    };
    matcher.level == other.level && target(matcher) == target(other)
}

impl TextSetting for Sampler {}

impl FromStr for Sampler {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse().map(SamplerBuilder::build)
    }
}

/// Parses a rule. `previous_word` is needed to detect a decimal comma, as in `info=0,1`.
fn parse_rule(word: &str, previous_word: &str) -> Result<(EventMatcher, Limit), String> {
    if word.is_empty() {
        return Err(
            "an empty word: write a level or a target and what is kept of it, such as `info=0.1`, \
             joined by commas"
                .to_owned(),
        );
    }
    if let Some((first_rule, _)) = word.split_once(';') {
        return Err(format!(
            "`{word}`: words are joined by commas: write `{first_rule},…`"
        ));
    }
    let mut parts = word.split_whitespace();
    if parts.clone().count() > 1 && parts.all(|part| part.split_once('=').is_some_and(is_complete))
    {
        let joined = word.split_whitespace().collect::<Vec<_>>().join(",");
        let advice = match joined.parse::<SamplerBuilder>() {
            Ok(_) => format!(": write `{joined}`"),
            Err(_) => String::new(),
        };
        return Err(format!("`{word}`: words are joined by commas{advice}"));
    }
    let Some((matcher, limit)) = word.split_once('=') else {
        return Err(missing_limit_error(word, previous_word));
    };
    let (matcher, limit) = (matcher.trim(), limit.trim());
    // A limit word is accepted as a target if the rule is valid: see `suspect_targets`.
    let is_invalid = || suggest::closest_level(matcher).is_some() || parse_limit(limit).is_err();
    if is_limit_word(matcher) && is_invalid() {
        let limit = match parse_first(limit) {
            Ok(_) if matcher.eq_ignore_ascii_case("first") => format!("first:{limit}"),
            _ => example_limit(limit),
        };
        return Err(format!(
            "`{word}`: `{matcher}` is neither a level nor a target: write one before the `=`, \
             such as `info={limit}` (if `{matcher}` is a target, write `{matcher}::`)"
        ));
    }
    let matcher = parse_matcher(matcher).map_err(|problem| format!("`{word}`: {problem}"));
    let limit = parse_limit(limit).map_err(|problem| format!("`{word}`: {problem}"));
    Ok((matcher?, limit?))
}

/// Words that describe a limit, and that are probably not meant as a target.
const LIMIT_WORDS: [&str; 9] = [
    "first",
    "limit",
    "percent",
    "percentage",
    "probability",
    "rate",
    "ratio",
    "sample",
    "sampling",
];

/// Returns whether a target is a word for a limit, such as `ratio`.
pub(crate) fn is_limit_word(target: &str) -> bool {
    let mut words = LIMIT_WORDS.iter();
    words.any(|word| word.eq_ignore_ascii_case(target))
}

/// Returns a valid limit as an example for an error: the limit that `text` means, or else `0.1`.
fn example_limit(text: &str) -> String {
    match parse_percentage(text) {
        Some(ratio) => ratio.to_string(),
        None if parse_limit(text).is_ok() => text.to_owned(),
        None => "0.1".to_owned(),
    }
}

/// Returns whether neither the matcher nor the limit of a rule is empty.
fn is_complete((matcher, limit): (&str, &str)) -> bool {
    !matcher.is_empty() && !limit.is_empty()
}

/// Returns the corrected rule, if a word without `=` has a colon in its place.
fn with_equals_sign(word: &str) -> Option<String> {
    let mut splits = word.match_indices(':').map(|(at, _)| {
        let matcher = word[..at].trim_end_matches([':', ' ']);
        (matcher, word[at + 1..].trim_start())
    });
    let (matcher, limit) = splits
        .find(|(matcher, limit)| parse_matcher(matcher).is_ok() && parse_limit(limit).is_ok())?;
    Some(format!("{matcher}={limit}"))
}

/// Words that are probably meant as an on/off switch, and not as a target.
const SWITCHES: [&str; 6] = ["on", "true", "yes", "off", "false", "no"];

/// Returns the error for a word without `=`.
fn missing_limit_error(word: &str, previous_word: &str) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ratio = previous_word
        .rsplit_once('=')
        .filter(|(_, ratio)| is_number(ratio));
    if ratio.is_some() && is_number(word) {
        format!(
            "`{previous_word},{word}`: a ratio is written with a point: write \
             `{previous_word}.{word}`"
        )
    } else if word.starts_with("first:") || word.starts_with(|first: char| first.is_ascii_digit()) {
        let limit = example_limit(word);
        let problem = match parse_limit(word) {
            Err(problem) if parse_percentage(word).is_none() => format!("; {problem}"),
            _ => String::new(),
        };
        format!(
            "`{word}` has no level or target: write one before it, such as `info={limit}`{problem}"
        )
    } else if let Some(rule) = with_equals_sign(word) {
        format!("`{word}` has no `=`: write `{rule}`")
    } else if parse_matcher(word).is_ok()
        && !SWITCHES
            .iter()
            .any(|switch| word.eq_ignore_ascii_case(switch))
    {
        format!(
            "`{word}` has no limit: write `{word}=0` to keep nothing, `{word}=0.1` for a tenth, \
             `{word}=5/s` for five per second"
        )
    } else {
        format!(
            "`{word}` is not a rule: write a level or a target, and what is kept of it, such as \
             `info=0.1`"
        )
    }
}

/// Parses the name of a level that an event can have, so not `off`. Returns `None` for a number,
/// which is a target here.
pub(crate) fn event_level(name: &str) -> Option<Level> {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    parse_level(name)?.into_level()
}

fn parse_matcher(name: &str) -> Result<EventMatcher, String> {
    if let Some(level) = event_level(name) {
        return Ok(EventMatcher::level(level));
    }
    let target = name.strip_suffix("::").unwrap_or(name);
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '/');
    if target.is_empty() {
        return Err("nothing before the `=`: write a level or a target".to_owned());
    }
    if name == "*" {
        return Err(
            "there is no word for all levels: write each, such as `info=0.1,debug=0.1`".to_owned(),
        );
    }
    if name.contains('@') {
        return Err(format!(
            "`{name}` is neither a level nor a target: write a field behind a rate, such as \
             `info=5/s@tenant_id`"
        ));
    }
    if !target.chars().all(is_allowed) {
        return Err(format!("`{name}` is neither a level nor a target"));
    }
    match suggest::closest_level(name) {
        _ if name.eq_ignore_ascii_case("all") => Err(format!(
            "there is no word for all levels: write each, such as `info=0.1,debug=0.1` (if \
             `{name}` is a target, write `{name}::`)"
        )),
        Some("off") => Err(format!(
            "`{name}` is not a level of events: write 0 to keep none, such as `info=0` (if \
             `{name}` is a target, write `{name}::`)"
        )),
        Some(level) => Err(format!(
            "`{name}` is not a level: did you mean `{level}`? (if `{name}` is a target, \
             write `{name}::`)"
        )),
        None => Ok(EventMatcher::target(target)),
    }
}

const ACCEPTED_LIMITS: &str = "a ratio such as 0.1, a rate such as 5/s, or first:10/100";

fn parse_limit(text: &str) -> Result<Limit, String> {
    if text.is_empty() {
        return Err(format!("nothing after the `=`: write {ACCEPTED_LIMITS}"));
    }
    if let Some(first) = text.strip_prefix("first:") {
        return parse_first(first);
    }
    if let Some(corrected) = corrected_first(text) {
        return Err(format!(
            "`{text}` is not {ACCEPTED_LIMITS}: did you mean `{corrected}`?"
        ));
    }
    if text.contains('/') {
        return parse_rate(text);
    }
    if let Some((count, key)) = text.split_once('@') {
        return Err(match parse_count(count) {
            Ok(_) => format!("`{text}` has no period: write {count}/s@{key}, or another period"),
            Err(_) => {
                format!("`{text}`: `@{key}` belongs to a rate: write one such as 5/s@{key}")
            }
        });
    }
    match text.parse::<f64>() {
        Ok(1.0) => Ok(Limit::keep()),
        Ok(count) if count > 1.0 && count.fract() == 0.0 => Err(format!(
            "`{text}` is out of range: a ratio lies between 0 and 1, 1 keeps every event; for \
             {text} per second at each callsite write {text}/s"
        )),
        Ok(ratio) if ratio.is_finite() => Limit::ratio(ratio).map_err(|error| error.to_string()),
        _ => Err(match parse_percentage(text) {
            Some(ratio) => format!("`{text}` is a percentage: write {ratio}"),
            None => {
                let hint = match &*text.to_ascii_lowercase() {
                    "off" | "none" | "no" | "false" => "; write 0 to keep none",
                    "on" | "all" | "yes" | "true" => "; write 1 to keep all",
                    _ => "",
                };
                format!("`{text}` is not {ACCEPTED_LIMITS}{hint}")
            }
        }),
    }
}

/// Returns the corrected limit, if a text begins with a misspelled `first` or has another sign in
/// place of the colon: `frist:10`, `first=10`, `First 10/100`.
fn corrected_first(text: &str) -> Option<String> {
    let name_len = text.find(|c: char| !c.is_alphabetic())?;
    let (name, counts) = text.split_at(name_len);
    suggest::closest(name, ["first"])?;
    let counts = counts.trim_start_matches([':', '=', ' ', '/']);
    parse_first(counts).ok()?;
    Some(format!("first:{counts}"))
}

/// Parses `5/s`, `5/s/20`, `5/s/20@tenant_id`.
fn parse_rate(text: &str) -> Result<Limit, String> {
    let text_and_key = text.split_once('@');
    let (text, key) = match text_and_key.map(|(text, key)| (text, key.trim())) {
        Some((_, "")) => {
            return Err("no field after the `@`: write one, such as 5/s@tenant_id".to_owned());
        }
        Some((rate, key)) => {
            let corrected = key.split_once('/');
            let corrected = corrected.map(|(key, burst)| (key, format!("{rate}/{burst}@{key}")));
            if let Some((key, corrected)) =
                corrected.filter(|(_, corrected)| parse_rate(corrected).is_ok())
            {
                return Err(format!(
                    "`@{key}` is the last part of a rate: write {corrected}"
                ));
            }
            if key.contains(|c: char| c.is_whitespace() || matches!(c, '=' | '@')) {
                return Err(format!(
                    "`{key}` is not the name of a field: write one, such as {rate}@tenant_id"
                ));
            }
            (rate, Some(key))
        }
        None => (text, None),
    };
    let mut parts = text.split('/');
    let events = parse_count(parts.next().unwrap_or_default())?;
    let time = parts.next().unwrap_or_default();
    // `5/10` may mean five in ten seconds, or a ratio of 0.5.
    if let (None, Ok(number @ 1..)) = (parts.clone().next(), time.parse::<u32>()) {
        let ratio = f64::from(events) / f64::from(number);
        let or_ratio = if ratio <= 1.0 {
            format!(", or {ratio} for that ratio")
        } else {
            String::new()
        };
        return Err(format!(
            "`{text}` has no period: write {events}/{number}s for {events} in {number} seconds{or_ratio}"
        ));
    }
    let mut limit = Rate::new(events, parse_duration(time)?);
    if let Some(burst) = parts.next() {
        limit = match parse_count(burst)? {
            0 => {
                return Err(format!(
                    "`/{burst}` is too little: a burst is at least one event; write 0 to keep none"
                ));
            }
            burst => limit.burst(burst),
        };
    }
    if let Some(more) = parts.next() {
        return Err(format!(
            "`/{more}` is too much: a rate is 5/s, or 5/s/20 with bursts of 20"
        ));
    }
    if let Some(key) = key {
        limit = limit.per_value_of(key);
    }
    Ok(limit.into())
}

/// Parses `10`, `10/100`, `10/m`, `10/100/m`.
fn parse_first(text: &str) -> Result<Limit, String> {
    if let Some((_, key)) = text.split_once('@') {
        return Err(format!(
            "`@{key}` belongs to a rate, such as 5/s@{key}: first counts the events of each \
             callsite, whatever their values"
        ));
    }
    let mut parts = text.split('/');
    let mut limit = First::new(parse_count(parts.next().unwrap_or_default())?);
    let mut part = parts.next();
    if let Some(every) = part.filter(|part| part.bytes().all(|byte| byte.is_ascii_digit())) {
        limit = limit.then_every(parse_count(every)?);
        part = parts.next();
    }
    if let Some(period) = part {
        limit = limit.within(parse_duration(period)?);
    }
    match parts.next() {
        None => Ok(limit.into()),
        Some(more) => Err(format!(
            "`/{more}` is too much: write first:10, first:10/100 (and then every 100th), or \
             first:10/100/m (in each minute)"
        )),
    }
}

fn parse_count(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|error: ParseIntError| match error.kind() {
            std::num::IntErrorKind::PosOverflow => {
                format!("`{text}` is too large: at most {}", u32::MAX)
            }
            _ => format!("`{text}` is not a number of events: write a whole number, such as 5"),
        })
}
