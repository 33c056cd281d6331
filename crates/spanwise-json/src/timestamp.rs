//! Timestamps of lines. A thread formats the start of a line once per second, and for each line
//! only the fraction of the second.

use std::time::SystemTime;

use spanwise_core::internal::rfc3339;

use crate::{line_buffer::LineBuffer, local_offset::local_offset_minutes, work};

/// The timestamp of a line: [RFC 3339] in UTC, at a fixed offset or in local time.
///
/// ```
/// use spanwise_json::{JsonLayer, Timestamp};
///
/// let layer = JsonLayer::new().timestamp(Timestamp::millis().at_offset_minutes(120));
/// // "timestamp":"2026-11-20T10:46:12.123+02:00"
/// # drop(layer);
/// ```
///
/// [RFC 3339]: https://www.rfc-editor.org/rfc/rfc3339
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    digits: usize,
    zone: Zone,
    notation: Notation,
}

/// The notation of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    Rfc3339,
    /// A number of seconds since 1970.
    Epoch,
    /// Like `Epoch`, without the decimal point. With nine digits behind the second, this is a
    /// number of nanoseconds since 1970.
    EpochDigits,
}

/// The time zone of the timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    Utc,
    /// An offset from UTC in minutes, east of Greenwich.
    Minutes(i16),
    Local,
}

impl Timestamp {
    /// Creates a timestamp in whole seconds.
    #[must_use]
    pub const fn seconds() -> Self {
        Self::with_digits(0)
    }

    /// Creates a timestamp with three digits after the second.
    #[must_use]
    pub const fn millis() -> Self {
        Self::with_digits(3)
    }

    /// Creates a timestamp with six digits after the second: the default.
    #[must_use]
    pub const fn micros() -> Self {
        Self::with_digits(6)
    }

    /// Creates a timestamp with nine digits after the second.
    #[must_use]
    pub const fn nanos() -> Self {
        Self::with_digits(9)
    }

    /// Creates a timestamp with this many digits after the second.
    pub(crate) const fn with_digits(digits: usize) -> Self {
        Self {
            digits,
            zone: Zone::Utc,
            notation: Notation::Rfc3339,
        }
    }

    /// Sets the number of digits after the second.
    pub(crate) const fn with_precision(self, digits: usize) -> Self {
        Self { digits, ..self }
    }

    /// Creates a timestamp that is a number of seconds since 1970, with this many digits after the
    /// point.
    pub(crate) const fn epoch(digits: usize) -> Self {
        Self {
            notation: Notation::Epoch,
            ..Self::with_digits(digits)
        }
    }

    /// Creates a timestamp that is a number of nanoseconds since 1970.
    pub(crate) const fn epoch_nanos() -> Self {
        Self {
            notation: Notation::EpochDigits,
            ..Self::with_digits(9)
        }
    }

    /// Sets the offset from UTC in minutes east of Greenwich, from -1,439 to 1,439; other values
    /// are clamped. Defaults to 0, shown as `Z`.
    #[must_use]
    pub const fn at_offset_minutes(self, minutes: i16) -> Self {
        const DAY: i16 = 24 * 60;
        let minutes = if minutes >= DAY {
            DAY - 1
        } else if minutes <= -DAY {
            1 - DAY
        } else {
            minutes
        };
        Self {
            zone: match minutes {
                0 => Zone::Utc,
                _ => Zone::Minutes(minutes),
            },
            ..self
        }
    }

    /// Uses local time with its offset, which follows summer time. Falls back to UTC if the system
    /// does not know its time zone.
    ///
    /// The time zone is that of `TZ`, or else of `/etc/localtime`, and is read when the first line
    /// is written.
    #[must_use]
    pub const fn local(self) -> Self {
        Self {
            zone: Zone::Local,
            ..self
        }
    }

    /// Returns the offset from UTC that a line has at the time `at`, in minutes east of Greenwich.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use spanwise_json::Timestamp;
    ///
    /// let timestamp = Timestamp::millis().at_offset_minutes(120);
    /// assert_eq!(timestamp.offset_minutes(SystemTime::UNIX_EPOCH), 120);
    /// ```
    #[must_use]
    pub fn offset_minutes(self, at: SystemTime) -> i16 {
        let (second, _) = rfc3339::since_epoch(at);
        self.zone.offset_minutes(second)
    }
}

