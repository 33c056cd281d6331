//! A file for errors contains neither buffered lines nor their headers. An output at WARN has them
//! if the levels hide warnings. An output at INFO follows tail sampling.

use std::{fs, time::Duration};

use crate::support::Lines;
use spanwise::{Builder, Output};
use tracing::{debug, error, info, info_span, warn};

#[test]
fn buffered_lines_go_to_the_file_only() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let vars = [("LOG_PRESET", "prod"), ("LOG_RECORDER", "debug")];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .output(Output::None)
        .file(path("all.log"))
        .error_file(path("errors.log"))
        .init()
        .unwrap();
    info_span!("request").in_scope(|| {
        debug!("a step");
        info!("shown");
        error!("failed");
    });
    telemetry.shutdown(Duration::from_secs(5));

    let messages = |name: &str| {
        let text = fs::read_to_string(path(name)).unwrap();
        let message = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["message"].as_str().unwrap().to_owned()
        };
        text.lines().map(message).collect::<Vec<_>>()
    };
    let header = "flight recorder: buffered events of this request follow";
    assert_eq!(messages("all.log"), ["shown", header, "a step", "failed"]);
    assert_eq!(messages("errors.log"), ["failed"]);
}

#[test]
fn output_at_info_follows_tail_sampling() {
    alone!();
    let output = Lines::default();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_OUTPUT_LEVEL", "info"),
        ("LOG_RECORDER", "debug,tail=0"),
    ];
    let builder = Builder::from_vars(vars).unwrap();
    let telemetry = builder.with_writer(output.clone()).init().unwrap();
    for fails in [false, true] {
        info_span!("request", fails).in_scope(|| {
            debug!("a step");
            info!("received");
            if fails {
                error!("failed");
            }
        });
    }
    telemetry.shutdown(Duration::from_secs(5));
    let lines = output.objects();
    let of_request = |fails: bool| -> Vec<&str> {
        let own = lines.iter().filter(|line| line["fails"] == fails);
        own.map(|line| line["message"].as_str().unwrap()).collect()
    };
    let header = "flight recorder: buffered events of this request follow";
    assert_eq!(of_request(true), [header, "received", "failed"]);
    assert_eq!(of_request(false), [""; 0]);
}

#[test]
fn output_at_warn_gets_buffered_warnings() {
    use spanwise::__private::without_installing;

    let header = "flight recorder: buffered events of this request follow";
    for (levels, expected) in [
        ("error", &[header, "slow", "failed"][..]),
        ("info,it=error", &[header, "slow", "failed"]),
        ("info", &["slow", "failed"]),
    ] {
        let output = Lines::default();
        let vars = [
            ("LOG_PRESET", "prod"),
            ("RUST_LOG", levels),
            ("LOG_OUTPUT_LEVEL", "warn"),
            ("LOG_RECORDER", "debug"),
        ];
        let builder = Builder::from_vars(vars).unwrap();
        let (dispatch, telemetry) =
            without_installing(builder.with_writer(output.clone())).unwrap();
        tracing::dispatcher::with_default(&dispatch, || {
            let _request = info_span!("request").entered();
            debug!("a step");
            warn!("slow");
            error!("failed");
        });
        telemetry.shutdown(Duration::from_secs(60));
        let lines = output.objects();
        let messages = lines.iter().map(|line| line["message"].as_str().unwrap());
        assert_eq!(messages.collect::<Vec<_>>(), expected, "{levels}");
    }
}
