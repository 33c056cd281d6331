//! Secrets hidden by their type: as a field, in `Debug` and when serialized.

use serde::Serialize;
use spanwise_json::{JsonLayer, as_json};
use spanwise_redact::{Classified, serialize_redacted};
use spanwise_testing::support::Lines;
use tracing_subscriber::prelude::*;

#[test]
fn classified_values_are_redacted_everywhere() {
    let secret = Classified::from("hunter2");
    assert_eq!(
        format!("{secret} {secret:?} {secret:#?} {secret:>12}"),
        "[REDACTED] [REDACTED] [REDACTED]   [REDACTED]"
    );
    assert_eq!(serde_json::to_string(&secret).unwrap(), "\"[REDACTED]\"");
    let read: Classified<String> = serde_json::from_str("\"hunter2\"").unwrap();
    assert_eq!(
        (read.expose().as_str(), read.clone().into_exposed()),
        ("hunter2", "hunter2".to_owned())
    );
}

/// A secret that can neither be formatted nor serialized.
struct Opaque;

#[derive(Serialize)]
struct Login {
    user: &'static str,
    #[serde(serialize_with = "serialize_redacted")]
    opaque: Opaque,
    code: Classified<u32>,
    backup: Option<Classified<&'static str>>,
}

#[test]
fn classified_members_are_redacted_in_json() {
    let line = logged(|| {
        let login = Login {
            user: "ada",
            opaque: Opaque,
            code: Classified::new(481_516),
            backup: Some(Classified::new("hunter2")),
        };
        tracing::info!(login = %as_json(&login), code = %login.code, backup = ?login.backup, "in");
    });
    let expected = r#""login":{"user":"ada","opaque":"[REDACTED]","code":"[REDACTED]","backup":"[REDACTED]"},"code":"[REDACTED]","backup":"Some([REDACTED])""#;
    assert!(line.contains(expected), "{line}");
}

#[cfg(feature = "secrecy")]
#[test]
fn secret_strings_are_redacted_and_can_be_exposed() {
    use secrecy::{ExposeSecret, SecretString};

    #[derive(Serialize)]
    struct Settings {
        greeting: Classified<SecretString>,
        #[serde(serialize_with = "serialize_redacted")]
        farewell: SecretString,
    }

    let settings = Settings {
        greeting: Classified::new("hunter2".into()),
        farewell: "hunter2".into(),
    };
    assert_eq!(settings.greeting.expose_secret(), "hunter2");
    let line = logged(|| {
        let greeting = &settings.greeting;
        let farewell = &settings.farewell;
        tracing::info!(settings = %as_json(&settings), %greeting, ?farewell, "in");
    });
    let expected = r#""settings":{"greeting":"[REDACTED]","farewell":"[REDACTED]"},"greeting":"[REDACTED]","farewell":"SecretBox<str>([REDACTED])""#;
    assert!(line.contains(expected), "{line}");
}

/// Returns the output of a layer without a policy.
fn logged(log: impl FnOnce()) -> String {
    let lines = Lines::default();
    let layer = JsonLayer::new().with_writer(lines.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
    lines.text()
}
