//! `LOG_REDACT`: any value is either accepted and works, or is rejected.

use spanwise_core::{KeyVerdict, Redact};
use spanwise_redact::{Policy, PolicyOverrides};

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let overrides: PolicyOverrides = match text.parse() {
        Ok(overrides) => overrides,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(text.parse(), Ok(overrides.clone()));
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_off = words[0].eq_ignore_ascii_case("off");
    let policy = overrides.apply(Policy::secrets_and_pii());
    assert_eq!(policy.is_none(), is_off);
    let Some(policy) = policy else { return };
    let shows = words.iter().any(|word| word.starts_with('-'));
    for word in &words {
        let key = word.strip_prefix(['+', '-']).unwrap_or(word).trim();
        let verdict = policy.key(key);
        let _ = policy.text(&format!("{{\"{key}\":\"{key}={key}\"}}"));
        // A key shown by another word stays shown. The tier of PII is not a key.
        let is_name = !key.contains(['*', '.', '[', ']']) && !is_pii(key);
        if is_name && !shows && word.starts_with('+') {
            assert_eq!(verdict, KeyVerdict::Redact, "{key} of {text}");
        }
        if is_name && word.starts_with('-') {
            assert_eq!(verdict, KeyVerdict::Pass, "{key} of {text}");
        }
    }
}

/// Returns whether a key is read as the name of the tier. Only its letters are compared, so this
/// includes `p-i_i`.
fn is_pii(key: &str) -> bool {
    let alone = format!("+{key}").parse::<PolicyOverrides>();
    alone.is_ok_and(|overrides| overrides.to_string() == "on,+pii")
}
