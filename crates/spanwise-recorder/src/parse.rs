//! The grammar of `LOG_RECORDER`.

use std::{fmt, str::FromStr};

use spanwise_core::{
    ParseError, TargetLevels,
    internal::{DurationUnits, TextSetting, parse_duration, parse_level, suggest},
};

use crate::{Recorder, RecorderBuilder, recorder_state::DEFAULT_LINES_PER_SECOND};

/// Parses the syntax of `LOG_RECORDER`, a list of words that are separated by commas.
///
/// | word | |
/// | --- | --- |
/// | a directive of `RUST_LOG`, such as `hyper=info` | [`capture`](RecorderBuilder::capture); without one, `debug` |
/// | `slow=1s` | [`slow`](RecorderBuilder::slow) |
/// | `tail=0.01` | [`tail`](RecorderBuilder::tail) |
/// | `lines=10000/s` | [`max_lines_per_second`](RecorderBuilder::max_lines_per_second) |
///
/// ```
/// use spanwise_recorder::Recorder;
///
/// let recorder: Recorder = "debug,hyper=info,slow=1s,tail=0.01".parse()?;
/// assert_eq!(recorder.to_string(), "debug,hyper=info,slow=1s,tail=0.01");
/// assert_eq!("slow=500ms".parse::<Recorder>()?.to_string(), "debug,slow=500ms");
///
/// assert_eq!(
///     "debug,slow=1".parse::<Recorder>().unwrap_err().to_string(),
///     "`slow=1`: `1` is not a time: write s, m, h or ms, or a number of them, such as 10s"
/// );
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
impl FromStr for RecorderBuilder {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut builder = Self::default();
        let (mut levels, mut names, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for word in text.split(',').map(str::trim) {
            let Some((name, value)) = split_option(word) else {
                levels.push(word);
                continue;
            };
            if names.contains(&name) {
                problems.push(format!("`{word}`: `{name}` is there twice: write it once"));
                continue;
            }
            names.push(name);
            match set_option(builder.clone(), name, value) {
                Ok(set) => builder = set,
                Err(problem) => problems.push(format!("`{word}`: {problem}")),
            }
        }
        if !levels.is_empty() {
            match levels.join(",").parse::<TargetLevels>() {
                Ok(levels) => builder = builder.capture(levels),
                Err(error) => problems.extend(error.problems().iter().map(ToString::to_string)),
            }
        }
        ParseError::check(problems)?;
        Ok(builder)
    }
}

impl TextSetting for Recorder {}

impl FromStr for Recorder {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse().map(RecorderBuilder::build)
    }
}

/// Splits a word that is an option. If the value is a level or a misspelled one, the word is not an
/// option but a directive for a target of the same name, such as `slow`.
fn split_option(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_level = value.starts_with(|first: char| first.is_ascii_alphabetic())
        && (parse_level(value).is_some() || suggest::closest_level(value).is_some());
    (matches!(name, "slow" | "tail" | "lines") && !is_level).then_some((name, value))
}

fn set_option(
    builder: RecorderBuilder,
    name: &str,
    value: &str,
) -> Result<RecorderBuilder, String> {
    match name {
        "slow" => parse_duration(value).map(|duration| builder.slow(duration)),
        "lines" => parse_lines(value).map(|lines| builder.max_lines_per_second(lines)),
        _ => builder
            .tail(parse_ratio(value)?)
            .map_err(|error| error.to_string()),
    }
}

fn parse_ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if ratio.is_finite() => Ok(ratio),
        _ => Err(format!(
            "`{text}` is not a ratio: write one from 0 to 1, such as 0.01"
        )),
    }
}

/// Parses `10000/s`.
fn parse_lines(text: &str) -> Result<u32, String> {
    match text.strip_suffix("/s").map(str::parse) {
        Some(Ok(lines @ 1..)) => Ok(lines),
        _ => Err(format!(
            "`{text}` is not a number of lines per second: write at least 1, such as \
             {DEFAULT_LINES_PER_SECOND}/s"
        )),
    }
}

/// Writes the syntax of `LOG_RECORDER`.
impl fmt::Display for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.state.options;
        options.capture.fmt(f)?;
        if let Some(slow) = options.slow {
            let time = DurationUnits(slow).to_string();
            // `DurationUnits` writes one second as `s`, without a number.
            let missing_number = if time.starts_with(|first: char| first.is_ascii_digit()) {
                ""
            } else {
                "1"
            };
            write!(f, ",slow={missing_number}{time}")?;
        }
        if let Some(tail) = options.tail {
            write!(f, ",tail={}", tail.ratio())?;
        }
        let lines = options.max_lines_per_second;
        if lines != DEFAULT_LINES_PER_SECOND {
            write!(f, ",lines={lines}/s")?;
        }
        Ok(())
    }
}
