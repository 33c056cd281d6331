//! The offset of the local time zone from UTC, read once a minute.

use std::sync::atomic::{AtomicI64, Ordering};

use time::{OffsetDateTime, UtcOffset};

/// The minute that was read last, times [`SCALE`], plus the offset and [`MAX_OFFSET`].
///
/// One number, so that no thread sees the minute of one reading with the offset of another. A
/// thread that finds another minute reads the zone itself: nobody waits.
static LAST: AtomicI64 = AtomicI64::new(i64::MIN);

/// More than there are offsets.
const SCALE: i64 = 4096;

/// RFC 3339 has no other: `TZ` can say a full day and more.
const MAX_OFFSET: i16 = 24 * 60 - 1;

/// Returns the offset in minutes, east of Greenwich, that clocks on the wall have at `second`
/// since 1970. It is 0 where the system does not know its zone.
///
/// Every time zone begins and ends its summer time at a whole minute, so an offset holds for a
/// minute. The zone itself (`TZ`, `/etc/localtime`) is read when it is first asked for.
pub(crate) fn local_offset_minutes(second: i64) -> i16 {
    let last = LAST.load(Ordering::Relaxed);
    let minute = second.div_euclid(60);
    if last.div_euclid(SCALE) == minute {
        return last.rem_euclid(SCALE) as i16 - MAX_OFFSET;
    }
    let offset = read(minute);
    // A clock that is far off is read for each line.
    if let Some(minute) = minute.checked_mul(SCALE) {
        LAST.store(minute + i64::from(offset + MAX_OFFSET), Ordering::Relaxed);
    }
    offset
}

/// Asks the system, whose rules know every summer time of the zone.
#[cold]
fn read(minute: i64) -> i16 {
    let time = minute
        .checked_mul(60)
        .map(OffsetDateTime::from_unix_timestamp);
    let Some(Ok(time)) = time else { return 0 };
    let offset = UtcOffset::local_offset_at(time).unwrap_or(UtcOffset::UTC);
    offset.whole_minutes().clamp(-MAX_OFFSET, MAX_OFFSET)
}
