//! `LOG_SAMPLE` with fields that are nearly context keys.

use std::time::Duration;

use crate::support::Lines;
use spanwise::{Builder, report::Fault};

fn faults(rules: &str) -> Vec<(Fault, u64)> {
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_CONTEXT", "customer"),
        ("LOG_SAMPLE", rules),
    ];
    let builder = Builder::from_vars(vars).unwrap();
    let telemetry = builder.with_writer(Lines::default()).init().unwrap();
    let faults = telemetry.handle().stats().faults;
    telemetry.shutdown(Duration::from_secs(5));
    faults
}

#[test]
fn misspelled_context_keys_are_reported() {
    alone!();
    let rules = "info=5/s@tenent_id,shop=5/s@custommer,debug=5/s@tenant_id";
    assert_eq!(faults(rules), [(Fault::Setup, 2)]);
}

#[test]
fn fields_of_events_and_context_keys_are_accepted() {
    alone!();
    assert_eq!(faults("info=5/s@customer,debug=5/s@route"), []);
}
