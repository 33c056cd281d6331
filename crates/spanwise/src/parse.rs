//! Parsers of the rows in [`settings`](crate::settings), for texts from variables, files and
//! setters.

use std::{ops::RangeInclusive, str::FromStr};

use spanwise_appender::ByteSize;
use spanwise_core::{
    Levels, ParseError, Problem, Setting, TargetLevels,
    internal::{
        parse_level,
        suggest::{closest, closest_level},
    },
    words,
};
use spanwise_json::JsonLayer;
use spanwise_recorder::Recorder;
use spanwise_sample::Sampler;
use tracing::level_filters::LevelFilter;

use crate::{Preset, TimeZone, format_choice::FormatChoice, named::Named};

/// Returns the error for a text that is not one of the names that `setting` accepts. `meant` is the
/// name that was probably meant.
fn unknown_name(setting: &Setting, text: &str, meant: Option<&str>) -> ParseError {
    let accepts = setting.accepts;
    let hint = match meant {
        Some(meant) => format!("did you mean {meant}? accepts {accepts}"),
        None => format!("accepts {accepts}"),
    };
    ParseError::word(text, "is unknown", hint)
}

/// Parses the maximum length of a line.
pub(crate) fn max_line(_: &Setting, text: &str) -> Result<ByteSize, ParseError> {
    size_within(text, &JsonLayer::LINE_LIMITS)
}

/// Parses a size within limits.
pub(crate) fn size_within(
    text: &str,
    limits: &RangeInclusive<usize>,
) -> Result<ByteSize, ParseError> {
    let [min, max] = [limits.start(), limits.end()].map(|limit| ByteSize(*limit as u64));
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let bytes = text.parse().map(ByteSize).ok();
        let in_bytes = match bytes.is_some_and(|bytes| (min..=max).contains(&bytes)) {
            true => format!("`{text}B` for bytes, or "),
            false => String::new(),
        };
        let hint = format!("write {in_bytes}a size from {min} to {max}");
        return Err(ParseError::word(text, "has no unit", hint));
    }
    let size: ByteSize = text.parse()?;
    if (min..=max).contains(&size) {
        return Ok(size);
    }
    let hint = format!("write a size from {min} to {max}");
    Err(ParseError::word(text, "is out of range", hint))
}

/// Parses one of the names of an enum.
pub(crate) fn named<T: Named>(setting: &Setting, text: &str) -> Result<T, ParseError> {
    let found = T::NAMED
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    if let Some((_, value)) = found {
        return Ok(*value);
    }
    let names = || T::NAMED.iter().map(|(name, _)| *name);
    // For a deployment environment such as `staging`, suggest its preset.
    let preset = Preset::for_environment(text).map(Preset::name);
    let preset = preset.filter(|preset| names().any(|name| name == *preset));
    Err(unknown_name(
        setting,
        text,
        closest(text, names()).or(preset),
    ))
}

/// Parses a [`TimeZone`]. For the name of a zone, such as `Europe/Berlin`, the error suggests `TZ`.
pub(crate) fn time_zone(setting: &Setting, text: &str) -> Result<TimeZone, ParseError> {
    named(setting, text).map_err(|error| {
        let hint = "for another zone, write local and set TZ, such as TZ=Europe/Berlin";
        error.with_hint(hint)
    })
}

/// Parses a format. A word that is not the name of a built-in format may be the name of a
/// registered format.
pub(crate) fn format(_: &Setting, text: &str) -> Result<FormatChoice, ParseError> {
    match text.parse() {
        Ok(format) => Ok(FormatChoice::Known(format)),
        // A word with a colon is a template with a mistake.
        Err(error) if text.contains(':') => Err(error),
        Err(_) => Ok(FormatChoice::Word(text.to_owned())),
    }
}

/// Parses `on`, `off` and the words that mean the same.
pub(crate) fn switch(setting: &Setting, text: &str) -> Result<bool, ParseError> {
    is_on(text).ok_or_else(|| unknown_name(setting, text, None))
}

