//! The corpus of secrets: none of them is in the bytes of a log record.

use std::{error::Error, fmt, sync::Arc};

use spanwise_core::{LayerExt as _, Redact};
use spanwise_otel::{LogOptions, OtelLogs, SpanFields};
use spanwise_redact::Policy;
use tracing::{error, field::Empty, info, info_span};
use tracing_subscriber::prelude::*;

use crate::support::records::Records;

const CORPUS: &str = include_str!("../../../spanwise-redact/tests/data/secrets.txt");

/// Shorter secrets may be in a record by chance.
const MIN_LEN: usize = 6;

/// Returns the text of a line without its marks, and the secrets in it.
fn decoded(line: &str) -> (String, Vec<String>) {
    let (_tier, text) = line.split_once(' ').expect("a tier and a text");
    let (mut plain, mut secrets) = (String::new(), Vec::new());
    let mut start = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '⟦' => start = Some(plain.len()),
            '⟧' => secrets.push(plain[start.take().expect("a mark before")..].to_owned()),
            '\\' => match chars.clone().next() {
                Some(escaped @ ('n' | 'r' | 't' | '\\' | '|')) => {
                    chars.next();
                    plain.extend(match escaped {
                        'n' => Some('\n'),
                        'r' => Some('\r'),
                        't' => Some('\t'),
                        '|' => None,
                        other => Some(other),
                    });
                }
                _ => plain.push(char),
            },
            _ => plain.push(char),
        }
    }
    (plain, secrets)
}

#[derive(Debug)]
struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failed {}

fn log(text: &str) {
    let span = info_span!("request", early = text, late = Empty);
    let _entered = span.enter();
    span.record("late", text);
    info!(note = text, display = %text, "a field");
    info!("{text}");
    let error: &(dyn Error + 'static) = &Failed(text.to_owned());
    error!(error);
}

#[test]
fn no_secret_of_the_corpus_is_in_a_record() {
    let records = Records::default();
    let policy: Arc<dyn Redact> = Arc::new(Policy::secrets_and_pii());
    let options = LogOptions::default().span_fields(SpanFields::All);
    let logs = OtelLogs::new(records.clone(), options);
    let stack = tracing_subscriber::registry().with(logs.redacted(policy));
    let mut count = 0;
    tracing::subscriber::with_default(stack, || {
        let is_sample = |line: &&str| !line.is_empty() && !line.starts_with('#');
        for line in CORPUS.lines().filter(is_sample) {
            let (text, secrets) = decoded(line);
            records.clear();
            log(&text);
            let bytes = records.bytes();
            assert_eq!(records.all().len(), 3, "{line}");
            for secret in secrets.iter().filter(|secret| secret.len() >= MIN_LEN) {
                let mut parts = bytes.windows(secret.len());
                assert!(!parts.any(|part| part == secret.as_bytes()), "{line}");
                count += 1;
            }
        }
    });
    assert!(count > 500, "{count} secrets");
}
