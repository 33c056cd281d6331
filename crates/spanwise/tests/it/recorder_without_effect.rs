//! `LOG_RECORDER` with levels that are shown anyway.

use std::time::Duration;

use crate::support::Lines;
use spanwise::{Builder, report::Fault};

#[test]
fn recorder_without_effect_is_reported() {
    alone!();
    let keeps = |levels: &str, recorder: &str| {
        let recorder: spanwise::record::Recorder = recorder.parse().unwrap();
        recorder.captures_beyond(&levels.parse().unwrap())
    };
    assert!(keeps("info", "debug") && keeps("info,shop=debug", "debug"));
    assert!(keeps("info", "shop=debug") && keeps("info", "info,tail=0.1"));
    assert!(!keeps("info", "info,slow=1s") && !keeps("info,shop=trace", "shop=debug"));
    assert!(!keeps("off", "debug"), "a target that is off is not kept");

    let vars = [
        ("LOG_PRESET", "prod"),
        ("RUST_LOG", "info"),
        ("LOG_RECORDER", "warn,slow=1s"),
    ];
    let builder = Builder::from_vars(vars).unwrap();
    let telemetry = builder.with_writer(Lines::default()).init().unwrap();
    assert_eq!(telemetry.handle().stats().faults, [(Fault::Setup, 1)]);
    telemetry.shutdown(Duration::from_secs(5));
}
