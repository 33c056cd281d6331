//! Nanoseconds: every contender in every round, each round beginning with another.

use std::{collections::BTreeMap, error::Error};

use crate::{
    child::{self, Cost},
    options::Options,
    table::Table,
};

/// How long a child measures, in nanoseconds: long enough for its start not to matter, short enough
/// for a slow moment of the machine to stay in one sample.
const TIME: f64 = 60e6;

/// For a first idea of how long a unit takes.
const TRIAL: u64 = 2_000;

pub(crate) fn run(options: &Options, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut iterations = BTreeMap::new();
    for &workload in options.workloads() {
        for &contender in options.contenders() {
            if contender.takes_part_in(workload) {
                let cost = child::run(contender, workload, TRIAL)?;
                let count = (TIME / cost.nanos.max(0.1)) as u64;
                iterations.insert((contender, workload), count.max(TRIAL));
            }
        }
    }

    let mut samples = BTreeMap::<_, Vec<Cost>>::new();
    for round in 0..rounds {
        for &workload in options.workloads() {
            for contender in rotated(options.contenders(), round) {
                if let Some(&count) = iterations.get(&(contender, workload)) {
                    let cost = child::run(contender, workload, count)?;
                    samples.entry((contender, workload)).or_default().push(cost);
                }
            }
        }
    }

    let nanos = medians(&samples, |cost| cost.nanos);
    let allocations = medians(&samples, |cost| cost.allocations);
    let title = format!("Nanoseconds per unit, medians of {rounds} rounds");
    Table::new(options, &nanos).print(&title)?;
    Table::new(options, &nanos).print_ratios()?;
    Table::new(options, &allocations).print("Allocations per unit")
}

fn medians<K: Copy + Ord>(
    samples: &BTreeMap<K, Vec<Cost>>,
    value: fn(&Cost) -> f64,
) -> BTreeMap<K, f64> {
    samples
        .iter()
        .map(|(key, costs)| {
            let values = costs.iter().map(value).collect();
            (*key, median(values))
        })
        .collect()
}

/// Returns the median; the higher one of two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// All of them, beginning with another in each round.
pub(crate) fn rotated<T: Copy>(all: &[T], round: usize) -> Vec<T> {
    let mut all = all.to_vec();
    let first = round % all.len();
    all.rotate_left(first);
    all
}
