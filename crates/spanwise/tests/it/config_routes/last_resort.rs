//! The sink for the warnings and errors of routes whose sinks are all switched off.

use std::{fs, time::Duration};

use super::run;
use spanwise::{
    __private::{from_file_text_and_vars, without_installing},
    Handle,
};
use spanwise_core::Fault;
use tracing::{dispatcher, error, info, warn};

const FILE: &str = r#"
    [sink.first]
    kind = "file"
    path = "DIR/first.log"
    [sink.off]
    kind = "stdout"
    enabled = false
    [filter]
    raised = { level = { as = "error", message = "raised" } }
    lowered = { level = { as = "info", message = "lowered" } }
    all_raised = { level = { as = "warn", target = "raised" } }
    dropped = { drop = { target = "dropped" } }
    [route.shop]
    sinks = ["off"]
    exclusive = true
    filters = ["raised", "lowered"]
    [route.raised]
    sinks = ["off"]
    exclusive = true
    filters = ["all_raised"]
    [route.dropped]
    sinks = ["off"]
    exclusive = true
    filters = ["dropped"]
"#;

#[test]
fn level_after_filters_decides_about_last_resort() {
    let logged = run(FILE, &[], || {
        info!(target: "shop", "info");
        info!(target: "shop", "raised info");
        warn!(target: "shop", "warning");
        warn!(target: "shop", "raised warning");
        warn!(target: "shop", "lowered warning");
        error!(target: "shop", "lowered error");
        info!(target: "raised", "all are raised");
        error!(target: "dropped", "dropped");
    });
    let expected = ["raised info", "warning", "raised warning", "all are raised"];
    assert_eq!(logged.messages("first"), expected);
}

/// Returns how many faults of the setup the handle counts.
fn reports(handle: &Handle) -> u64 {
    let stats = handle.stats();
    let setup = stats.faults.iter().find(|(it, _)| *it == Fault::Setup);
    setup.map_or(0, |(_, count)| *count)
}

#[test]
fn raised_event_reports_the_last_resort() {
    // The counters are those of the process.
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let file = FILE.replace("DIR", directory.path().to_str().unwrap());
    let builder = from_file_text_and_vars(&file, &[("LOG_PRESET", "prod")]).unwrap();
    let (dispatch, telemetry) = without_installing(builder).unwrap();
    let handle = telemetry.handle();
    dispatcher::with_default(&dispatch, || {
        info!(target: "shop", "info");
        error!(target: "dropped", "dropped");
    });
    assert_eq!(reports(&handle), 0);
    dispatcher::with_default(&dispatch, || {
        for _ in 0..2 {
            info!(target: "shop", "raised");
        }
    });
    assert_eq!(reports(&handle), 1);
    telemetry.shutdown(Duration::from_secs(60));
}

#[test]
fn summary_does_not_report_the_last_resort() {
    // The counters are those of the process.
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let file = r#"
        [sample]
        rules = "info=first:1/1h"
        [sink.first]
        kind = "file"
        path = "DIR/first.log"
        [sink.off]
        kind = "stdout"
        enabled = false
        [route."spanwise::sampler"]
        sinks = ["off"]
        exclusive = true
    "#;
    let file = file.replace("DIR", directory.path().to_str().unwrap());
    let builder = from_file_text_and_vars(&file, &[("LOG_PRESET", "prod")]).unwrap();
    let (dispatch, telemetry) = without_installing(builder).unwrap();
    let handle = telemetry.handle();
    dispatcher::with_default(&dispatch, || {
        for _ in 0..3 {
            info!("again");
        }
        telemetry.shutdown(Duration::from_secs(60));
    });
    let text = fs::read_to_string(directory.path().join("first.log")).unwrap();
    assert!(text.contains("events suppressed"), "{text}");
    assert_eq!(reports(&handle), 0);
}
