//! A sampler and tail sampling decide by the same id. So their ratios are not multiplied, and a
//! failed request shows all its lines.

use std::time::Duration;

use crate::support::Lines;
use spanwise::Builder;
use tracing::{error, info, info_span};

const REQUESTS: usize = 20_000;
const TAIL: f64 = 0.2;
const RATIO: f64 = 0.05;

#[test]
fn sample_rates_add_up_to_what_was_logged() {
    alone!();
    let output = Lines::default();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_SAMPLE", "info=0.05,error=0/h,sqlx=100/h"),
        ("LOG_RECORDER", "debug,tail=0.2"),
    ];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .with_writer(output.clone())
        .init()
        .unwrap();
    for n in 0..REQUESTS {
        let _request = info_span!("request", request_id = format!("r-{n}"), n).entered();
        info!("received");
        info!(target: "sqlx::query", "query");
        if n % 100 == 0 {
            error!("failed");
            info!("goes on");
        }
    }
    telemetry.shutdown(Duration::from_secs(5));

    let lines = output.objects();
    let of = |message: &'static str| lines.iter().filter(move |line| line["message"] == message);
    // Each failed request shows its lines, although the sampler drops each error and 95 % of the
    // INFO lines.
    let failed = REQUESTS / 100;
    let headers = of("flight recorder: buffered events of this request follow").count();
    assert_eq!(headers, of("goes on").count());
    assert_eq!(of("goes on").count(), failed);
    assert_eq!(of("failed").count(), 0);
    for n in (0..REQUESTS).step_by(100) {
        for message in ["received", "query"] {
            assert!(of(message).any(|line| line["n"] == n), "{message} of {n}");
        }
    }

    // The requests of the smaller ratio are kept. They are also requests of the larger ratio.
    let whole = |line: &&serde_json::Value| line.get("buffered").is_none();
    let rates: Vec<_> = of("received").filter(whole).collect();
    assert!(rates.iter().all(|line| line["sample_rate"] == 0.05));
    let count = |message| {
        let stands_for =
            |line: &serde_json::Value| 1.0 / line["sample_rate"].as_f64().unwrap_or(1.0);
        of(message).filter(whole).map(stands_for).sum::<f64>()
    };
    let sigma = |share: f64| (REQUESTS as f64 * (1.0 - share) / share).sqrt();
    let off = (count("received") - REQUESTS as f64).abs();
    assert!(off < 4.0 * sigma(RATIO), "{off}: {}", rates.len());
    assert_eq!(count("goes on"), failed as f64);

    // A limit counts the events of all requests, and one request in five is written.
    let suppressed = |line: &serde_json::Value| line["suppressed"].as_u64();
    let told: u64 = of("events suppressed")
        .filter(|line| line["suppressed_target"] == "sqlx::query")
        .filter_map(suppressed)
        .sum();
    let queries = count("query") + told as f64;
    assert!(
        (queries - REQUESTS as f64).abs() < 4.0 * sigma(TAIL),
        "{queries}"
    );
    let errors: u64 = of("events suppressed")
        .filter(|line| line["level"] == "ERROR")
        .filter_map(suppressed)
        .sum();
    assert_eq!(errors, failed as u64);
}
