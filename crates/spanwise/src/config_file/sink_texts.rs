//! Parsers for values that only the tables of sinks have.

use std::time::Duration;

use spanwise_appender::WhenFull;
use spanwise_core::{
    ParseError, TargetLevels,
    internal::{parse_duration, parse_level},
    words,
};
use tracing::level_filters::LevelFilter;

/// Parses the levels of a sink. If the text has no bare level, such as `warn`, the level `default`
/// applies to all targets that the text does not name.
pub(super) fn levels(text: &str, default: LevelFilter) -> Result<TargetLevels, ParseError> {
    let levels: TargetLevels = text.parse()?;
    let has_bare_level = words::split(text).any(|word| parse_level(word.text).is_some());
    match has_bare_level {
        true => Ok(levels),
        false => format!("{default},{text}").parse(),
    }
}

/// Parses the permissions of a file, as octal digits.
pub(super) fn mode(text: &str) -> Result<u32, ParseError> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8).ok();
    mode.filter(|mode| *mode <= 0o7777).ok_or_else(|| {
        ParseError::word(text, "is not a mode", "write octal digits, such as `0640`")
    })
}

/// Parses what happens to a line while the buffer is full, such as `block 1s`. The duration is
/// optional.
pub(super) fn when_full(text: &str) -> Result<WhenFull, ParseError> {
    let (name, timeout) = match text.split_once(' ') {
        Some((name, timeout)) => (name, Some(timeout.trim())),
        None => (text, None),
    };
    let timeout = |default| match timeout {
        Some(timeout) => parse_duration(timeout).map_err(ParseError::new),
        None => Ok(default),
    };
    match name {
        "shed_by_level" => Ok(WhenFull::ShedByLevel(timeout(Duration::from_millis(100))?)),
        "block" => Ok(WhenFull::Block(timeout(Duration::from_secs(1))?)),
        "shed" if text == name => Ok(WhenFull::Shed),
        _ => {
            let names = ["shed_by_level", "block", "shed"];
            let meant = spanwise_core::internal::suggest::closest(name, names);
            let meant = meant
                .map(|meant| format!("did you mean {meant}? "))
                .unwrap_or_default();
            let hint = format!("{meant}accepts shed_by_level 100ms, block 1s, shed");
            Err(ParseError::word(text, "is unknown", hint))
        }
    }
}
