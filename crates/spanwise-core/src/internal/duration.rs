//! Durations in the syntax of settings: a unit with an optional factor before it, such as `s`,
//! `10s` or `m`.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// The names of units with their lengths, longest first.
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

/// Names of units in other programs, each with the name that settings accept.
const OTHER_UNITS: [(&str, &str); 13] = [
    ("hour", "h"),
    ("hours", "h"),
    ("hr", "h"),
    ("min", "m"),
    ("mins", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("msec", "ms"),
    ("millis", "ms"),
];

/// Parses a unit with an optional factor.
///
/// ```
/// use std::time::Duration;
///
/// use spanwise_core::internal::parse_duration;
///
/// assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
/// assert_eq!(parse_duration("m"), Ok(Duration::from_secs(60)));
/// let error = parse_duration("5").unwrap_err();
/// assert_eq!(error, "`5` has no unit: write `5s` for seconds, or one of m, h and ms after it");
/// assert_eq!(parse_duration("8.2m").unwrap_err(), "`8.2m` is not a time: write `492000ms`");
/// assert_eq!(parse_duration("2 min").unwrap_err(), "`2 min` is not a time: write `2m`");
/// ```
///
/// # Errors
/// Returns a sentence with the mistake and the accepted values.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let lacks_unit = || is_number(text) && parse_valid(&format!("{text}s")).is_some();
    parse_valid(text).ok_or_else(|| match suggest_correction(text) {
        _ if lacks_unit() => format!(
            "`{text}` has no unit: write `{text}s` for seconds, or one of m, h and ms after it"
        ),
        Some(correction) => format!("`{text}` is not a time: write `{correction}`"),
        None => {
            format!("`{text}` is not a time: write s, m, h or ms, or a number of them, such as 10s")
        }
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_valid(text: &str) -> Option<Duration> {
    let factor_len = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (factor, name) = text.split_at(factor_len);
    let (_, unit) = UNITS.iter().find(|(known, _)| *known == name)?;
    let factor = match factor {
        "" => 1,
        factor => factor.parse::<u32>().ok().filter(|factor| *factor > 0)?,
    };
    Some(*unit * factor)
}

/// Returns a valid text for the duration that `text` probably means. Corrects a blank, another name
/// of the unit, and a decimal point.
fn suggest_correction(text: &str) -> Option<String> {
    let number_len = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, name) = text.split_at(number_len);
    let name = name.trim().to_ascii_lowercase();
    let other_name = OTHER_UNITS.iter().find(|(other, _)| *other == name);
    let name = other_name.map_or(&*name, |(_, accepted_name)| accepted_name);
    let (_, unit) = UNITS.iter().find(|(known, _)| *known == name)?;
    if !number.contains('.') {
        let correction = format!("{number}{name}");
        return parse_valid(&correction).map(|_| correction);
    }
    let millis = number.parse::<f64>().ok()? * unit.as_millis() as f64;
    let rounded = millis.round();
    // The multiplication of floats is not exact: 8.2 minutes are 491999.99999999994 milliseconds.
    let is_whole = (millis - rounded).abs() < 1e-6;
    (is_whole && (1.0..=f64::from(u32::MAX)).contains(&rounded)).then(|| format!("{rounded}ms"))
}

/// Displays a duration of whole milliseconds with the largest unit of which it is a multiple: `90s`
/// for 90 seconds, and `m` for 60.
#[derive(Debug)]
pub struct DurationUnits(pub Duration);

impl fmt::Display for DurationUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let largest_divisor = UNITS
            .iter()
            .find(|(_, unit)| millis > 0 && millis.is_multiple_of(unit.as_millis()));
        match largest_divisor {
            Some((name, unit)) if *unit == self.0 => f.write_str(name),
            Some((name, unit)) => write!(f, "{}{name}", millis / unit.as_millis()),
            None => write!(f, "{:?}", self.0),
        }
    }
}
