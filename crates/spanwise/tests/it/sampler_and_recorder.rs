//! `LOG_SAMPLE` beside `LOG_RECORDER`: a dump has every buffered line, and summaries count the
//! shown events that the sampler dropped.

use std::time::Duration;

use crate::support::Lines;
use spanwise::Builder;
use tracing::{debug, error, info, info_span};

#[test]
fn dump_is_whole_and_the_rest_is_counted() {
    alone!();
    let output = Lines::default();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("RUST_LOG", "warn,[request]=info"),
        ("LOG_SAMPLE", "sqlx=5/m,info=2/m"),
        ("LOG_RECORDER", "debug"),
    ];
    let builder = Builder::from_vars(vars).unwrap();
    let telemetry = builder.with_writer(output.clone()).init().unwrap();
    let request = info_span!("request", request_id = "r-1").entered();
    for n in 0..20 {
        debug!(target: "sqlx::query", n, "query");
        info!(n, "usual");
    }
    error!("failed");
    drop(request);
    telemetry.shutdown(Duration::from_secs(5));

    let lines = output.objects();
    let count = |message: &str| {
        lines
            .iter()
            .filter(|line| line["message"] == message)
            .count()
    };
    assert_eq!((count("query"), count("usual")), (20, 2));
    let told = lines.iter().filter_map(|line| line["suppressed"].as_u64());
    assert_eq!(told.sum::<u64>(), 18);
}
