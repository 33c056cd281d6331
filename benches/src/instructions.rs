//! Instructions, counted by callgrind.

use std::{collections::BTreeMap, error::Error, process::Command};

use crate::{Contender, Workload, child, options::Options, table::Table};

/// The difference of two runs leaves out how a process starts and warms up.
const FEW: u64 = 500;
const MANY: u64 = 2_500;

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut instructions = BTreeMap::new();
    let mut allocations = BTreeMap::new();
    for &contender in options.contenders() {
        for &workload in options.workloads() {
            if contender.takes_part_in(workload) {
                let few = total(contender, workload, FEW)?;
                let many = total(contender, workload, MANY)?;
                let per_unit = many.saturating_sub(few) as f64 / (MANY - FEW) as f64;
                instructions.insert((contender, workload), per_unit);
                let cost = child::run(contender, workload, MANY)?;
                allocations.insert((contender, workload), cost.allocations);
            }
        }
    }
    Table::new(options, &instructions).print("Instructions per unit")?;
    Table::new(options, &instructions).print_ratios()?;
    Table::new(options, &allocations).print("Allocations per unit")
}

/// Of the whole process.
fn total(contender: Contender, workload: Workload, units: u64) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(child::arguments(contender, workload, units))
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
