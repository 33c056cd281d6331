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
        let (mut directives, mut option_names, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for word in text.split(',').map(str::trim) {
            let Some((name, value)) = split_option(word) else {
                match advice_about(word) {
                    Some(advice) => problems.push(format!("`{word}`: {advice}")),
                    None => directives.push(word),
                }
                continue;
            };
            if option_names.contains(&name) {
                problems.push(format!("`{word}`: `{name}` occurs twice: write it once"));
                continue;
            }
            option_names.push(name);
            match set_option(builder.clone(), name, value) {
                Ok(changed) => builder = changed,
                Err(problem) => problems.push(format!("`{word}`: {problem}")),
            }
        }
        if !directives.is_empty() {
            match directives.join(",").parse::<TargetLevels>() {
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

/// Splits an option into its name and its value. Returns `None` for another word. For example,
/// `slow=info` and `slow=inof` are directives for the target `slow`, because their values are
/// levels or misspelled ones.
fn split_option(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_option = OPTIONS.iter().any(|(option, _)| *option == name);
    (is_option && with_commas(word).is_none() && !is_like_level(value)).then_some((name, value))
}

/// The options, each with an example.
const OPTIONS: [(&str, &str); 3] = [
    ("slow", "slow=1s"),
    ("tail", "tail=0.01"),
    ("lines", "lines=10000/s"),
];

/// Returns whether a text is a level, or is spelled almost like one.
fn is_like_level(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && (parse_level(text).is_some() || suggest::closest_level(text).is_some())
}

/// Returns the advice about a word that is probably an option without a value, a misspelled option,
/// or several words without commas. Returns `None` for a directive.
fn advice_about(word: &str) -> Option<String> {
    if let Some(words) = with_commas(word) {
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
    // A word with a level is a directive, even if its target resembles an option.
    let is_directive = parse_level(value).is_some() || is_like_level(value);
    if is_directive || value.is_empty() || value.starts_with(':') {
        return None;
    }
    let option = suggest::closest(name, OPTIONS.iter().map(|(name, _)| *name))?;
    let (_, example) = OPTIONS.iter().find(|(name, _)| *name == option)?;
    match set_option(RecorderBuilder::default(), option, value) {
        Ok(_) => Some(format!("did you mean `{option}={value}`?")),
        Err(problem) => Some(format!("did you mean `{example}`? {problem}")),
    }
}

/// Returns the corrected text, if blanks or semicolons separate its words in place of commas.
fn with_commas(text: &str) -> Option<String> {
    let is_separator = |c: char| c.is_whitespace() || c == ';';
    let words: Vec<&str> = text
        .split(is_separator)
        .filter(|word| !word.is_empty())
        .collect();
    let is_option_or_level = |word: &&str| match word.split_once('=') {
        Some((name, value)) => !name.is_empty() && !value.is_empty(),
        None => parse_level(word).is_some(),
    };
    (words.len() > 1 && words.iter().all(is_option_or_level)).then(|| words.join(","))
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
