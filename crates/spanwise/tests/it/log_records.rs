//! With their own target, file and line, and the span they are in; levels hold for their targets too.

use crate::support::Lines;
use serde_json::json;

#[test]
fn with_their_real_origin_and_without_fields_of_the_bridge() {
    alone!();
    let (lines, nested, warnings) = (Lines::default(), Lines::default(), Lines::default());
    let telemetry = spanwise::Builder::prod()
        .levels("info,noisy=warn".parse().unwrap())
        .with_writer(lines.clone())
        .with(
            spanwise::JsonLayer::new()
                .with_source_location()
                .format(spanwise_json::Format::JsonNested)
                .with_writer(nested.clone()),
        )
        .with(spanwise::LayerExt::leveled(
            spanwise::JsonLayer::new().with_writer(warnings.clone()),
            "off,hyper=warn".parse().unwrap(),
        ))
        .init()
        .unwrap();
    let _request = tracing::info_span!("request", request_id = "r-1").entered();
    log::info!(target: "hyper::client", "connected");
    log::warn!(target: "hyper::client", "slow");
    log::info!(target: "noisy", "below its level");
    log::debug!("below");

    let line = lines.with_message("connected");
    assert_eq!(
        (&line["target"], &line["request_id"], &line["level"]),
        (&json!("hyper::client"), &json!("r-1"), &json!("INFO"))
    );
    assert!(!lines.text().contains("log."), "{}", lines.text());
    assert_eq!(lines.objects().len(), 2);
    assert_eq!(warnings.objects().len(), 1, "{}", warnings.text());
    let line = &nested.objects()[0];
    assert_eq!(
        (&line["target"], &line["fields"]),
        (&json!("hyper::client"), &json!({ "message": "connected" }))
    );
    assert!(
        line["filename"]
            .as_str()
            .unwrap()
            .ends_with("it/log_records.rs")
    );
    assert!(line["line_number"].is_u64());

    telemetry.handle().set_levels("debug").unwrap();
    log::debug!("now");
    lines.with_message("now");
}
