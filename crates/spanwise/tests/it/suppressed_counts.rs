//! `LOG_SAMPLE` applies to every output of lines, but not to added layers. The counts of suppressed
//! events are also written at the end.

use std::time::Duration;

use crate::support::Lines;
use spanwise::{Builder, layer::JsonLayer};
use tracing::{error, info, warn};

#[test]
fn suppressed_counts_are_written_at_shutdown() {
    alone!();
    let (output, added) = (Lines::default(), Lines::default());
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_SAMPLE", "noisy=first:5/10/h,info=0.5"),
    ];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .with_writer(output.clone())
        .layer(JsonLayer::new().with_writer(added.clone()))
        .init()
        .unwrap();
    for n in 0..100 {
        info!(target: "noisy", n, "noise");
        error!(target: "noisy", n, "an error");
        warn!(n, "a warning");
        info!(n, "usual");
    }
    let handle = telemetry.handle();
    telemetry.shutdown(Duration::from_secs(5));

    let count = |lines: &Lines, message: &str| {
        let all = lines.objects();
        all.iter().filter(|line| line["message"] == message).count()
    };
    for message in ["noise", "an error", "a warning", "usual"] {
        assert_eq!(count(&added, message), 100, "{message}");
    }
    for message in ["an error", "a warning"] {
        assert_eq!(count(&output, message), 100, "{message}");
    }
    assert!((20..80).contains(&count(&output, "usual")));
    let noise = output.objects();
    let noise = noise.iter().filter(|line| line["message"] == "noise");
    let stands_for = |line: &serde_json::Value| 1.0 / line["sample_rate"].as_f64().unwrap_or(1.0);
    let shown: f64 = noise.map(stands_for).sum();
    let told: u64 = output
        .objects()
        .iter()
        .filter_map(|line| line["suppressed"].as_u64())
        .sum();
    assert_eq!(shown.round() as u64 + told, 100, "{}", output.text());
    let stats = handle.sampler_stats();
    assert_eq!(stats.kept + stats.sampled_out + stats.suppressed, 400);
}
