//! Durations with units, as people write them: `6.79ms`, `2m14s`.

/// The suffixes of field names that are units, with their length in nanoseconds.
const SUFFIXES: [(&str, f64); 4] = [("_ms", 1e6), ("_us", 1e3), ("_ns", 1.0), ("_s", 1e9)];

/// Returns the name without its unit, and the duration, for a field such as `duration_ms`. Returns
/// `None` for other fields, for rates such as `bytes_per_s`, and for a duration that is negative or
/// not below [`MAX_NANOS`].
pub(crate) fn duration_field(name: &str, number: f64) -> Option<(&str, String)> {
    let (base, unit_nanos) = SUFFIXES
        .iter()
        .find_map(|(suffix, unit_nanos)| Some((name.strip_suffix(suffix)?, unit_nanos)))?;
    let is_rate = base == "per" || base.ends_with("_per") || base.ends_with(".per");
    let nanos = number * unit_nanos;
    let is_duration = !base.is_empty() && !base.ends_with('.') && !is_rate;
    (is_duration && (0.0..MAX_NANOS).contains(&nanos)).then(|| (base, duration_text(nanos)))
}

/// A thousand days, in nanoseconds. A time of this length or more is shown as a plain number.
const MAX_NANOS: f64 = 1000.0 * 86_400.0 * 1e9;

/// Returns a duration with three significant digits, such as `679µs` or `6.79ms`. From a minute on,
/// the duration has two units, such as `2m14s`.
pub(crate) fn duration_text(nanos: f64) -> String {
    // The comparison is after the rounding, so that 999.9 µs becomes 1 ms and not 1000 µs.
    let units = [(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")];
    for (index, (unit_nanos, name)) in units.iter().enumerate() {
        let number = three_digits(nanos / unit_nanos);
        let limit = if index == 3 { 60.0 } else { 1000.0 };
        if number < limit {
            return format!("{number}{name}");
        }
    }
    let seconds = (nanos / 1e9).round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (minutes, hours) {
        (..60, _) => format!("{minutes}m{:02}s", seconds % 60),
        (_, ..24) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// Rounds to three significant digits, and to a whole number from 100 on.
fn three_digits(number: f64) -> f64 {
    let decimals = match number {
        ..10.0 => 100.0,
        ..100.0 => 10.0,
        _ => 1.0,
    };
    (number * decimals).round() / decimals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_fits() {
        for (nanos, text) in [
            (0.0, "0ns"),
            (17.0, "17ns"),
            (679_000.0, "679µs"),
            (999_600.0, "1ms"),
            (6_789_000.0, "6.79ms"),
            (11_000_000.0, "11ms"),
            (1_234_000_000.0, "1.23s"),
            (59_960_000_000.0, "1m00s"),
            (134_000_000_000.0, "2m14s"),
            (3_720_000_000_000.0, "1h02m"),
            (100_000_000_000_000.0, "1d03h"),
        ] {
            assert_eq!(duration_text(nanos), text);
        }
    }

    #[test]
    fn names_with_a_unit_lose_it() {
        let field = |name, number| {
            let found = duration_field(name, number);
            found.map(|(name, text)| format!("{name}={text}"))
        };
        assert_eq!(
            field("duration_ms", 0.679).as_deref(),
            Some("duration=679µs")
        );
        assert_eq!(
            field("retry_after_s", 30.0).as_deref(),
            Some("retry_after=30s")
        );
        assert_eq!(field("wait_us", 12.0).as_deref(), Some("wait=12µs"));
        for (name, number) in [
            ("bytes_per_s", 9.0),
            ("_ms", 1.0),
            ("db._ms", 1.0),
            ("ms", 1.0),
            ("skew_ms", -3.0),
            ("wait_ms", f64::NAN),
            ("wait_ms", f64::INFINITY),
            ("items", 3.0),
        ] {
            assert_eq!(field(name, number), None, "{name}");
        }
    }
}
