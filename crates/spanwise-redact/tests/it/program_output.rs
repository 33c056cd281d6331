//! Texts that other programs write: colors, reports of new secrets, and bodies of requests.
//!
//! `«…»` marks what must be hidden.

use std::borrow::Cow;

use spanwise_core::Redact;
use spanwise_redact::Policy;

use crate::text_grammar::check;

#[test]
fn passwords_in_forms_with_several_parts() {
    check(&[
        "--B\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nada\r\n--B\r\n\
         Content-Disposition: form-data; name=\"password\"\r\n\r\n«tulip\r\n 9»\r\n--B--\r\n",
        "Content-Disposition: form-data; name=\"pin\"\nContent-Type: text/plain\n\n«4821»\n--B",
        "{\"body\":\"Content-Disposition: form-data; name=\\\"password\\\"\\r\\n\\r\\n«tulip 9»\\r\\n--B--\",\"n\":1}",
        "{\"body\":\"Content-Disposition: form-data; name=\\\"password\\\"\\r\\n\\r\\n«tulip 9»\",\"n\":1}",
        "form-data; name=\"password\"\n\n«tulip»\n--B\nform-data; name=\"n\"\n\n3\n--B--",
        "form-data; name=\"note\"\n\ntulip\n--B--",
        "name=\"password\"\n\ntulip\n--B--",
    ]);
}

#[test]
fn version_of_four_numbers_is_shown_by_its_key() {
    let policy = Policy::secrets_and_pii();
    let shown = |key, text: &'static str| policy.value(key, text);
    for key in ["app_version", "appVer", "os.version", "firmware"] {
        assert_eq!(shown(key, "203.0.113.7"), "203.0.113.7", "{key}");
        assert_eq!(shown(key, "\"203.0.113.7\""), "\"203.0.113.7\"", "{key}");
    }
    let hidden = [
        ("peer", "203.0.113.7"),
        ("server", "203.0.113.7"),
        ("version_peer", "203.0.113.7"),
    ];
    for (key, text) in hidden {
        assert_eq!(shown(key, text), "[REDACTED]", "{key}");
    }
    assert_eq!(
        shown("version", "1.18 from 203.0.113.7"),
        "1.18 from [REDACTED]"
    );
    let mut appended = String::new();
    assert!(!policy.redact_into(Some("app_version"), "203.0.113.7", &mut appended));
    assert!(matches!(
        shown("app_version", "203.0.113.7"),
        Cow::Borrowed(_)
    ));
}
