//! Limits for rolled files, which decide which of them are deleted.

use std::{
    fmt,
    num::NonZeroUsize,
    str::FromStr,
    time::{Duration, SystemTime},
};

use spanwise_core::{
    ParseError,
    internal::{TextSetting, suggest::closest},
};

use crate::ByteSize;

/// Limits for rolled files. A file is deleted if it exceeds **any** limit. Defaults to `14 files`.
/// Files are ordered by the date and number in their names. The age of a file is the time since its
/// last change. The active file does not count, and is never deleted.
///
/// Its text form is a list of limits, separated by commas: a number of files (`14 files`), an age
/// (`30d`; the units are s, m, h, d and w), a total size (`10GiB`), and the space to leave free on
/// the disk (`free=5GiB`). The text `all` keeps every file, and cannot be combined with a limit.
///
/// Only regular files are deleted, and only if their name has exactly the form of a rolled file of
/// this log. Limits are checked when the file is opened, when it rolls, and when the disk is full.
///
/// ```
/// use spanwise_appender::{ByteSize, Retention};
/// use std::{num::NonZeroUsize, time::Duration};
///
/// let two_weeks = Duration::from_secs(14 * 24 * 60 * 60);
/// assert_eq!(Retention::all().age(two_weeks).total(ByteSize(1 << 30)), "14d,1GiB".parse()?);
/// assert_eq!("30d, free=5GiB, 14".parse::<Retention>()?.to_string(), "14 files,30d,free=5GiB");
/// assert_eq!(
///     "0".parse::<Retention>().unwrap_err().to_string(),
///     "`0` keeps no file: write more than 0, such as `14 files`, or `all` to keep every file",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    files: Option<NonZeroUsize>,
    age: Option<Duration>,
    total: Option<ByteSize>,
    free: Option<ByteSize>,
}

impl Retention {
    /// Creates a retention that keeps every file.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            files: None,
            age: None,
            total: None,
            free: None,
        }
    }

    /// Keeps the newest `files`.
    #[must_use]
    pub const fn files(mut self, files: NonZeroUsize) -> Self {
        self.files = Some(files);
        self
    }

    /// Keeps files until their last record is older than `age`.
    #[must_use]
    pub const fn age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// Keeps the newest files whose sizes add up to at most `total`. A compressed file counts with
    /// its compressed size.
    #[must_use]
    pub const fn total(mut self, total: ByteSize) -> Self {
        self.total = Some(total);
        self
    }

    /// Deletes the oldest files while the disk has less than `free` bytes free. Deletes no file if
    /// the system does not report the free space.
    #[must_use]
    pub const fn free(mut self, free: ByteSize) -> Self {
        self.free = Some(free);
        self
    }

    /// Returns the limits that do not depend on sizes.
    pub(super) const fn without_sizes(&self) -> Self {
        Self {
            files: self.files,
            age: self.age,
            total: None,
            free: None,
        }
    }

    pub(super) fn keeps_all(&self) -> bool {
        *self == Self::all()
    }

    /// Returns whether the limits depend only on the number of files, and not on their metadata.
    pub(super) const fn only_counts(&self) -> bool {
        self.age.is_none() && self.total.is_none() && self.free.is_none()
    }

    /// Decides for each file whether to delete it. The files are sorted, the newest first. `free`
    /// returns the number of free bytes on the disk, if it is known.
    pub(super) fn to_delete(
        &self,
        files: &[FileInfo],
        now: SystemTime,
        free: impl FnOnce() -> Option<u64>,
    ) -> Vec<bool> {
        let mut total = 0_u64;
        let mut to_delete: Vec<bool> = Vec::with_capacity(files.len());
        for (index, file) in files.iter().enumerate() {
            total = total.saturating_add(file.bytes);
            let too_many = self.files.is_some_and(|files| index >= files.get());
            let too_old = self.age.is_some_and(|age| {
                let since = file.modified.map(|modified| now.duration_since(modified));
                matches!(since, Some(Ok(since)) if since > age)
            });
            let too_large = self.total.is_some_and(|limit| total > limit.0);
            to_delete.push(too_many || too_old || too_large);
        }
        if let Some(wanted) = self.free
            && let Some(free) = free()
        {
            let freed = files
                .iter()
                .zip(&to_delete)
                .filter(|(_, is_to_delete)| **is_to_delete);
            let mut free = freed.fold(free, |free, (file, _)| {
                free.saturating_add(file.bytes_on_disk)
            });
            for (file, is_to_delete) in files.iter().zip(&mut to_delete).rev() {
                if free >= wanted.0 {
                    break;
                }
                if !std::mem::replace(is_to_delete, true) {
                    free = free.saturating_add(file.bytes_on_disk);
                }
            }
        }
        to_delete
    }
}

/// The facts about a rolled file that limits depend on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FileInfo {
    /// The total length of the file in all its forms (plain, compressed), for the limit `total`.
    pub(super) bytes: u64,
    /// The bytes on the disk that are freed when the file is deleted, for the limit `free`.
    pub(super) bytes_on_disk: u64,
    /// The time of the last change of the newest form, for the limit `age`.
    pub(super) modified: Option<SystemTime>,
}

impl Default for Retention {
    /// The newest 14 files.
    fn default() -> Self {
        const FILES: Option<NonZeroUsize> = NonZeroUsize::new(14);
        Self {
            files: FILES,
            ..Self::all()
        }
    }
}

impl TextSetting for Retention {}

