//! Parsers for the texts of settings, from variables and from code.

use std::{fmt, str::FromStr};

use spanwise_appender::ByteSize;
use spanwise_core::{
    Levels, ParseError, Setting, TargetLevels,
    internal::{parse_level, suggest::closest},
};
use spanwise_json::Format;
use spanwise_recorder::Recorder;
use spanwise_sample::Sampler;
use tracing::level_filters::LevelFilter;

use crate::{
    Preset, TimeZone, conceal,
    settings::{LOG_FORMAT, LOG_RECORDER, LOG_SPANS, LOG_TIME, RUST_LOG},
};

/// A mistake in a text.
pub(crate) enum Mistake {
    /// An error, which may quote the text: it comes after a colon.
    Error(String),
    /// The rest of a sentence that begins with the text.
    Predicate(String),
}

impl Mistake {
    pub(crate) fn error(error: impl fmt::Display) -> Self {
        Self::Error(error.to_string())
    }

    fn unknown(meant: Option<&str>, accepts: &str) -> Self {
        let meant = match meant {
            Some(meant) => format!("did you mean {meant}? "),
            None => String::new(),
        };
        Self::Predicate(format!("is unknown: {meant}accepts {accepts}"))
    }

    /// The whole sentence, about `text`, which is `shown` so.
    pub(crate) fn problem(&self, shown: &str, text: &str) -> String {
        match self {
            Self::Error(error) => format!("{shown}: {}", conceal::message(error, text)),
            Self::Predicate(predicate) => format!("{shown} {predicate}"),
        }
    }
}

/// One of the names of a setting.
pub(crate) fn named<T: Copy>(
    setting: &Setting,
    named: &[(&'static str, T)],
    text: &str,
) -> Result<T, Mistake> {
    let found = named
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    if let Some((_, one)) = found {
        return Ok(*one);
    }
    let names = || named.iter().map(|(name, _)| *name);
    let alias = Preset::of_environment(text).map(Preset::name);
    let alias = alias.filter(|alias| names().any(|name| name == *alias));
    let meant = closest(text, names()).or(alias);
    Err(Mistake::unknown(meant, setting.accepts))
}

/// [`TimeZone`]; a zone by its name is for the system.
pub(crate) fn time_zone(text: &str) -> Result<TimeZone, Mistake> {
    named(&LOG_TIME, &TimeZone::NAMED, text).map_err(|mistake| match mistake {
        Mistake::Predicate(unknown) => Mistake::Predicate(format!(
            "{unknown}; for another zone, write local and set TZ, such as TZ=Europe/Berlin"
        )),
        error @ Mistake::Error(_) => error,
    })
}

pub(crate) fn format(text: &str) -> Result<Format, Mistake> {
    let meant = || closest(text, Format::NAMES.iter().copied());
    text.parse()
        .map_err(|_| Mistake::unknown(meant(), LOG_FORMAT.accepts))
}

/// What is on or off.
pub(crate) fn switch(setting: &Setting, text: &str) -> Result<bool, Mistake> {
    is_on(text).ok_or_else(|| Mistake::unknown(None, setting.accepts))
}

pub(crate) fn is_on(text: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match () {
        () if is(["1", "true", "yes", "on"]) => Some(true),
        () if is(["0", "false", "no", "off"]) => Some(false),
        () => None,
    }
}

/// The level of one output.
pub(crate) fn level(setting: &Setting, text: &str) -> Result<LevelFilter, Mistake> {
    let level = parse_level(text).filter(|level| *level != LevelFilter::OFF);
    level.ok_or_else(|| {
        let meant =
            spanwise_core::internal::suggest::closest_level(text).filter(|level| *level != "off");
        Mistake::unknown(meant, setting.accepts)
    })
}

pub(crate) fn levels(text: &str) -> Result<Levels, Mistake> {
    let accepts = RUST_LOG.accepts;
    text.parse()
        .map_err(|error| Mistake::error(format_args!("{error}; accepts {accepts}")))
}

/// A word alone is refused, unless it is a level: `LOG_SPANS=close` is of another program.
pub(crate) fn span_levels(text: &str) -> Result<TargetLevels, Mistake> {
    let accepts = LOG_SPANS.accepts;
    let words = text.split(',').map(str::trim);
    let word = words
        .filter(|word| !word.is_empty() && !word.contains('='))
        .find(|word| parse_level(word).is_none());
    match (text.parse::<TargetLevels>(), word) {
        (Ok(levels), None) => Ok(levels),
        (Ok(_), Some(word)) => Err(Mistake::error(format_args!(
            "`{word}` is not a level; for a target of that name write `{word}=trace`; accepts {accepts}"
        ))),
        (Err(error), _) => Err(Mistake::error(format_args!("{error}; accepts {accepts}"))),
    }
}

/// Nothing if it is said to be off.
pub(crate) fn sampler(text: &str) -> Result<Option<Sampler>, Mistake> {
    if is_off(text) {
        return Ok(None);
    }
    parsed(text).map(Some)
}

/// Nothing if it is said to be off.
pub(crate) fn recorder(text: &str) -> Result<Option<Recorder>, Mistake> {
    if is_off(text) {
        return Ok(None);
    }
    let accepts = LOG_RECORDER.accepts;
    // Words that look like a switch, and would be taken for a target or a level.
    if is_on(text) == Some(true) {
        return Err(Mistake::Predicate(format!(
            "is no level: did you mean debug? accepts {accepts}"
        )));
    }
    if text.parse::<ByteSize>().is_ok() {
        return Err(Mistake::Predicate(format!(
            "is a size: how much is kept is said in code, by `Recorder::builder().max_unit_bytes(…).max_process_bytes(…)`; accepts {accepts}"
        )));
    }
    text.parse()
        .map(Some)
        .map_err(|error: ParseError| Mistake::error(format_args!("{error}; accepts {accepts}")))
}

/// What a type's own grammar says.
pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, Mistake> {
    text.parse().map_err(Mistake::error)
}

/// Whether `text` is the name of a field as a setting can write it.
pub(crate) fn is_field_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// Said of what is not wanted.
fn is_off(text: &str) -> bool {
    ["off", "none"]
        .iter()
        .any(|off| text.eq_ignore_ascii_case(off))
}
