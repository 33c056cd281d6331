//! The arguments of the process.

use std::error::Error;

use crate::{Contender, Workload, child, instructions, redaction, rounds, suite::Suite};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) suite: &'static Suite,
    contenders: Selection<Contender>,
    workloads: Selection<Workload>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    Rounds(usize),
    Instructions,
    /// This many units of one contender and workload, in a child process or for a profiler.
    Iterations(u64),
    /// Prints the lines.
    Show,
    /// Only the texts of the redaction bench.
    Texts,
    /// Without `--bench`: `cargo test` also runs benches, only to check that they start.
    Nothing,
}

const ROUNDS: usize = 15;

impl Options {
    pub(crate) fn parse(
        suite: &'static Suite,
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Self, String> {
        let mut options = Self {
            mode: Mode::Nothing,
            suite,
            contenders: Selection::from_all(suite.contenders, Contender::name),
            workloads: Selection::from_all(suite.workloads, Workload::name),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--bench" if matches!(options.mode, Mode::Nothing) => {
                    options.mode = Mode::Rounds(ROUNDS);
                }
                "--bench" => {}
                "--instructions" => options.mode = Mode::Instructions,
                "--show" => options.mode = Mode::Show,
                "--texts" if suite.has_texts => options.mode = Mode::Texts,
                "--rounds" => options.mode = Mode::Rounds(number(&argument, &value()?)?),
                "--iterations" => options.mode = Mode::Iterations(number(&argument, &value()?)?),
                "--contender" => options.contenders.add(&value()?)?,
                "--workload" => options.workloads.add(&value()?)?,
                _ => return Err(format!("{argument} is unknown")),
            }
        }
        Ok(options)
    }

    /// Runs the bench in its mode.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        match self.mode {
            Mode::Rounds(count) => rounds::run(self, count),
            Mode::Instructions => instructions::run(self),
            Mode::Iterations(count) => child::measure(self, count),
            Mode::Show => child::show_all(self),
            Mode::Texts => redaction::texts(),
            Mode::Nothing => Ok(()),
        }
    }

    pub(crate) fn contenders(&self) -> &[Contender] {
        self.contenders.get()
    }

    pub(crate) fn workloads(&self) -> &[Workload] {
        self.workloads.get()
    }
}

/// The contenders or workloads that arguments name, or all if no argument names one.
#[derive(Debug)]
pub(crate) struct Selection<T: 'static> {
    all: &'static [T],
    name: fn(T) -> &'static str,
    named: Vec<T>,
}

impl<T: Copy> Selection<T> {
    pub(crate) fn from_all(all: &'static [T], name: fn(T) -> &'static str) -> Self {
        Self {
            all,
            name,
            named: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, text: &str) -> Result<(), String> {
        self.named.push(named(text, self.all, self.name)?);
        Ok(())
    }

    pub(crate) fn get(&self) -> &[T] {
        if self.named.is_empty() {
            self.all
        } else {
            &self.named
        }
    }
}

/// The arguments of a bench that measures one contender in a child process.
pub(crate) enum OneContender<C> {
    /// This many units of a contender, in a child process or for a profiler.
    Measure(C, u64),
    /// All contenders, each in a child process.
    Compare,
    /// Without `--bench`: `cargo test` also runs benches, only to check that they start.
    Nothing,
}

impl<C: Copy> OneContender<C> {
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = String>,
        contenders: &[C],
        name: fn(C) -> &'static str,
    ) -> Result<Self, String> {
        let (mut is_bench, mut contender, mut iterations) = (false, None, None);
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--bench" => is_bench = true,
                "--iterations" => iterations = Some(number(&argument, &value()?)?),
                "--contender" => contender = Some(named(&value()?, contenders, name)?),
                _ => return Err(format!("{argument} is unknown")),
            }
        }
        match (contender, iterations) {
            (Some(contender), Some(count)) => Ok(Self::Measure(contender, count)),
            (None, None) if is_bench => Ok(Self::Compare),
            (None, None) => Ok(Self::Nothing),
            _ => Err("--contender and --iterations go together".into()),
        }
    }
}

pub(crate) fn number<N: std::str::FromStr>(argument: &str, text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| format!("{argument} {text}: not a number"))
}

pub(crate) fn named<T: Copy>(
    text: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, String> {
    all.iter()
        .copied()
        .find(|one| name(*one) == text)
        .ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
            format!("{text} is none of {}", names.join(", "))
        })
}