/// Returns whether a word such as `on` or `0` switches a setting on, or `None` for other texts.
pub(crate) fn is_on(text: &str) -> Option<bool> {
    let is_any_of = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match () {
        () if is_any_of(["1", "true", "yes", "on"]) => Some(true),
        () if is_any_of(["0", "false", "no", "off"]) => Some(false),
        () => None,
    }
}

/// Parses the level of one output. `off` is not accepted.
pub(crate) fn level(setting: &Setting, text: &str) -> Result<LevelFilter, ParseError> {
    let level = parse_level(text).filter(|level| *level != LevelFilter::OFF);
    level.ok_or_else(|| {
        let meant = closest_level(text).filter(|level| *level != "off");
        unknown_name(setting, text, meant)
    })
}

/// Parses the levels of events.
pub(crate) fn levels(setting: &Setting, text: &str) -> Result<Levels, ParseError> {
    from_str(setting, text).map_err(|error| with_accepts(error, setting))
}

/// Parses the levels of spans. A word without `=` must be a level, because `LOG_SPANS=close` is
/// meant for another program.
pub(crate) fn span_levels(setting: &Setting, text: &str) -> Result<TargetLevels, ParseError> {
    let word = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty() && !word.contains('='))
        .find(|word| parse_level(word).is_none());
    let levels = match (text.parse::<TargetLevels>(), word) {
        (Ok(_), Some(word)) => Err(ParseError::new(format!(
            "`{word}` is not a level; if `{word}` is a target, write `{word}=trace`"
        ))),
        (levels, _) => levels,
    };
    levels.map_err(|error| with_accepts(error, setting))
}

/// Parses a sampler, or `off`.
pub(crate) fn sampler(setting: &Setting, text: &str) -> Result<Option<Sampler>, ParseError> {
    if is_off(text) {
        return Ok(None);
    }
    from_str(setting, text).map(Some)
}

/// Parses a recorder, or `off`.
pub(crate) fn recorder(setting: &Setting, text: &str) -> Result<Option<Recorder>, ParseError> {
    if is_off(text) {
        return Ok(None);
    }
    let accepts = setting.accepts;
    // `on` and `true` are meant as a switch, but would parse as a target, and `1` as a level.
    if is_on(text) == Some(true) {
        let hint = format!("did you mean debug? accepts {accepts}");
        return Err(ParseError::word(text, "is not a level", hint));
    }
    if text.parse::<ByteSize>().is_ok() {
        let hint = format!(
            "set how much is buffered in code, with \
             `Recorder::builder().max_unit_bytes(…).max_process_bytes(…)`; accepts {accepts}"
        );
        return Err(ParseError::word(text, "is a size", hint));
    }
    let recorder: Recorder =
        from_str(setting, text).map_err(|error| with_accepts(error, setting))?;
    // The levels `off` also switch the recorder off if limits follow. With `tail`, however, the
    // recorder still buffers the events that outputs show.
    let has_tail = recorder.captures_beyond(&LevelFilter::OFF.into());
    let can_buffer = has_tail || recorder.levels().most_verbose() != LevelFilter::OFF;
    Ok(can_buffer.then_some(recorder))
}

/// Parses with the `FromStr` of the type.
pub(crate) fn from_str<T>(_: &Setting, text: &str) -> Result<T, ParseError>
where
    T: FromStr<Err = ParseError>,
{
    text.parse()
}

/// Accepts every text.
#[expect(clippy::unnecessary_wraps, reason = "it is the parser of a row")]
pub(crate) fn any<T: for<'t> From<&'t str>>(_: &Setting, text: &str) -> Result<T, ParseError> {
    Ok(text.into())
}

/// Parses a ratio of events.
pub(crate) fn ratio(setting: &Setting, text: &str) -> Result<f64, ParseError> {
    let ratio = text.parse().ok();
    ratio
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| {
            let hint = format!("accepts {}", setting.accepts);
            ParseError::word(text, "is out of range", hint)
        })
}

