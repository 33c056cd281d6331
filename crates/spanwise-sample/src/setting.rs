//! The words of `LOG_SAMPLE`.

use std::{num::ParseIntError, str::FromStr, time::Duration};

use spanwise_core::internal::{Grammar, parse_level, suggest};
use tracing::Level;

use crate::{
    Limit, SampleError, Sampler, SamplerBuilder, When, first, keep, limit::UNITS, rate, ratio,
};

/// The rules that a text names, in the order in which they are asked. See [`Sampler`].
///
/// ```
/// use spanwise_sample::Sampler;
///
/// let sampler: Sampler = "info=0.1, sqlx=5/s, shop::cache=first:10/100".parse()?;
/// assert_eq!(sampler.to_string(), "shop::cache=first:10/100,sqlx=5/s,info=0.1");
///
/// assert_eq!(
///     "inof=0.1,sqlx=5/x".parse::<Sampler>().unwrap_err().to_string(),
///     "`inof=0.1`: `inof` is not a level: did you mean `info`? (a target of that name is written `inof::`); \
///      `sqlx=5/x`: `x` is not a time: write s, m, h or ms, or so many of them, such as 10s"
/// );
/// # Ok::<(), spanwise_sample::SampleError>(())
/// ```
impl FromStr for SamplerBuilder {
    type Err = SampleError;

    fn from_str(text: &str) -> Result<Self, SampleError> {
        let mut rules: Vec<(When, Limit)> = Vec::new();
        let mut problems: Vec<String> = Vec::new();
        let mut before = "";
        for word in text.split(',').map(str::trim) {
            match parse(word, before) {
                Ok((when, _)) if rules.iter().any(|(other, _)| *other == when) => {
                    problems.push(format!("`{word}`: `{when}` is there twice: write it once"));
                }
                Ok(rule) => rules.push(rule),
                Err(problem) if problems.contains(&problem) => {}
                Err(problem) => problems.push(problem),
            }
            before = word;
        }
        SampleError::all(problems)?;
        // The most specific first; a level has no target.
        rules.sort_by_key(|(when, _)| {
            std::cmp::Reverse(when.target.as_ref().map(|target| target.as_str().len()))
        });
        let builder = Self::default();
        Ok(rules
            .into_iter()
            .fold(builder, |builder, (when, limit)| builder.rule(when, limit)))
    }
}

impl Grammar for Sampler {}

impl FromStr for Sampler {
    type Err = SampleError;

    fn from_str(text: &str) -> Result<Self, SampleError> {
        text.parse().map(SamplerBuilder::build)
    }
}

/// The rule that a word says. `before` is the word before it, of which it may be a part by mistake.
fn parse(word: &str, before: &str) -> Result<(When, Limit), String> {
    if word.is_empty() {
        return Err(
            "an empty word: write a level or a target and what is kept of it, such as `info=0.1`, joined by commas"
                .to_owned(),
        );
    }
    if let Some((first, _)) = word.split_once(';') {
        return Err(format!(
            "`{word}`: words are joined by commas: write `{first},…`"
        ));
    }
    let Some((when, limit)) = word.split_once('=') else {
        return Err(no_rule(word, before));
    };
    let named = parse_when(when.trim()).map_err(|problem| format!("`{word}`: {problem}"));
    let limit = parse_limit(limit.trim()).map_err(|problem| format!("`{word}`: {problem}"));
    Ok((named?, limit?))
}

/// Words that are meant for the whole setting, and are no target.
const SWITCHES: [&str; 6] = ["on", "true", "yes", "off", "false", "no"];

/// What is wrong with a word without `=`.
fn no_rule(word: &str, before: &str) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let share = before
        .rsplit_once('=')
        .filter(|(_, share)| is_number(share));
    if share.is_some() && is_number(word) {
        format!("`{before},{word}`: a share is written with a point: write `{before}.{word}`")
    } else if word.starts_with("first:") || word.starts_with(|first: char| first.is_ascii_digit()) {
        format!(
            "`{word}` does not say of what: write a level or a target before it, such as `info={word}`"
        )
    } else if parse_when(word).is_ok() && !SWITCHES.iter().any(|on| word.eq_ignore_ascii_case(on)) {
        format!(
            "`{word}` does not say how much is kept: write `{word}=0` for nothing, `{word}=0.1` for a tenth, `{word}=5/s` for five a second"
        )
    } else {
        format!(
            "`{word}` does not say of what, or how much: write a level or a target, and what is kept of it, such as `info=0.1`"
        )
    }
}

/// The level of events that a word names, as every setting understands it; a number is a target.
pub(crate) fn level(name: &str) -> Option<Level> {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    parse_level(name)?.into_level()
}

fn parse_when(name: &str) -> Result<When, String> {
    if let Some(level) = level(name) {
        return Ok(When::level(level));
    }
    let target = name.strip_suffix("::").unwrap_or(name);
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '/');
    if target.is_empty() {
        return Err("nothing before the `=`: write a level or a target".to_owned());
    }
    if name == "*" {
        return Err(
            "there is no word for all: write each level, such as `info=0.1,debug=0.1`".to_owned(),
        );
    }
    if !target.chars().all(allowed) {
        return Err(format!("`{name}` is neither a level nor a target"));
    }
    match suggest::closest_level(name) {
        _ if name.eq_ignore_ascii_case("all") => Err(format!(
            "there is no word for all: write each level, such as `info=0.1,debug=0.1` (a target of that name is written `{name}::`)"
        )),
        Some("off") => Err(format!(
            "`{name}` is not a level of events: write 0 to keep none, such as `info=0` (a target of that name is written `{name}::`)"
        )),
        Some(level) => Err(format!(
            "`{name}` is not a level: did you mean `{level}`? (a target of that name is written `{name}::`)"
        )),
        None => Ok(When::target(target)),
    }
}

