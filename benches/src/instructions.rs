//! Instructions, counted by callgrind.

use std::{collections::BTreeMap, error::Error, process::Command};

use crate::{child, options::Options, table::Table};

/// The difference of two runs excludes the start and the warm-up of a process.
const SHORT_RUN: u64 = 500;
const LONG_RUN: u64 = 2_500;

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut instructions = BTreeMap::new();
    let mut allocations = BTreeMap::new();
    for &contender in options.contenders() {
        for &workload in options.workloads() {
            if contender.takes_part_in(workload) {
                let per_unit = per_unit(|units| child::arguments(contender, workload, units))?;
                instructions.insert((contender, workload), per_unit);
                let cost = child::run(contender, workload, LONG_RUN)?;
                allocations.insert((contender, workload), cost.allocations);
            }
        }
    }
    Table::new(options, &instructions).print("Instructions per unit")?;
    Table::new(options, &instructions).print_ratios()?;
    Table::new(options, &allocations).print("Allocations per unit")
}

/// Returns the instructions of this executable for one unit.
pub(crate) fn per_unit<A>(arguments: impl Fn(u64) -> A) -> Result<f64, Box<dyn Error>>
where
    A: IntoIterator<Item = String>,
{
    let few = total(arguments(SHORT_RUN))?;
    let many = total(arguments(LONG_RUN))?;
    Ok(many.saturating_sub(few) as f64 / (LONG_RUN - SHORT_RUN) as f64)
}

/// Returns the instructions of the whole process.
fn total(arguments: impl IntoIterator<Item = String>) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(arguments)
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok());
    match collected {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("valgrind: {report}").into()),
    }
}
