//! The offset of the local time zone from UTC, read once a minute.

use std::sync::atomic::{AtomicI64, Ordering};

use time::{OffsetDateTime, UtcOffset};

/// The last minute since 1970 for which the system returned an offset, times [`SCALE`], plus this
/// offset in minutes, plus [`MAX_OFFSET`].
///
/// Minute and offset are in one number, so that no thread combines the minute of one result with
/// the offset of another. If two threads need a new minute, both ask the system: neither waits.
static LAST: AtomicI64 = AtomicI64::new(i64::MIN);

/// A power of two above the number of offsets, `2 * MAX_OFFSET + 1`.
const SCALE: i64 = 4096;

/// The largest offset that RFC 3339 allows, in minutes. A larger one from `TZ` is clamped.
const MAX_OFFSET: i16 = 24 * 60 - 1;

/// Returns the local offset at `second` since 1970, in minutes east of Greenwich. It is 0 if the
/// system does not know its zone.
///
/// Summer time starts and ends at whole minutes in every zone, so an offset is valid for a minute.
/// `TZ` and `/etc/localtime` are read on first use only.
pub(crate) fn local_offset_minutes(second: i64) -> i16 {
    let last = LAST.load(Ordering::Relaxed);
    let minute = second.div_euclid(60);
    if last.div_euclid(SCALE) == minute {
        return last.rem_euclid(SCALE) as i16 - MAX_OFFSET;
    }
    let offset = read_from_system(minute);
    // A time that is too far from 1970 for the product is not cached.
    if let Some(minute) = minute.checked_mul(SCALE) {
        LAST.store(minute + i64::from(offset + MAX_OFFSET), Ordering::Relaxed);
    }
    offset
}

/// Asks the system for the offset at `minute`, because it knows the zone's rules for summer time.
#[cold]
fn read_from_system(minute: i64) -> i16 {
    let time = minute
        .checked_mul(60)
        .map(OffsetDateTime::from_unix_timestamp);
    let Some(Ok(time)) = time else { return 0 };
    let offset = UtcOffset::local_offset_at(time).unwrap_or(UtcOffset::UTC);
    offset.whole_minutes().clamp(-MAX_OFFSET, MAX_OFFSET)
}
