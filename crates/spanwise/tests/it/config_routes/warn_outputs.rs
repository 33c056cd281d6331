//! Outputs at WARN beside a flight recorder, while the levels change.

use std::{fs, time::Duration};

use spanwise::__private::{from_file_text_and_vars, without_installing};
use tracing::{debug, dispatcher, error, info_span, warn};

const HEADER: &str = "flight recorder: buffered events of this request follow";

#[test]
fn output_at_warn_follows_set_levels() {
    let directory = tempfile::tempdir().unwrap();
    let file = r#"
        [recorder]
        capture = "debug"
        [sink.all]
        kind = "file"
        path = "DIR/all.log"
        format = "ecs"
        [sink.warnings]
        kind = "file"
        path = "DIR/warnings.log"
        format = "json"
        level = "warn"
    "#;
    let file = file.replace("DIR", directory.path().to_str().unwrap());
    let vars = [("LOG_PRESET", "prod"), ("RUST_LOG", "info")];
    let builder = from_file_text_and_vars(&file, &vars).unwrap();
    let (dispatch, telemetry) = without_installing(builder).unwrap();
    let handle = telemetry.handle();
    let messages = |name: &str| -> Vec<String> {
        assert!(handle.flush(Duration::from_secs(60)));
        let path = directory.path().join(format!("{name}.log"));
        let text = fs::read_to_string(path).unwrap();
        let message = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["message"].as_str().unwrap().to_owned()
        };
        text.lines().map(message).collect()
    };
    let request = || {
        dispatcher::with_default(&dispatch, || {
            let _request = info_span!("request").entered();
            debug!("a step");
            warn!("slow");
            error!("failed");
        });
    };
    request();
    assert_eq!(messages("all"), ["slow", HEADER, "a step", "failed"]);
    // Without buffered lines, there is no header.
    assert_eq!(messages("warnings"), ["slow", "failed"]);
    // Inside the stack, because `tracing` evaluates the callsites for the current subscriber.
    dispatcher::with_default(&dispatch, || handle.set_levels("error").unwrap());
    request();
    assert_eq!(messages("all")[4..], [HEADER, "a step", "slow", "failed"]);
    assert_eq!(messages("warnings")[2..], [HEADER, "slow", "failed"]);
}
