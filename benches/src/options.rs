//! The arguments of the process.

use crate::{Contender, Workload};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    contenders: Vec<Contender>,
    workloads: Vec<Workload>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    Rounds(usize),
    Instructions,
    /// What the parent asks of a child, and people of a profiler: so many units of one contender and workload.
    Iterations(u64),
    Show,
    /// `cargo test` runs benches too, to see whether they start.
    Nothing,
}

const ROUNDS: usize = 15;

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            mode: Mode::Nothing,
            contenders: Vec::new(),
            workloads: Vec::new(),
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
                "--rounds" => options.mode = Mode::Rounds(number(&argument, &value()?)?),
                "--iterations" => options.mode = Mode::Iterations(number(&argument, &value()?)?),
                "--contender" => {
                    options
                        .contenders
                        .push(named(&value()?, &Contender::ALL, Contender::name)?);
                }
                "--workload" => {
                    options
                        .workloads
                        .push(named(&value()?, &Workload::ALL, Workload::name)?);
                }
                _ => return Err(format!("{argument} is unknown")),
            }
        }
        Ok(options)
    }

    /// Those that were named, or all.
    pub(crate) fn contenders(&self) -> &[Contender] {
        if self.contenders.is_empty() {
            &Contender::ALL
        } else {
            &self.contenders
        }
    }

    /// Those that were named, or all.
    pub(crate) fn workloads(&self) -> &[Workload] {
        if self.workloads.is_empty() {
            &Workload::ALL
        } else {
            &self.workloads
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
