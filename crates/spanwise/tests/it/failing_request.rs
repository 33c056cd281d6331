//! `LOG_RECORDER=debug` writes the DEBUG lines of failed requests only, and only to outputs of
//! lines.

use crate::support::Lines;
use spanwise::{Builder, layer::JsonLayer};
use tracing::{debug, error, info, info_span};

#[test]
fn buffered_lines_come_before_the_error() {
    alone!();
    let (output, added, raw) = (Lines::default(), Lines::default(), Lines::default());
    let vars = [("LOG_PRESET", "prod"), ("LOG_RECORDER", "debug")];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .with_writer(output.clone())
        .layer(JsonLayer::new().with_writer(added.clone()))
        .layer_unredacted(JsonLayer::new().with_writer(raw.clone()))
        .init()
        .unwrap();

    for request_id in ["r-1", "r-2", "r-3"] {
        let request = info_span!("request", request_id);
        request.in_scope(|| {
            debug!(password = "hunter2", step = 1, "first");
            debug!(step = 2, "card 4111111111111111");
            match request_id {
                "r-2" => error!("failed"),
                _ => info!("done"),
            }
            debug!("last");
        });
    }
    let messages = |lines: &Lines| -> Vec<String> {
        let text = |line: &serde_json::Value| line["message"].as_str().unwrap().to_owned();
        lines.objects().iter().map(text).collect()
    };
    assert_eq!(
        messages(&output),
        [
            "done",
            "flight recorder: buffered events of this request follow",
            "first",
            "card [REDACTED]",
            "failed",
            "last",
            "done"
        ]
    );
    for added in [&added, &raw] {
        assert_eq!(messages(added), ["done", "failed", "done"]);
    }
    let lines = output.objects();
    for line in &lines[1..6] {
        assert_eq!(line["request_id"], "r-2", "{line}");
    }
    assert_eq!(
        (&lines[1]["reason"], &lines[1]["records"]),
        (&"error".into(), &2.into())
    );
    assert_eq!(
        (&lines[2]["buffered"], &lines[5]["buffered"]),
        (&true.into(), &().into())
    );
    assert!(!output.text().contains("hunter2"));
    let stats = telemetry.handle().recorder_stats();
    // The last line is the event `configuration`, which is in no unit.
    assert_eq!(
        (stats.captured, stats.written, stats.forgotten, stats.held()),
        (9, 2, 6, 1)
    );

    // A change of levels also applies to the events that are written immediately.
    telemetry.handle().set_levels("debug").unwrap();
    debug!("shown");
    assert_eq!(messages(&output).last().unwrap(), "shown");
    assert_eq!(messages(&added).last().unwrap(), "shown");
}