/// Parses a list of field names.
pub(crate) fn field_names(setting: &Setting, text: &str) -> Result<Vec<String>, ParseError> {
    let names = words::split(text).filter(|word| !word.text.is_empty());
    let names: Vec<&str> = names.map(|word| word.text).collect();
    match names.iter().find(|name| !is_field_name(name)) {
        Some(wrong) => {
            let hint = format!("accepts {}", setting.accepts);
            Err(ParseError::new(format!(
                "`{wrong}` is not a field name: {hint}"
            )))
        }
        None => Ok(names.into_iter().map(str::to_owned).collect()),
    }
}

/// Returns whether `text` is a field name that a setting can contain.
pub(crate) fn is_field_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// Parses the targets in `LOG_OWN`.
pub(crate) fn own_targets(setting: &Setting, text: &str) -> Result<Vec<String>, ParseError> {
    let parsed = words::parse_each(text, |target| {
        check_own_target(target)
            .map(|()| target.to_owned())
            .map_err(Problem::new)
    });
    parsed.map_err(|error| with_accepts(error, setting))
}

/// Checks that `target` is the name of a crate or module, and not a level or a directive.
pub(crate) fn check_own_target(target: &str) -> Result<(), String> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':');
    if target.is_empty() || !target.chars().all(is_word) {
        return Err(format!(
            "`{target}` is not a target: write the name of a crate, such as `shop`, or of a \
             module, such as `shop::db`"
        ));
    }
    if parse_level(target).is_some() {
        return Err(format!(
            "`{target}` is a level, not a target: write the name of a crate, such as `shop`"
        ));
    }
    let directive = format!("{target}=debug").parse::<TargetLevels>();
    directive.map(|_| ()).map_err(|error| error.to_string())
}

/// Parses a release for Sentry. Refuses a release that Sentry would silently discard.
pub(crate) fn sentry_release(_: &Setting, release: &str) -> Result<String, ParseError> {
    check_release(release)
        .map(|()| release.to_owned())
        .map_err(ParseError::new)
}

/// Parses an environment for Sentry. Refuses an environment that Sentry would silently discard.
pub(crate) fn sentry_environment(_: &Setting, environment: &str) -> Result<String, ParseError> {
    check_environment(environment)
        .map(|()| environment.to_owned())
        .map_err(ParseError::new)
}

/// The maximum length of a release, in characters.
const MAX_RELEASE_LEN: usize = 200;
/// The maximum length of an environment, in characters.
const MAX_ENVIRONMENT_LEN: usize = 64;

/// Checks a release by the rules of Sentry:
/// <https://docs.sentry.io/cli/releases/#creating-releases>
pub(crate) fn check_release(release: &str) -> Result<(), String> {
    if release.chars().count() > MAX_RELEASE_LEN {
        return Err(format!(
            "Sentry discards a release of more than {MAX_RELEASE_LEN} characters: write a shorter \
             one"
        ));
    }
    if release.contains(['/', '\\', '\n', '\t']) || [".", ".."].contains(&release) {
        return Err(
            "Sentry discards a release with a slash or a backslash, or of dots alone: write one \
             such as `shop@1.4.2`"
                .to_owned(),
        );
    }
    Ok(())
}

/// Checks an environment by the rules of Sentry:
/// <https://docs.sentry.io/concepts/key-terms/environments/>
pub(crate) fn check_environment(environment: &str) -> Result<(), String> {
    if environment.chars().count() > MAX_ENVIRONMENT_LEN {
        return Err(format!(
            "Sentry discards an environment of more than {MAX_ENVIRONMENT_LEN} characters: write \
             a shorter one"
        ));
    }
    if environment.contains(|c: char| c == '/' || c.is_whitespace()) || environment == "None" {
        return Err(
            "Sentry discards an environment with a slash or a blank, and `None`: write one such \
             as `production`"
                .to_owned(),
        );
    }
    Ok(())
}

/// Appends the accepted values of the setting to an error.
pub(crate) fn with_accepts(error: ParseError, setting: &Setting) -> ParseError {
    error.with_hint(format_args!("accepts {}", setting.accepts))
}

/// Returns whether `text` is a word that switches off the sampler or the recorder.
fn is_off(text: &str) -> bool {
    ["off", "none"]
        .iter()
        .any(|off| text.eq_ignore_ascii_case(off))
}
