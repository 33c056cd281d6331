//! The arguments of the process.

use super::{Contender, Workload, pass::Pass};
use crate::options::{Selection, named, number};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    contenders: Selection<Contender>,
    workloads: Selection<Workload>,
    producers: Vec<u64>,
    lines: Option<u64>,
    pub(crate) rotate_at: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    Rounds(usize),
    /// One run, in a child process or for a profiler.
    Pass(Pass),
    /// Without `--bench`: `cargo test` also runs benches, only to check that they start.
    Nothing,
}

const ROUNDS: usize = 7;
/// The size in bytes at which a file rolls.
const ROTATE_AT: u64 = 100_000_000;

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            mode: Mode::Nothing,
            contenders: Selection::from_all(&Contender::ALL, Contender::name),
            workloads: Selection::from_all(&Workload::ALL, Workload::name),
            producers: Vec::new(),
            lines: None,
            rotate_at: ROTATE_AT,
        };
        while let Some(argument) = arguments.next() {
            if argument == "--bench" {
                if let Mode::Nothing = options.mode {
                    options.mode = Mode::Rounds(ROUNDS);
                }
                continue;
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{argument} is unknown, or needs a value"))?;
            match argument.as_str() {
                "--rounds" => options.mode = Mode::Rounds(number(&argument, &value)?),
                "--pass" => options.mode = Mode::Pass(named(&value, &Pass::ALL, Pass::name)?),
                "--contender" => options.contenders.add(&value)?,
                "--workload" => options.workloads.add(&value)?,
                "--producers" => options.producers.push(number(&argument, &value)?),
                "--lines" => options.lines = Some(number(&argument, &value)?),
                "--rotate-at" => options.rotate_at = number(&argument, &value)?,
                _ => return Err(format!("{argument} is unknown")),
            }
        }
        if options.producers.contains(&0) {
            return Err("--producers 0: nobody would log".to_owned());
        }
        Ok(options)
    }

    pub(crate) fn contenders(&self) -> &[Contender] {
        self.contenders.get()
    }

    pub(crate) fn workloads(&self) -> &[Workload] {
        self.workloads.get()
    }

    /// Returns the numbers of producers from the arguments, or else those of the workload.
    pub(crate) fn producers(&self, workload: Workload) -> &[u64] {
        if self.producers.is_empty() {
            workload.producers()
        } else {
            &self.producers
        }
    }

    /// Returns the number of lines of all producers.
    pub(crate) fn lines(&self, workload: Workload) -> u64 {
        self.lines.unwrap_or_else(|| workload.lines())
    }
}
