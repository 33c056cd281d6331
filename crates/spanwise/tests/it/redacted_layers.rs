//! In the whole stack, secrets reach no output, no added layer, no context and no message about
//! logging itself. An unredacted layer receives everything.

use crate::support::Lines;
use spanwise::{context::Context, layer::JsonLayer, redact::Policy};
use tracing::{error, info, info_span};

const CARD: &str = "4111111111111111";

#[derive(Debug)]
struct Declined;

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "card {CARD} was declined")
    }
}

impl std::error::Error for Declined {}

#[test]
fn only_unredacted_layer_sees_secrets() {
    alone!();
    let [output, added, unredacted] = [(); 3].map(|()| Lines::default());
    let telemetry = spanwise::Builder::new(spanwise::Preset::Prod)
        .with_writer(output.clone())
        .redact(Policy::secrets().hide("badge").unwrap())
        .layer(JsonLayer::new().with_writer(added.clone()))
        .layer_unredacted(JsonLayer::new().with_writer(unredacted.clone()))
        .init()
        .unwrap();
    let span = info_span!(
        "request",
        user_id = CARD,
        badge = "b-1234",
        late = tracing::field::Empty
    );
    span.in_scope(|| {
        span.record("late", "password=hunter2");
        info!(items = %spanwise::as_json(&[1, 2]), order = 42, "paid with {CARD}");
        error!(error = &Declined as &dyn std::error::Error, "no");
        assert_eq!(Context::current().get("user_id"), Some("[REDACTED]"));
    });

    for lines in [&output, &added] {
        let text = lines.text();
        for secret in [CARD, "hunter2", "b-1234"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let line = lines.with_message("paid with [REDACTED]");
        assert_eq!(line["order"], 42);
        assert_eq!(line["items"], serde_json::json!([1, 2]), "{text}");
        assert_eq!(line["late"], "password=[REDACTED]");
    }
    let error = output.with_message("no")["error"].clone();
    assert_eq!(error["message"], "card [REDACTED] was declined");
    let line = output.with_message("paid with [REDACTED]");
    assert_eq!(
        line["redacted"],
        serde_json::json!(["message", "user_id", "badge", "late"])
    );
    for secret in [CARD, "hunter2", "b-1234"] {
        assert!(unredacted.text().contains(secret), "{secret}");
    }
    let redacted = telemetry.handle().stats().redacted;
    assert!(
        redacted
            .iter()
            .any(|(rule, count)| rule == "card" && *count > 0)
    );
    assert!(redacted.iter().any(|(rule, _)| rule == "key badge"));
}