/// What there is to be said after the `=`.
const ACCEPTED: &str = "a ratio such as 0.1, a rate such as 5/s, or first:10/100";

fn parse_limit(text: &str) -> Result<Limit, String> {
    if text.is_empty() {
        return Err(format!("nothing after the `=`: write {ACCEPTED}"));
    }
    if let Some(first) = text.strip_prefix("first:") {
        return parse_first(first);
    }
    if text.contains('/') {
        return parse_rate(text);
    }
    if let Some((count, key)) = text.split_once('@') {
        return Err(format!(
            "`{text}` does not say in which time: write {count}/s@{key}, or another time"
        ));
    }
    match text.parse::<f64>() {
        Ok(1.0) => Ok(keep()),
        Ok(count) if count > 1.0 && count.fract() == 0.0 => Err(format!(
            "`{text}` is out of range: a ratio lies between 0 and 1, 1 keeps every event; for {text} a second of each place in the code write {text}/s"
        )),
        Ok(share) if share.is_finite() => ratio(share).map_err(|error| error.to_string()),
        _ if ["off", "none", "no", "false"]
            .iter()
            .any(|off| text.eq_ignore_ascii_case(off)) =>
        {
            Err(format!("`{text}` is not {ACCEPTED}; write 0 to keep none"))
        }
        _ if ["on", "all", "yes", "true"]
            .iter()
            .any(|on| text.eq_ignore_ascii_case(on)) =>
        {
            Err(format!("`{text}` is not {ACCEPTED}; write 1 to keep all"))
        }
        _ => Err(match of_percent(text) {
            Some(share) => format!("`{text}` is a share of a hundred: write {share}"),
            None => format!("`{text}` is not {ACCEPTED}"),
        }),
    }
}

/// What `10%` is as a share.
fn of_percent(text: &str) -> Option<f64> {
    let percent: f64 = text.strip_suffix('%')?.trim_end().parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// `0.01`, of something.
pub(crate) fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share.is_finite() => Ok(share),
        _ => Err(format!(
            "`{text}` is not a share: write one from 0 to 1, such as 0.01"
        )),
    }
}

/// `5/s`, `5/s/20`, `5/s/20@tenant_id`.
fn parse_rate(text: &str) -> Result<Limit, String> {
    let (text, key) = match text.split_once('@') {
        Some((_, "")) => {
            return Err("no field after the `@`: write one, such as 5/s@tenant_id".to_owned());
        }
        Some((text, key)) => (text, Some(key)),
        None => (text, None),
    };
    let mut parts = text.split('/');
    let events = parse_count(parts.next().unwrap_or_default())?;
    let time = parts.next().unwrap_or_default();
    if let (None, Ok(of @ 1..)) = (parts.clone().next(), time.parse::<u32>()) {
        let share = f64::from(events) / f64::from(of);
        let share = if share <= 1.0 {
            format!(", or {share} for that share")
        } else {
            String::new()
        };
        return Err(format!(
            "`{text}` does not say in which time: write {events}/{of}s for {events} in {of} seconds{share}"
        ));
    }
    let mut limit = rate(events).within(parse_time(time)?);
    if let Some(burst) = parts.next() {
        limit = match parse_count(burst)? {
            0 => {
                return Err(format!(
                    "`/{burst}` is too little: a burst is of one event at least; write 0 to keep none"
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
        limit = limit.per(key);
    }
    Ok(limit.into())
}

/// `10`, `10/100`, `10/m`, `10/100/m`.
fn parse_first(text: &str) -> Result<Limit, String> {
    if let Some((_, key)) = text.split_once('@') {
        return Err(format!(
            "`@{key}` belongs to a rate, such as 5/s@{key}: first counts the events of each place in the code, whatever their values"
        ));
    }
    let mut parts = text.split('/');
    let mut limit = first(parse_count(parts.next().unwrap_or_default())?);
    let mut part = parts.next();
    if let Some(every) = part.filter(|part| part.bytes().all(|byte| byte.is_ascii_digit())) {
        limit = limit.then_every(parse_count(every)?);
        part = parts.next();
    }
    if let Some(tick) = part {
        limit = limit.within(parse_time(tick)?);
    }
    match parts.next() {
        None => Ok(limit.into()),
        Some(more) => Err(format!(
            "`/{more}` is too much: write first:10, first:10/100 (and then every 100th), or first:10/100/m (in each minute)"
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

pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, name) = text.split_at(digits);
    let unit = UNITS.iter().find(|(unit, _)| *unit == name);
    let count = if count.is_empty() {
        Ok(1)
    } else {
        count.parse::<u32>()
    };
    match (unit, count) {
        (Some((_, unit)), Ok(count)) if count > 0 => Ok(*unit * count),
        _ => Err(format!(
            "`{text}` is not a time: write s, m, h or ms, or so many of them, such as 10s"
        )),
    }
}
