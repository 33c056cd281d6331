//! Conditions under which a new file starts.

use std::{fmt, mem, str::FromStr};

use spanwise_core::{
    ParseError,
    internal::{TextSetting, suggest::closest},
};

use crate::ByteSize;

/// The conditions under which a new file starts: a size, an interval of the clock, or the start of
/// the process. One condition is sufficient. Defaults to `daily,100MiB`.
///
/// Its text form is a list of words, separated by commas, in any order: a size; one of `minutely`,
/// `hourly`, `daily` and `weekly` (from Monday); `start`; `local` or `utc` (the default), the time
/// zone of intervals and dates. The word `never` (no new file) can be combined only with a time
/// zone.
///
/// ```
/// use spanwise_appender::{ByteSize, Interval, Rotation};
///
/// assert_eq!("local, 100MiB, daily".parse::<Rotation>()?.to_string(), "daily,100MiB,local");
/// assert_eq!(Rotation::never().every(Interval::Hourly), "hourly".parse()?);
/// assert_eq!(Rotation::never().at_size(ByteSize(1 << 20)).at_start().to_string(), "1MiB,start");
/// assert_eq!(
///     "dayly".parse::<Rotation>().unwrap_err().to_string(),
///     "`dayly` is not a rotation: did you mean `daily`? write a size such as `100MiB`, or one of \
///      minutely, hourly, daily, weekly, start, local, utc, never",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    pub(super) size: Option<ByteSize>,
    pub(super) every: Option<Interval>,
    /// Whether a new file starts with the process.
    pub(super) is_at_start: bool,
    /// Whether intervals and dates are in local time, not in UTC.
    pub(super) is_local_time: bool,
}

/// An interval of the clock. A new file also starts if the clock is set back to an earlier
/// interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// A minute.
    Minutely,
    /// An hour.
    Hourly,
    /// A day, from midnight.
    Daily,
    /// A week, from Monday.
    Weekly,
}

impl Rotation {
    /// Creates a rotation that never starts a new file.
    #[must_use]
    pub const fn never() -> Self {
        Self {
            size: None,
            every: None,
            is_at_start: false,
            is_local_time: false,
        }
    }

    /// Starts a new file before the current one would exceed `size`. Only a single record that is
    /// larger than `size`, or a roll that fails, makes a larger file. `size` must not be zero.
    #[must_use]
    pub const fn at_size(mut self, size: ByteSize) -> Self {
        self.size = Some(size);
        self
    }

    /// Starts a new file with the first record of every interval.
    #[must_use]
    pub const fn every(mut self, interval: Interval) -> Self {
        self.every = Some(interval);
        self
    }

    /// Starts a new file with the first record of a process.
    #[must_use]
    pub const fn at_start(mut self) -> Self {
        self.is_at_start = true;
        self
    }

    /// Uses the local time zone for intervals and for the dates in names. Defaults to UTC.
    #[must_use]
    pub const fn local_time(mut self) -> Self {
        self.is_local_time = true;
        self
    }

    pub(super) const fn is_never(&self) -> bool {
        self.size.is_none() && self.every.is_none() && !self.is_at_start
    }
}

impl Default for Rotation {
    /// Daily, and at 100 MiB.
    fn default() -> Self {
        Self::never()
            .every(Interval::Daily)
            .at_size(ByteSize(100 << 20))
    }
}

impl Interval {
    /// All intervals with their names, in the order of the variants.
    const ALL: [(Self, &str); 4] = [
        (Self::Minutely, "minutely"),
        (Self::Hourly, "hourly"),
        (Self::Daily, "daily"),
        (Self::Weekly, "weekly"),
    ];
}

impl TextSetting for Rotation {}

impl FromStr for Rotation {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut rotation = Self::never();
        let (mut has_never, mut has_utc) = (false, false);
        for word in text.split(',').map(str::trim) {
            let lower = word.to_ascii_lowercase();
            let mut intervals = Interval::ALL.into_iter();
            let is_repeated = match lower.as_str() {
                "never" => mem::replace(&mut has_never, true),
                "start" => mem::replace(&mut rotation.is_at_start, true),
                "local" => mem::replace(&mut rotation.is_local_time, true),
                "utc" => mem::replace(&mut has_utc, true),
                _ => match intervals.find(|(_, name)| *name == lower) {
                    Some((interval, _)) => rotation.every.replace(interval).is_some(),
                    None => rotation.size.replace(parse_size(word)?).is_some(),
                },
            };
            if is_repeated {
                let hint = format!("remove `{word}` or the other");
                return Err(ParseError::word(text, "sets the rotation twice", hint));
            }
        }
        let (reason, hint) = match (has_never, rotation.is_never()) {
            (true, false) => ("has `never` and a rotation", "write only one of the two"),
            (false, true) => (
                "has no rotation",
                "add `daily`, a size such as `100MiB`, or `never`",
            ),
            _ if has_utc && rotation.is_local_time => {
                ("has `utc` and `local`", "write only one of the two")
            }
            _ => return Ok(rotation),
        };
        Err(ParseError::word(text, reason, hint))
    }
}

/// Parses a size, which is the only valid word that is not a keyword.
fn parse_size(word: &str) -> Result<ByteSize, ParseError> {
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        let size = word.parse()?;
        if size == ByteSize(0) {
            let hint = "write a size of at least 1B, or `never` to use one file";
            return Err(ParseError::word(word, "is out of range", hint));
        }
        return Ok(size);
    }
    let others = ["start", "local", "utc", "never"];
    let words = Interval::ALL
        .map(|(_, name)| name)
        .into_iter()
        .chain(others);
    let suggestion = closest(word, words).map(|name| format!("did you mean `{name}`? "));
    let suggestion = suggestion.unwrap_or_default();
    let hint = format!(
        "{suggestion}write a size such as `100MiB`, or one of minutely, hourly, daily, weekly, \
         start, local, utc, never"
    );
    Err(ParseError::word(word, "is not a rotation", hint))
}

impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            self.is_never().then(|| "never".to_owned()),
            self.every
                .map(|every| Interval::ALL[every as usize].1.to_owned()),
            self.size.map(|size| size.to_string()),
            self.is_at_start.then(|| "start".to_owned()),
            self.is_local_time.then(|| "local".to_owned()),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        f.write_str(&words.join(","))
    }
}
