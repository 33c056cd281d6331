//! A recursive function opens a span at each level. Lines stay short, late records arrive, and the
//! stack does not overflow.

use tracing::{field::Empty, info, info_span};

#[test]
fn deepest_line_is_short_and_has_context() {
    alone!();
    crate::support::bounded(|| {
        let (json, _, _telemetry) = crate::support::install();
        let root = info_span!("root", request_id = "r-1", tenant_id = Empty);
        let mut spans = vec![root.clone().entered()];
        for depth in 0..10_000 {
            spans.push(info_span!("level", depth).entered());
        }
        info!("at the bottom");
        root.record("tenant_id", "acme");
        info!("after a late record");
        while spans.pop().is_some() {}

        for message in ["at the bottom", "after a late record"] {
            let line = json.with_message(message);
            assert_eq!(
                (&line["request_id"], line["depth"].as_u64()),
                (&"r-1".into(), Some(9_999))
            );
        }
        assert_eq!(
            json.with_message("after a late record")["tenant_id"],
            "acme"
        );
        let longest = json.text().lines().map(str::len).max();
        assert!(longest < Some(1_000), "{longest:?}");
    });
}
