//! Percentages in settings that accept a ratio.

/// Returns the ratio that a percentage from `0%` to `100%` means, so that the error about a
/// percentage can suggest the ratio.
///
/// ```
/// use spanwise_core::internal::parse_percentage;
///
/// assert_eq!(parse_percentage("10%"), Some(0.1));
/// assert_eq!(parse_percentage("0.7 %"), Some(0.007));
/// assert_eq!(parse_percentage("200%"), None);
/// assert_eq!(parse_percentage("0.1"), None);
/// ```
#[must_use]
pub fn parse_percentage(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?.trim_end();
    // `0.7e-2` is parsed as 0.007. The quotient 0.7 / 100.0 is 0.006999999999999999.
    let ratio: f64 = format!("{number}e-2").parse().ok()?;
    (0.0..=1.0).contains(&ratio).then_some(ratio)
}