impl Zone {
    /// Returns the offset in minutes at `second` since 1970.
    fn offset_minutes(self, second: i64) -> i16 {
        match self {
            Self::Utc => 0,
            Self::Minutes(minutes) => minutes,
            Self::Local => local_offset_minutes(second),
        }
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::micros()
    }
}

/// The start of the last line that a thread wrote for one layer, up to the end of the timestamp.
/// For the next line in the same second, only the fraction changes.
#[derive(Debug)]
pub(crate) struct LastSecond {
    /// The second of the timestamp in `text`, since 1970.
    second: Option<i64>,
    text: [u8; MAX_START_LEN],
    /// The offset of the digits of the fraction in `text`.
    fraction_start: usize,
    /// The number of bytes of `text` in use.
    len: usize,
    /// Whether the opening is too long for `text`, so that each line appends it separately.
    is_open_separate: bool,
}

/// The maximum length of `text`. `{"timestamp":"2026-11-20T08:46:12.123456789+05:30` has 49 bytes.
const MAX_START_LEN: usize = 64;

/// The maximum length of an opening in `text`, in bytes. A time takes up to 40 more. Only an
/// opening with a key that an option sets is longer.
const MAX_OPEN_LEN: usize = MAX_START_LEN - 40;

/// The last second, in the year 2554, for which nanoseconds since 1970 fit in 64 bits. Readers of
/// [`Notation::EpochDigits`] accept no more.
const LAST_NANOS_SECOND: i64 = (u64::MAX / 1_000_000_000 - 1) as i64;

impl Default for LastSecond {
    fn default() -> Self {
        Self {
            second: None,
            text: [0; MAX_START_LEN],
            fraction_start: 0,
            len: 0,
            is_open_separate: false,
        }
    }
}

impl LastSecond {
    /// Appends `open`, the opening of the timestamp, and then a time since 1970. `open` and
    /// `timestamp` must be the same for all lines of the layer.
    #[inline(always)] // Every line takes each of these steps: inlined, they are one function.
    pub(crate) fn push(
        &mut self,
        line: &mut LineBuffer,
        open: &[u8],
        (second, nanos): (i64, u32),
        timestamp: Timestamp,
    ) {
        if self.second != Some(second) {
            self.start_second(open, second, timestamp);
            self.second = Some(second);
        }
        if self.is_open_separate {
            line.push(open);
        }
        if let Some(digits) = self
            .text
            .get_mut(self.fraction_start..self.fraction_start + timestamp.digits)
        {
            rfc3339::write_fraction(digits, nanos);
        }
        line.push_block(&self.text, self.len);
    }

    #[cold]
    fn start_second(&mut self, open: &[u8], second: i64, timestamp: Timestamp) {
        let offset = timestamp.zone.offset_minutes(second);
        let local = second.saturating_add(i64::from(offset) * 60);
        self.len = 0;
        work::step(1);
        self.is_open_separate = open.len() > MAX_OPEN_LEN;
        if !self.is_open_separate {
            self.append(open);
        }
        match timestamp.notation {
            Notation::Rfc3339 => self.append(&rfc3339::date_time(local)),
            Notation::Epoch => self.append(itoa::Buffer::new().format(second.max(0)).as_bytes()),
            Notation::EpochDigits => {
                let second = second.clamp(0, LAST_NANOS_SECOND);
                self.append(itoa::Buffer::new().format(second).as_bytes());
            }
        }
        if timestamp.digits > 0 && timestamp.notation != Notation::EpochDigits {
            self.append(b".");
        }
        self.fraction_start = self.len;
        self.append(&b"000000000"[..timestamp.digits]);
        match (timestamp.notation, offset) {
            (Notation::Epoch | Notation::EpochDigits, _) => {}
            (Notation::Rfc3339, 0) => self.append(b"Z"),
            (Notation::Rfc3339, _) => self.append(&rfc3339::offset(offset)),
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if let Some(room) = self.text.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }
}