impl FromStr for Retention {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut retention = Self::all();
        let mut words = text.split(',').map(str::trim);
        if words.clone().any(|word| word.eq_ignore_ascii_case("all")) {
            return match words.nth(1) {
                None => Ok(retention),
                Some(_) => {
                    let hint = "write `all` alone, or remove it";
                    Err(ParseError::word(text, "has `all` and a limit", hint))
                }
            };
        }
        for word in words {
            if retention.set_limit(word)? {
                let reason = "has two limits of one kind";
                let hint = format!("remove `{word}` or the other");
                return Err(ParseError::word(text, reason, hint));
            }
        }
        Ok(retention)
    }
}

impl Retention {
    /// Sets the limit that a word names. Returns whether this limit was already set.
    fn set_limit(&mut self, word: &str) -> Result<bool, ParseError> {
        let keeps_none = || {
            let hint = "write more than 0, such as `14 files`, or `all` to keep every file";
            ParseError::word(word, "keeps no file", hint)
        };
        let out_of_range = || {
            let hint = "write a smaller number, or `all` to keep every file";
            ParseError::word(word, "is out of range", hint)
        };
        if let Some((key, size)) = word.split_once('=') {
            return match key.trim().eq_ignore_ascii_case("free") {
                true => Ok(self.free.replace(size.parse()?).is_some()),
                false => Err(unknown_word(word)),
            };
        }
        let digits_len = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = word.split_at(digits_len);
        if number.is_empty() {
            return Err(unknown_word(word));
        }
        let unit = unit.trim();
        if let Some((_, seconds)) = AGE_UNITS.iter().find(|(name, _)| *name == unit) {
            let number = number.parse::<u64>().ok();
            let seconds = number.and_then(|number| number.checked_mul(*seconds));
            // At most a million days (2,700 years), because a larger age is a mistake.
            let seconds = seconds.filter(|seconds| *seconds <= 1_000_000 * DAY);
            let age = Duration::from_secs(seconds.ok_or_else(out_of_range)?);
            return match age.is_zero() {
                true => Err(keeps_none()),
                false => Ok(self.age.replace(age).is_some()),
            };
        }
        if ["", "file", "files"].contains(&unit) {
            let files = number.parse().map_err(|_| out_of_range())?;
            let files = NonZeroUsize::new(files).ok_or_else(keeps_none)?;
            return Ok(self.files.replace(files).is_some());
        }
        if !ByteSize::is_like_unit(unit) {
            let hint = format!(
                "unknown unit `{unit}`; write `{number} files`, an age such as `{number}d`, or a \
                 size such as `{number}GiB`"
            );
            return Err(ParseError::word(word, INVALID, hint));
        }
        match word.parse()? {
            ByteSize(0) => Err(keeps_none()),
            total => Ok(self.total.replace(total).is_some()),
        }
    }
}

fn unknown_word(word: &str) -> ParseError {
    let key = word.split('=').next().unwrap_or(word);
    let suggestion = match closest(key, ["all", "free"]) {
        Some("free") => "did you mean `free=5GiB`? ",
        Some("all") => "did you mean `all`? ",
        _ => "",
    };
    let hint = format!(
        "{suggestion}write a number such as `14 files`, an age such as `30d`, a size such as \
         `10GiB`, free space such as `free=5GiB`, or `all` alone"
    );
    ParseError::word(word, INVALID, hint)
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            self.keeps_all().then(|| "all".to_owned()),
            self.files.map(|files| format!("{files} files")),
            self.age.map(display_age),
            self.total.map(|total| total.to_string()),
            self.free.map(|free| format!("free={free}")),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        f.write_str(&words.join(","))
    }
}

/// Displays an age as a whole number of the largest unit that divides it. Does not use weeks.
fn display_age(age: Duration) -> String {
    let seconds = age
        .as_secs()
        .saturating_add(u64::from(age.subsec_nanos() > 0));
    let units = AGE_UNITS.iter().filter(|(name, _)| *name != "w");
    let mut fitting = units.filter(|(_, unit)| seconds.is_multiple_of(*unit));
    let (name, unit) = fitting.next().unwrap_or(&("s", 1));
    format!("{}{name}", seconds / unit)
}

const INVALID: &str = "is not a valid retention";

const DAY: u64 = 24 * 60 * 60;

/// The names of units and their numbers of seconds.
const AGE_UNITS: [(&str, u64); 5] = [
    ("w", 7 * DAY),
    ("d", DAY),
    ("h", 60 * 60),
    ("m", 60),
    ("s", 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_applies() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let files: Vec<FileInfo> = [10, 20, 30, 40]
            .into_iter()
            .map(|age| FileInfo {
                bytes: 100,
                bytes_on_disk: 4096,
                modified: Some(now - Duration::from_secs(age)),
            })
            .collect();
        let check = |retention: &str, free, kept_files: usize| {
            let to_delete = retention
                .parse::<Retention>()
                .unwrap()
                .to_delete(&files, now, || free);
            assert_eq!(
                to_delete,
                (0..4).map(|index| index >= kept_files).collect::<Vec<_>>(),
                "{retention}"
            );
        };
        check("all", None, 4);
        check("3", None, 3);
        check("30s", None, 3);
        check("250B", None, 2);
        check("99B", None, 0);
        check("3,250B,30s", None, 2);
        check("free=10000B", None, 4);
        check("free=10000B", Some(10_000), 4);
        check("free=10000B", Some(5_904), 3);
        check("free=10000B", Some(5_903), 2);
        check("3,free=10000B", Some(5_904), 3);
        check("free=1TiB", Some(0), 0);
    }
}
