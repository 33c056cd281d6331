//! Sizes in bytes, with a unit.

use std::{fmt, str::FromStr};

use spanwise_core::{ParseError, internal::TextSetting};

/// A number of bytes, written with a unit: `64MiB`, `1GB`, `512KiB`, `100B`.
///
/// ```
/// use spanwise_appender::ByteSize;
///
/// assert_eq!("64MiB".parse(), Ok(ByteSize(64 * 1024 * 1024)));
/// assert_eq!(ByteSize(1_000_000_000).to_string(), "1GB");
/// assert_eq!(
///     "10".parse::<ByteSize>().unwrap_err().to_string(),
///     "`10` has no unit: write `10MiB`, or another of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB",
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        let invalid = |hint| Err(ParseError::word(text, "is not a size", hint));
        let digits_len = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits_len);
        let unit = unit.trim_start();
        if number.is_empty() {
            return invalid("write a whole number and a unit, such as `64MiB`".to_owned());
        }
        if unit.is_empty() {
            // A number of four or more digits probably means bytes.
            let unit = if digits_len < 4 { "MiB" } else { "B" };
            let hint = format!("write `{text}{unit}`, or another of {UNIT_NAMES}");
            return Err(ParseError::word(text, "has no unit", hint));
        }
        let has_name = |(name, _): &&(&str, u64)| name.eq_ignore_ascii_case(unit);
        let Some((_, factor)) = UNITS.iter().find(has_name) else {
            let upper = unit.to_ascii_uppercase();
            let suggestion = match upper.as_str() {
                "K" | "M" | "G" | "T" => format!("did you mean `{number}{upper}iB`? "),
                _ => String::new(),
            };
            return invalid(format!(
                "{suggestion}write a whole number and one of {UNIT_NAMES}, such as `64MiB`"
            ));
        };
        let number = number.parse::<u64>().ok();
        let bytes = number.and_then(|number| number.checked_mul(*factor));
        bytes.map(Self).ok_or_else(|| {
            ParseError::word(text, "is out of range", "a size is less than 16777216TiB")
        })
    }
}

impl TextSetting for ByteSize {}

impl ByteSize {
    /// Returns whether `text` is a unit of a size, or the first letter of one: `MiB`, `M`.
    pub(crate) fn is_like_unit(text: &str) -> bool {
        let is_like = |(name, _): &(&str, u64)| {
            name.eq_ignore_ascii_case(text) || name[..1].eq_ignore_ascii_case(text)
        };
        UNITS.iter().any(is_like)
    }
}

impl fmt::Display for ByteSize {
    /// Displays the size as a whole number of the largest binary unit that divides it, or else of
    /// the largest decimal unit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        // `UNITS` begins with binary units, because they are more common for buffers and files.
        let (name, factor) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / factor)
    }
}

/// For error messages, in the order of size.
const UNIT_NAMES: &str = "B, KiB, MiB, GiB, TiB, KB, MB, GB, TB";

/// The names of units and their numbers of bytes: the binary units, then the decimal ones, and each
/// from the largest to the smallest.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];
