//! Equal values have equal pseudonyms, which reveal nothing without the key.

use spanwise_core::{Fault, KeyVerdict, Redact, SelfReport};
use spanwise_redact::{Action, Policy, PseudonymKey};

#[expect(clippy::unwrap_used, reason = "for tests")]
fn policy(key: &[u8]) -> Policy {
    Policy::secrets()
        .hide_with("user_id", Action::Pseudonym)
        .unwrap()
        .hide_with("account", Action::Pseudonym)
        .unwrap()
        .pseudonym_key(PseudonymKey::new(key).unwrap())
}

#[test]
fn pseudonyms_are_equal_for_equal_names_and_values() {
    let one = policy(b"0123456789abcdef");
    assert_eq!(one.key("user_id"), KeyVerdict::Replace);
    let shown = one.replace("user_id", "ada");
    // HMAC-SHA-256 over `userid`, a zero byte and `ada`: the first 16 bytes.
    assert_eq!(shown.len(), "k1:".len() + 22);
    assert!(shown.starts_with("k1:") && !shown.contains("ada"));
    assert_eq!(shown, one.clone().replace("user.userId", "ada"));
    assert_eq!(shown, policy(b"0123456789abcdef").replace("user_id", "ada"));
    assert_eq!(one.text("user_id=ada"), format!("user_id={shown}"));
    assert_eq!(
        one.text(r#"{"user_id":"ada"}"#),
        format!(r#"{{"user_id":"{shown}"}}"#)
    );
    let others = [
        one.replace("user_id", "bob"),
        one.replace("account", "ada"),
        policy(b"another key of 16").replace("user_id", "ada"),
    ];
    assert!(!others.contains(&shown), "{others:?}");
    assert!(!format!("{one:?}").contains("0123456789abcdef"));
}

#[test]
fn pseudonyms_are_equal_in_fields_and_texts() {
    let key = PseudonymKey::new(b"0123456789abcdef").unwrap();
    let policy = Policy::secrets_and_pseudonyms(key);
    let shown = policy.replace("email", "ada@x.org");
    assert!(shown.starts_with("k1:"));
    for (text, expected) in [
        ("email=ada@x.org", format!("email={shown}")),
        (
            r#"{"email":"ada@x.org"}"#,
            format!(r#"{{"email":"{shown}"}}"#),
        ),
        ("by ada@x.org.", format!("by {shown}.")),
    ] {
        assert_eq!(policy.text(text), expected);
    }
}

#[test]
fn pseudonyms_equal_a_published_hmac() {
    // python3: hmac.new(b"0123456789abcdef", b"userid\0ada", "sha256")
    assert_eq!(
        policy(b"0123456789abcdef").replace("user_id", "ada"),
        EXPECTED
    );
}

const EXPECTED: &str = "k1:zRuKG8jn6VBgUTjNUrhr8A";

#[test]
fn missing_pseudonym_key_redacts_and_is_reported_once() {
    let report = SelfReport::silent();
    let policy = Policy::secrets()
        .hide_with("user_id", Action::Pseudonym)
        .unwrap()
        .report(&report);
    for _ in 0..3 {
        assert_eq!(policy.replace("user_id", "ada"), "[REDACTED]");
    }
    assert_eq!(report.stats().faults, [(Fault::Setup, 1)]);
}

#[test]
fn keys_come_from_files_and_short_keys_are_rejected() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "0123456789abcdef\n").unwrap();
    let key = PseudonymKey::from_file(file.path()).unwrap();
    let read = Policy::secrets()
        .hide_with("user_id", Action::Pseudonym)
        .unwrap()
        .pseudonym_key(key);
    assert_eq!(
        read.replace("user_id", "ada"),
        policy(b"0123456789abcdef").replace("user_id", "ada")
    );
    let short = PseudonymKey::new(b"hunter2").unwrap_err().to_string();
    assert!(
        short.contains("has 7 bytes") && !short.contains("hunter2"),
        "{short}"
    );
    assert!(
        PseudonymKey::from_file("/nowhere")
            .unwrap_err()
            .to_string()
            .contains("/nowhere")
    );
}
