//! The entry of OpenTelemetry in a W3C `tracestate`, by its [specification]: `ot=th:8;rv:ab…`. The
//! sub-keys pass the threshold (`th`) and the randomness (`rv`) of the sampling to other services.
//!
//! [specification]: https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/

use std::sync::Arc;

/// The sub-keys that matter to a sampler.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SamplingSubKeys {
    /// The lowest randomness of the traces that an earlier sampler kept, from `th`.
    pub(crate) threshold: Option<u64>,
    /// Whether there is a `th`, valid or not.
    pub(crate) has_threshold: bool,
    /// The explicit randomness of the trace, from `rv`.
    pub(crate) randomness: Option<u64>,
}

/// The key of the entry of OpenTelemetry.
const KEY: &str = "ot";
const THRESHOLD: &str = "th";
const RANDOMNESS: &str = "rv";

/// The number of hexadecimal digits in 56 bits, the length of a threshold and of the randomness.
const DIGITS: usize = 14;

/// The maximum length of the value of an entry, in bytes.
const MAX_VALUE_LEN: usize = 256;

/// The maximum number of entries in a `tracestate`.
const MAX_ENTRIES: usize = 32;

/// Returns the sub-keys that matter to a sampler.
pub(crate) fn sampling_sub_keys(state: &str) -> SamplingSubKeys {
    let mut sampling = SamplingSubKeys::default();
    for (key, value) in sub_keys(state) {
        match key {
            THRESHOLD => {
                sampling.has_threshold = true;
                sampling.threshold = (1..=DIGITS)
                    .contains(&value.len())
                    .then(|| parse_digits(value))
                    .flatten();
            }
            RANDOMNESS if value.len() == DIGITS => sampling.randomness = parse_digits(value),
            _ => {}
        }
    }
    sampling
}

/// Returns `state` with `threshold` as its `th`, or without a `th` if `threshold` is `None`. The
/// entry of OpenTelemetry moves to the front. Returns `None` if there is no entry afterwards.
///
/// The `th` is omitted if it would make the entry too long.
pub(crate) fn with_threshold(state: &str, threshold: Option<&str>) -> Option<Arc<str>> {
    let mut value = String::new();
    for (key, other) in sub_keys(state).filter(|(key, _)| *key != THRESHOLD) {
        append_sub_key(&mut value, key, other);
    }
    if let Some(threshold) = threshold
        && value.len() + ";th:".len() + threshold.len() <= MAX_VALUE_LEN
    {
        append_sub_key(&mut value, THRESHOLD, threshold);
    }
    let mut changed = String::with_capacity(state.len() + value.len() + 4);
    let others = entries(state).filter(|(key, _, _)| *key != KEY);
    let max_others = MAX_ENTRIES - usize::from(!value.is_empty());
    if !value.is_empty() {
        changed.extend([KEY, "=", &value]);
    }
    for (_, _, entry) in others.take(max_others) {
        if !changed.is_empty() {
            changed.push(',');
        }
        changed.push_str(entry);
    }
    (!changed.is_empty()).then(|| changed.into())
}

fn append_sub_key(value: &mut String, key: &str, sub_value: &str) {
    if !value.is_empty() {
        value.push(';');
    }
    value.extend([key, ":", sub_value]);
}

/// Returns the key, the value and the whole text of each entry.
fn entries(state: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let entries = state.split(',').map(str::trim);
    entries.filter_map(|entry| {
        let (key, value) = entry.split_once('=')?;
        Some((key, value, entry))
    })
}

/// Returns the sub-keys of the entry of OpenTelemetry.
fn sub_keys(state: &str) -> impl Iterator<Item = (&str, &str)> {
    let value = entries(state).find(|(key, _, _)| *key == KEY);
    let value = value.map_or("", |(_, value, _)| value);
    value
        .split(';')
        .filter_map(|sub_key| sub_key.split_once(':'))
}

/// Parses the leading hexadecimal digits of a 56-bit number. The missing trailing digits are 0.
fn parse_digits(digits: &str) -> Option<u64> {
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let leading = is_hex.then(|| u64::from_str_radix(digits, 16).ok())??;
    Some(leading << (4 * (DIGITS - digits.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_keys_are_read() {
        let check = |state, threshold, randomness| {
            let sampling = sampling_sub_keys(state);
            assert_eq!(
                (sampling.threshold, sampling.randomness),
                (threshold, randomness),
                "{state}"
            );
        };
        check("", None, None);
        check("ot=th:0", Some(0), None);
        check("ot=th:8", Some(1 << 55), None);
        check(
            "a=b, ot=th:fd70a4;rv:00000000000001 ,c=d",
            Some(0xfd70a4 << 32),
            Some(1),
        );
        check("ot=th:;rv:1", None, None);
        check("ot=th:123456789012345;rv:zzzzzzzzzzzzzz", None, None);
        check("ot=th:+1", None, None);
        check("not=th:8", None, None);
    }

    #[test]
    fn threshold_replaces_an_earlier_one() {
        let check = |state, threshold, expected| {
            assert_eq!(
                with_threshold(state, threshold).as_deref(),
                expected,
                "{state}"
            );
        };
        check("", Some("8"), Some("ot=th:8"));
        check("", None, None);
        check("ot=th:8", None, None);
        check(
            "a=b,ot=th:c;rv:00000000000001;x:y",
            Some("8"),
            Some("ot=rv:00000000000001;x:y;th:8,a=b"),
        );
        check("a=b,ot=th:c", None, Some("a=b"));
    }

    #[test]
    fn limits_of_the_specification_hold() {
        let long = format!("ot=x:{},a=b", "y".repeat(252));
        assert_eq!(with_threshold(&long, Some("8")).as_deref(), Some(&*long));
        let many: Vec<String> = (0..32).map(|number| format!("k{number}=v")).collect();
        let full = with_threshold(&many.join(","), Some("8")).unwrap();
        assert_eq!(full.split(',').count(), 32);
        assert!(full.starts_with("ot=th:8,k0=v") && full.ends_with("k30=v"));
    }
}
