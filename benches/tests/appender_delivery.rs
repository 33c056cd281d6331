//! A fair comparison: with every contender, all lines are in the file when the guard is dropped.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test are tests to everyone but clippy"
)]

use benches::appender::{Contender, Workload, deliver};

fn check(workload: Workload, taking_part: usize) {
    let contenders: Vec<_> = Contender::ALL
        .into_iter()
        .filter(|contender| contender.takes_part_in(workload))
        .collect();
    assert_eq!(contenders.len(), taking_part);
    for contender in contenders {
        for producers in [1, 2, 4] {
            deliver(contender, workload, producers, 2_400)
                .map_err(|error| format!("{}: {error}", contender.name()))
                .unwrap();
        }
    }
}

#[test]
fn prepared_lines() {
    check(Workload::Lines, 6);
}

#[test]
fn events() {
    check(Workload::Flat, 4);
    check(Workload::FlatMixed, 4);
}

#[test]
fn events_of_requests() {
    check(Workload::Request, 4);
}

#[test]
fn lines_of_files_that_roll() {
    check(Workload::LinesRotating, 2);
}

#[test]
fn lines_at_a_pace() {
    check(Workload::Paced, 6);
    check(Workload::PacedRotating, 2);
}
