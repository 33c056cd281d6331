//! A sampler of traces and one of lines with the same ratio keep the same requests.

use std::{collections::BTreeSet, error::Error};

use spanwise::file::WhenFull;
use tracing::info;

use crate::{
    GUARD, export_to,
    exported::{digits, exported},
    program,
    receiver::Receiver,
    running_program::RunningProgram,
};

const REQUESTS: usize = 10_000;

/// A ratio of 0.25, give or take five standard deviations.
const EXPORTED: std::ops::RangeInclusive<usize> = 2_283..=2_717;

/// Handles the requests, one after the other.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let builder = spanwise::Builder::from_env()?;
    let telemetry = builder.when_full(WhenFull::Block(GUARD)).init()?;
    for id in 0..REQUESTS {
        spanwise::unit_span!("request", id).in_scope(|| info!(id, "handled"));
    }
    let report = telemetry.shutdown(GUARD);
    assert_eq!(report.lost, 0, "{report:?}");
    Ok(())
}

/// Checks that the requests with lines are those with exported spans.
pub(crate) fn check(samplers_of_lines: &[(&str, &str)]) {
    let receiver = Receiver::start();
    let mut command = program("sampled", &[]);
    export_to(&mut command, &receiver, "sampled");
    command.envs([
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ]);
    command.envs(samplers_of_lines.iter().copied());
    let lines = RunningProgram::start(&mut command).finish();
    let [exported] = exported([("sampled", &lines)], &receiver);
    let is_handled = |message: &str| message == "handled";
    let of_lines = exported
        .lines
        .iter()
        .filter(|line| is_handled(&line.message));
    let of_lines: Vec<&String> = of_lines.map(|line| &line.trace_id).collect();
    let of_records = exported
        .records
        .iter()
        .filter(|record| is_handled(&record.message));
    let of_spans = exported.spans.iter().map(|span| digits(&span.trace_id));
    let of_spans: BTreeSet<String> = of_spans.collect();
    assert_eq!(of_spans.len(), exported.spans.len());
    assert!(EXPORTED.contains(&of_spans.len()), "{}", of_spans.len());
    assert_eq!(of_lines.len(), of_spans.len());
    assert_eq!(
        of_lines.into_iter().collect::<BTreeSet<_>>(),
        of_spans.iter().collect()
    );
    assert_eq!(of_records.count(), of_spans.len());
}
