//! Nanoseconds, in rounds. A round measures every contender. The next round begins with the next
//! contender.

use std::{collections::BTreeMap, error::Error};

use crate::{
    Contender, Workload,
    child::{self, Cost},
    figures,
    options::Options,
    suite::Ratio,
    table::{Results, Table},
};

/// How long a child measures, in nanoseconds: long enough that its start does not matter, short
/// enough that a brief slowdown of the machine affects only one sample.
const RUN_NANOS: f64 = 60e6;

pub(crate) fn run(options: &Options, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut iterations = BTreeMap::new();
    for &workload in options.workloads() {
        for &contender in options.contenders() {
            if contender.takes_part_in(workload) {
                // A first estimate of the time that a unit takes.
                let trial = workload.runs().long;
                let cost = child::run(contender, workload, trial)?;
                let count = (RUN_NANOS / cost.nanos.max(0.1)) as u64;
                iterations.insert((contender, workload), count.max(trial));
            }
        }
    }

    let mut samples = Vec::new();
    for round in 0..rounds {
        let mut costs = BTreeMap::new();
        for &workload in options.workloads() {
            for contender in rotated(options.contenders(), round) {
                if let Some(&count) = iterations.get(&(contender, workload)) {
                    let cost = child::run(contender, workload, count)?;
                    costs.insert((contender, workload), cost);
                }
            }
        }
        samples.push(costs);
    }

    let nanos = medians(&samples, |cost| cost.nanos);
    let allocations = medians(&samples, |cost| cost.allocations);
    let ratios = paired(options, &samples);
    record(options, &ratios)?;
    let title = format!("Nanoseconds per unit, medians of {rounds} rounds");
    Table::new(options, &nanos).print(&title)?;
    Table::new(options, &nanos).print_each_ratio(|contender, workload| {
        ratios
            .iter()
            .filter(|((own, _, in_workload), _)| (*own, *in_workload) == (contender, workload))
            .map(|((_, to, _), value)| Ratio {
                to: *to,
                value: *value,
            })
            .collect()
    })?;
    Table::new(options, &allocations).print("Allocations per unit")
}

type Round = BTreeMap<(Contender, Workload), Cost>;

fn medians(samples: &[Round], value: fn(&Cost) -> f64) -> Results {
    let mut values = BTreeMap::<_, Vec<f64>>::new();
    for (key, cost) in samples.iter().flatten() {
        values.entry(*key).or_default().push(value(cost));
    }
    let medians = values.into_iter();
    medians.map(|(key, values)| (key, median(values))).collect()
}

/// The medians of ratios. A ratio compares two contenders in the same round, so that a slow minute
/// of the machine affects both.
type Ratios = BTreeMap<(Contender, Contender, Workload), f64>;

fn paired(options: &Options, samples: &[Round]) -> Ratios {
    let mut values = BTreeMap::<_, Vec<f64>>::new();
    for costs in samples {
        let nanos = costs.iter().map(|(key, cost)| (*key, cost.nanos)).collect();
        for (contender, workload) in costs.keys() {
            for ratio in (options.suite.ratio)(&nanos, *contender, *workload) {
                let key = (*contender, ratio.to, *workload);
                values.entry(key).or_default().push(ratio.value);
            }
        }
    }
    let medians = values.into_iter();
    medians.map(|(key, values)| (key, median(values))).collect()
}

fn record(options: &Options, ratios: &Ratios) -> Result<(), Box<dyn Error>> {
    let suite = options.suite.name;
    figures::record(ratios.iter().map(|((contender, to, workload), value)| {
        let (to, contender, workload) = (to.name(), contender.name(), workload.name());
        (format!("{suite}/time/{to}/{contender}/{workload}"), *value)
    }))
}

/// Returns the median; the higher one of two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns all elements, rotated so that the next round begins with the next element.
pub(crate) fn rotated<T: Copy>(all: &[T], round: usize) -> Vec<T> {
    let mut all = all.to_vec();
    let first = round % all.len();
    all.rotate_left(first);
    all
}
