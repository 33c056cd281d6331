//! Results as Markdown.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, Write as _},
};

use crate::{Contender, Workload, figures, options::Options, suite::Ratio};

pub(crate) type Results = BTreeMap<(Contender, Workload), f64>;

/// A table with a row for each contender and a column for each workload.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    options: &'a Options,
    results: &'a Results,
}

impl<'a> Table<'a> {
    pub(crate) fn new(options: &'a Options, results: &'a Results) -> Self {
        Self { options, results }
    }

    pub(crate) fn print(&self, title: &str) -> Result<(), Box<dyn Error>> {
        self.print_cells(title, |contender, workload| {
            self.results
                .get(&(contender, workload))
                .map(|value| number(*value))
        })
    }

    /// Prints the ratios of the costs.
    pub(crate) fn print_ratios(&self) -> Result<(), Box<dyn Error>> {
        self.print_each_ratio(|contender, workload| {
            (self.options.suite.ratio)(self.results, contender, workload)
        })
    }

    /// Prints the ratios that `ratios` returns.
    pub(crate) fn print_each_ratio(
        &self,
        ratios: impl Fn(Contender, Workload) -> Vec<Ratio>,
    ) -> Result<(), Box<dyn Error>> {
        let suite = self.options.suite;
        self.print_cells(suite.ratios, |contender, workload| {
            let ratios = ratios(contender, workload);
            let shown = ratios
                .iter()
                .map(|ratio| format!("{:.*}×", suite.decimals, ratio.value));
            let shown: Vec<_> = shown.collect();
            (!shown.is_empty()).then(|| shown.join(", "))
        })
    }

    /// Records the costs as figures of this measure, such as `instructions`.
    pub(crate) fn record(&self, measure: &str) -> Result<(), Box<dyn Error>> {
        let suite = self.options.suite.name;
        figures::record(self.results.iter().map(|((contender, workload), value)| {
            let (contender, workload) = (contender.name(), workload.name());
            (format!("{suite}/{measure}/{contender}/{workload}"), *value)
        }))
    }

    fn print_cells(
        &self,
        title: &str,
        cell: impl Fn(Contender, Workload) -> Option<String>,
    ) -> Result<(), Box<dyn Error>> {
        let workloads = self.options.workloads();
        let names: Vec<_> = workloads.iter().map(|workload| workload.name()).collect();
        let rows = self.options.contenders().iter().map(|contender| {
            let cells = workloads
                .iter()
                .map(|workload| cell(*contender, *workload))
                .collect();
            (contender.name(), cells)
        });
        print(title, "contender", &names, rows)
    }
}

/// Prints a table: a column of names with the title `named`, then `columns`. A dash replaces a
/// missing cell.
pub(crate) fn print<'n>(
    title: &str,
    named: &str,
    columns: &[&str],
    rows: impl Iterator<Item = (&'n str, Vec<Option<String>>)>,
) -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout();
    writeln!(out, "\n{title}\n")?;
    writeln!(out, "| {named} | {} |", columns.join(" | "))?;
    writeln!(out, "| --- |{}", " ---: |".repeat(columns.len()))?;
    for (name, cells) in rows {
        let cells: Vec<_> = cells
            .into_iter()
            .map(|cell| cell.unwrap_or_else(|| "–".to_owned()))
            .collect();
        writeln!(out, "| {name} | {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// Formats a number: with at most two decimals below 100, or else as an integer with commas between
/// thousands.
pub(crate) fn number(value: f64) -> String {
    if value < 100.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
