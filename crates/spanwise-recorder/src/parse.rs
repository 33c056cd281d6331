//! The grammar of `LOG_RECORDER`.

use std::{fmt, str::FromStr};

use spanwise_core::{
    ParseError, TargetLevels,
    internal::{
        DurationUnits, TextSetting, parse_duration, parse_level, parse_percentage, suggest,
    },
};

use crate::{Recorder, RecorderBuilder, recorder_state::DEFAULT_LINES_PER_SECOND};

/// Parses the syntax of `LOG_RECORDER`, a list of words that are separated by commas.
///
/// | word | |
/// | --- | --- |
/// | a level, or a directive such as `hyper=info` | [`capture`](RecorderBuilder::capture); without one, `debug` |
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
///     "`slow=1`: `1` has no unit: write `1s` for seconds, or one of m, h and ms after it"
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
                match meant(word) {
                    Some(advice) => problems.push(format!("`{word}`: {advice}")),
                    None => levels.push(word),
                }
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
    let is_option = OPTIONS.iter().any(|(option, _)| *option == name);
    (is_option && missing_comma(word).is_none() && !is_like_level(value)).then_some((name, value))
}

/// The options, each with an example.
const OPTIONS: [(&str, &str); 3] = [
    ("slow", "slow=1s"),
    ("tail", "tail=0.01"),
    ("lines", "lines=10000/s"),
];

fn is_like_level(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && (parse_level(text).is_some() || suggest::closest_level(text).is_some())
}

/// Returns the advice about a word that is neither an option nor a directive, if it is probably
/// meant as an option.
fn meant(word: &str) -> Option<String> {
    if let Some(words) = missing_comma(word) {
        let advice = match words.parse::<RecorderBuilder>() {
            Ok(_) => format!(": write `{words}`"),
            Err(_) => String::new(),
        };
        return Some(format!("words are joined by commas{advice}"));
    }
    let Some((name, value)) = word.split_once(['=', ':']) else {
        let (_, example) = OPTIONS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word))?;
        return Some(format!(
            "it has no value: write one, such as `{example}`; if `{word}` is a target, write \
             `{word}=trace`"
        ));
    };
    let (name, value) = (name.trim(), value.trim());
    // Such a word is a directive, even if its target resembles an option.
    let is_directive = parse_level(value).is_some() || is_like_level(value);
    if is_directive || value.is_empty() || value.starts_with(':') {
        return None;
    }
    let meant = suggest::closest(name, OPTIONS.iter().map(|(name, _)| *name))?;
    let (_, example) = OPTIONS.iter().find(|(name, _)| *name == meant)?;
    match set_option(RecorderBuilder::default(), meant, value) {
        Ok(_) => Some(format!("did you mean `{meant}={value}`?")),
        Err(problem) => Some(format!("did you mean `{example}`? {problem}")),
    }
}

/// Returns the words in a text that has blanks or semicolons in place of commas, joined by commas.
fn missing_comma(text: &str) -> Option<String> {
    let is_separator = |c: char| c.is_whitespace() || c == ';';
    let words: Vec<&str> = text
        .split(is_separator)
        .filter(|word| !word.is_empty())
        .collect();
    let is_word = |word: &&str| match word.split_once('=') {
        Some((name, value)) => !name.is_empty() && !value.is_empty(),
        None => parse_level(word).is_some(),
    };
    (words.len() > 1 && words.iter().all(is_word)).then(|| words.join(","))
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
        _ => Err(match parse_percentage(text) {
            Some(ratio) => format!("`{text}` is a percentage: write {ratio}"),
            None => format!("`{text}` is not a ratio: write one from 0 to 1, such as 0.01"),
        }),
    }
}

/// Parses `10000/s`.
fn parse_lines(text: &str) -> Result<u32, String> {
    match text.strip_suffix("/s").map(str::parse) {
        Some(Ok(lines @ 1..)) => Ok(lines),
        _ => Err(match text.parse::<u32>() {
            Ok(1..) => format!("`{text}` has no period: write {text}/s"),
            _ => format!(
                "`{text}` is not a number of lines per second: write at least 1, such as \
                 {DEFAULT_LINES_PER_SECOND}/s"
            ),
        }),
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
