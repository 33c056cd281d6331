//! Durations in the syntax of settings: a unit with an optional factor, such as `s`, `10s` or `m`.

use std::{
    fmt,
    time::{Duration, Instant},
};

const UNITS: [(&str, Duration); 4] = [
    ("h", Duration::from_secs(3600)),
    ("m", Duration::from_secs(60)),
    ("s", Duration::from_secs(1)),
    ("ms", Duration::from_millis(1)),
];

/// Returns the time that is `duration` from now. Durations over a year count as a year.
#[must_use]
pub fn deadline_after(duration: Duration) -> Instant {
    Instant::now() + duration.min(MAX_TIMEOUT)
}

/// The maximum timeout: a year.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Parses a unit with an optional factor.
///
/// # Errors
/// Returns a sentence with the mistake and the accepted values.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let factor_len = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (factor, unit_name) = text.split_at(factor_len);
    let unit = UNITS.iter().find(|(name, _)| *name == unit_name);
    let factor = if factor.is_empty() {
        Ok(1)
    } else {
        factor.parse::<u32>()
    };
    match (unit, factor) {
        (Some((_, unit)), Ok(factor)) if factor > 0 => Ok(*unit * factor),
        _ => Err(format!(
            "`{text}` is not a time: write s, m, h or ms, or a number of them, such as 10s"
        )),
    }
}

/// Displays a duration of whole milliseconds in the largest unit that leaves a whole number,
/// without the factor 1.
#[derive(Debug)]
pub struct DurationUnits(pub Duration);

impl fmt::Display for DurationUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let fits = UNITS
            .iter()
            .find(|(_, unit)| millis > 0 && millis.is_multiple_of(unit.as_millis()));
        match fits {
            Some((name, unit)) if *unit == self.0 => f.write_str(name),
            Some((name, unit)) => write!(f, "{}{name}", millis / unit.as_millis()),
            None => write!(f, "{:?}", self.0),
        }
    }
}
