//! The words of `LOG_RECORDER`.

use std::{fmt, str::FromStr};

use spanwise_core::{Grammar, TargetLevels, parse_level, suggest};

use super::{Recorder, RecorderBuilder, recorder_state::DEFAULT_LINES_PER_SECOND};
use crate::{SampleError, limit::Unit, parse};

/// What `LOG_RECORDER` takes: the levels of what is kept, as `RUST_LOG` writes them, `slow=1s` for
/// [`slow`](RecorderBuilder::slow),
/// `tail=0.01` for [`tail`](RecorderBuilder::tail) and `lines=10000/s` for
/// [`max_lines_per_second`](RecorderBuilder::max_lines_per_second), joined by commas. Without
/// levels, `debug`.
///
/// ```
/// use spanwise_sample::Recorder;
///
/// let recorder: Recorder = "debug,hyper=info,slow=1s,tail=0.01".parse()?;
/// assert_eq!(recorder.to_string(), "debug,hyper=info,slow=1s,tail=0.01");
/// assert_eq!("slow=500ms".parse::<Recorder>()?.to_string(), "debug,slow=500ms");
///
/// assert_eq!(
///     "debug,slow=1".parse::<Recorder>().unwrap_err().to_string(),
///     "`slow=1`: `1` is not a time: write s, m, h or ms, or so many of them, such as 10s"
/// );
/// # Ok::<(), spanwise_sample::SampleError>(())
/// ```
impl FromStr for RecorderBuilder {
    type Err = SampleError;

    fn from_str(text: &str) -> Result<Self, SampleError> {
        let mut builder = Self::default();
        let (mut levels, mut said, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for word in text.split(',').map(str::trim) {
            let Some((name, value)) = option(word) else {
                levels.push(word);
                continue;
            };
            if said.contains(&name) {
                problems.push(format!("`{word}`: `{name}` is there twice: write it once"));
                continue;
            }
            said.push(name);
            let set = match name {
                "slow" => parse::parse_time(value).map(|time| builder.clone().slow(time)),
                "lines" => {
                    parse_lines(value).map(|lines| builder.clone().max_lines_per_second(lines))
                }
                _ => parse::parse_share(value).and_then(|share| {
                    let set = builder.clone().tail(share);
                    set.map_err(|error| error.to_string())
                }),
            };
            match set {
                Ok(set) => builder = set,
                Err(problem) => problems.push(format!("`{word}`: {problem}")),
            }
        }
        if !levels.is_empty() {
            match levels.join(",").parse::<TargetLevels>() {
                Ok(levels) => builder = builder.capture(levels),
                Err(error) => problems.extend(error.problems().map(str::to_owned)),
            }
        }
        SampleError::all(problems)?;
        Ok(builder)
    }
}

impl Grammar for Recorder {}

impl FromStr for Recorder {
    type Err = SampleError;

    fn from_str(text: &str) -> Result<Self, SampleError> {
        text.parse().map(RecorderBuilder::build)
    }
}

/// The parts of a word that is none of levels: a target may be called `slow`, and its level is a word.
fn option(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_level = value.starts_with(|first: char| first.is_ascii_alphabetic())
        && (parse_level(value).is_some() || suggest::closest_level(value).is_some());
    (matches!(name, "slow" | "tail" | "lines") && !is_level).then_some((name, value))
}

/// `10000/s`.
fn parse_lines(text: &str) -> Result<u32, String> {
    match text.strip_suffix("/s").map(str::parse) {
        Some(Ok(lines @ 1..)) => Ok(lines),
        _ => Err(format!(
            "`{text}` is not a number of lines in a second: write one from 1 on, such as {DEFAULT_LINES_PER_SECOND}/s"
        )),
    }
}

/// As `LOG_RECORDER` writes it.
impl fmt::Display for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.shared.options;
        options.capture.fmt(f)?;
        if let Some(slow) = options.slow {
            let time = Unit(slow).to_string();
            let one = if time.starts_with(|first: char| first.is_ascii_digit()) {
                ""
            } else {
                "1"
            };
            write!(f, ",slow={one}{time}")?;
        }
        if let Some(tail) = options.tail {
            write!(f, ",tail={}", tail.ratio())?;
        }
        let lines = options.limits.lines_per_second;
        if lines != DEFAULT_LINES_PER_SECOND {
            write!(f, ",lines={lines}/s")?;
        }
        Ok(())
    }
}
