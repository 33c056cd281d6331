//! A summary names the value it is about as the policy shows it: the policy reads all of it.

use std::{fmt, sync::Arc};

use crate::support::Lines;
use serde_json::Value;
use spanwise_core::{ContextLayer, LayerExt, Redact};
use spanwise_redact::Policy;
use spanwise_sample::{SampleExt, Sampler};
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;

/// The summary of what `log` logs twice, one of it at the most.
fn summary(log: impl Fn()) -> Value {
    let (lines, sampler) = (Lines::default(), "info=1/s@url".parse::<Sampler>().unwrap());
    let policy: Arc<dyn Redact> = Arc::new(Policy::secrets());
    let layer = lines.on_registry().redacted(policy);
    let stack = tracing_subscriber::registry()
        .with(layer.sampled(sampler.clone()))
        .with(ContextLayer::default().key("url"));
    tracing::subscriber::with_default(stack, || {
        log();
        lines.take();
        log();
        sampler.emit_summaries();
    });
    let mut shown = lines.take();
    assert_eq!(shown.len(), 1, "{shown:?}");
    let summary = shown.remove(0);
    assert_eq!(summary["suppressed"], 1);
    summary
}

fn url(password: &str) -> String {
    format!("postgres://shop:{password}@db/shop")
}

#[test]
fn a_short_value_is_named() {
    let value = || info!(url = "/orders", "slow");
    assert_eq!(summary(value)["url"], "/orders");
}

/// A number is one in the summary as it is in the events, so that a query finds both.
#[test]
fn number_stays_a_number() {
    assert_eq!(summary(|| info!(url = 42, "slow"))["url"], 42);
    assert_eq!(summary(|| info!(url = -1_i8, "slow"))["url"], -1);
    assert_eq!(summary(|| info!(url = 0.5, "slow"))["url"], 0.5);
    assert_eq!(summary(|| info!(url = true, "slow"))["url"], true);
    assert_eq!(summary(|| info!(url = "42", "slow"))["url"], "42");
    // The context has texts.
    let in_span = || info_span!("request", url = 42).in_scope(|| info!("slow"));
    assert_eq!(summary(in_span)["url"], "42");
}

/// Of a value that is cut before the policy reads it, the mark of the secret would be missing: the
/// `@` behind a password.
#[test]
fn no_length_of_a_secret_is_shown_in_part() {
    for len in (8..300).step_by(7).chain([900, 1001, 1020, 1100, 5000]) {
        let url = url(&"kR7vQ2xW".repeat(len).as_str()[..len]);
        let quoted = format!("{url:?}");
        for (summary, read) in [
            (summary(|| info!(url, "slow")), &url),
            (summary(|| info!(url = ?url, "slow")), &quoted),
            (
                summary(|| info_span!("request", url).in_scope(|| info!("slow"))),
                &url,
            ),
        ] {
            let text = summary.to_string();
            assert!(!text.contains("kR7v"), "{len}: {text}");
            assert_eq!(summary.get("url").is_some(), read.len() <= 1000, "{len}");
        }
    }
}

/// Ends in the middle, or goes on behind an error.
struct Broken(&'static str);

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://shop:kR7vQ2xW")?;
        match self.0 {
            "panics" => panic!("on purpose"),
            "fails" => return Err(fmt::Error),
            _ => {
                let _ = f.write_str(&"x".repeat(2000));
            }
        }
        f.write_str("@db/shop")
    }
}

#[test]
fn a_value_that_cannot_be_read_to_its_end_is_not_named() {
    for deed in ["panics", "fails", "goes on"] {
        let summary = summary(|| info!(url = ?Broken(deed), "slow"));
        assert_eq!(summary.get("url"), None, "{deed}");
    }
}
