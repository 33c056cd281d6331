//! Verdicts about keys, for values of each type, and for callsites that imitate the bridge of the
//! `log` crate.

use std::{borrow::Cow, sync::Arc};

use spanwise_core::{Context, ContextLayer, KeyVerdict, LayerExt, REDACTED, Redact, Redaction};
use tracing::{info, info_span, subscriber::with_default};
use tracing_subscriber::prelude::*;

use crate::support::redaction::{Everything, NoHunter};

#[derive(Debug)]
struct Typed;

impl Redact for Typed {
    fn key(&self, key: &str) -> KeyVerdict {
        match key {
            "hidden" | "strict" | "log.password" => KeyVerdict::Redact,
            "gone" => KeyVerdict::Remove,
            "last" => KeyVerdict::Replace,
            "address" => KeyVerdict::Text,
            _ => KeyVerdict::Pass,
        }
    }

    fn key_of_bool(&self, key: &str) -> KeyVerdict {
        match key {
            "strict" => KeyVerdict::Redact,
            _ => KeyVerdict::Pass,
        }
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        text.into()
    }

    fn value<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        match (key, text) {
            ("address", "localhost") => text.into(),
            ("address", _) => "***".into(),
            _ => text.into(),
        }
    }
}

fn shown(log: impl FnOnce()) -> Vec<String> {
    let everything = Everything::default();
    let layer = everything.clone().redacted(Arc::new(Typed));
    with_default(tracing_subscriber::registry().with(layer), log);
    let mut calls = everything.take();
    calls.retain(|call| !call.starts_with("asked"));
    calls
}

#[test]
fn booleans_have_their_own_verdict() {
    assert_eq!(
        shown(|| info!(hidden = true, gone = false, last = true, strict = true, "m")),
        [
            "event message=debug:m hidden=bool:true gone=bool:false last=bool:true strict=str:[REDACTED]"
        ]
    );
    assert_eq!(
        shown(|| info!(hidden = 1, gone = "x", last = "x", "m")),
        ["event message=debug:m hidden=str:[REDACTED] last=str:[REDACTED]"]
    );
    // No other value needs redaction.
    assert_eq!(shown(|| info!(hidden = true)), ["event hidden=bool:true"]);
}

#[test]
fn text_verdict_scans_texts_and_redacts_numbers() {
    assert_eq!(
        shown(|| info!(address = "localhost", n = 1)),
        ["event address=str:localhost n=i64:1"]
    );
    assert_eq!(
        shown(|| info!(address = "Main Street 5")),
        ["event address=str:***"]
    );
    assert_eq!(
        shown(|| info!(address = %"Main Street 5")),
        ["event address=debug:***"]
    );
    for number in [
        shown(|| info!(address = 5_u64)),
        shown(|| info!(address = -5_i64)),
        shown(|| info!(address = 0.5)),
        shown(|| info!(address = u128::MAX)),
    ] {
        assert_eq!(number, ["event address=str:[REDACTED]"]);
    }
    assert_eq!(shown(|| info!(address = true)), ["event address=bool:true"]);
}

#[test]
fn context_keys_follow_key_verdicts() {
    let layer = ContextLayer::default()
        .key("hidden")
        .key("strict")
        .key("address")
        .redact(Arc::new(Typed));
    with_default(tracing_subscriber::registry().with(layer), || {
        let _span = info_span!("s", hidden = true, strict = true, address = "x").entered();
        let context = Context::current();
        assert_eq!(context.get("hidden"), Some("true"));
        assert_eq!(context.get("strict"), Some("[REDACTED]"));
        assert_eq!(context.get("address"), Some("***"));
    });
}

#[test]
fn callsite_imitating_the_bridge_is_redacted() {
    let calls = shown(|| {
        info!(target: "log", { log.target = "x", log.password = "mossy7", log.file = "a" }, "m");
    });
    assert_eq!(
        calls,
        ["event message=debug:m log.target=str:x log.password=str:[REDACTED] log.file=str:a"]
    );
}

#[test]
fn apply_carries_out_every_verdict() {
    let replaced = |text: &'static str| Redaction::Replace(text.into());
    let long = "9 ".repeat(<dyn Redact>::MAX_SCAN_LEN);
    let policy: &dyn Redact = &NoHunter;
    for (verdict, value, expected) in [
        (KeyVerdict::Pass, "42", Redaction::Keep),
        (KeyVerdict::Pass, "is hunter2", replaced("is ***")),
        (KeyVerdict::Text, "42", Redaction::Keep),
        (KeyVerdict::Text, "is hunter2", replaced("is ***")),
        (KeyVerdict::Trust, "is hunter2", Redaction::Keep),
        (KeyVerdict::Redact, "42", replaced(REDACTED)),
        (KeyVerdict::Replace, "4242", replaced("…42")),
        (KeyVerdict::Replace, &long, replaced(REDACTED)),
        (KeyVerdict::Remove, "42", Redaction::Remove),
    ] {
        let redaction = policy.apply(verdict, "key", || value.into());
        assert_eq!(redaction, expected, "{verdict:?} {}", value.len());
    }
    // The other verdicts do not read the text.
    for verdict in [KeyVerdict::Trust, KeyVerdict::Redact, KeyVerdict::Remove] {
        policy.apply(verdict, "key", || unreachable!("{verdict:?}"));
    }
}
