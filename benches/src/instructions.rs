//! Instructions, counted by callgrind.

use std::{collections::BTreeMap, error::Error, process::Command};

use crate::{child, options::Options, table::Table, workload::Runs};

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut instructions = BTreeMap::new();
    let mut allocations = BTreeMap::new();
    for &contender in options.contenders() {
        for &workload in options.workloads() {
            if contender.takes_part_in(workload) {
                let Runs { short, long, .. } = workload.runs();
                let per_unit = per_unit(short, long, |units| {
                    child::arguments(contender, workload, units)
                })?;
                instructions.insert((contender, workload), per_unit);
                let cost = child::run(contender, workload, long)?;
                allocations.insert((contender, workload), cost.allocations);
            }
        }
    }
    Table::new(options, &instructions).record("instructions")?;
    Table::new(options, &allocations).record("allocations")?;
    Table::new(options, &instructions).print("Instructions per unit")?;
    Table::new(options, &instructions).print_ratios()?;
    Table::new(options, &allocations).print("Allocations per unit")
}

/// Returns the instructions of this executable for one unit: the difference of two runs, which
/// excludes the start and the warm-up.
pub(crate) fn per_unit<A>(
    short: u64,
    long: u64,
    arguments: impl Fn(u64) -> A,
) -> Result<f64, Box<dyn Error>>
where
    A: IntoIterator<Item = String>,
{
    let few = total(arguments(short))?;
    let many = total(arguments(long))?;
    Ok(many.saturating_sub(few) as f64 / (long - short) as f64)
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
