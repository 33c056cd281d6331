//! The contenders that write lines.

use std::{any::Any, error::Error, fs::File, io, path::Path, sync::Arc, time::Duration};

use flexi_logger::{Age, Cleanup, Criterion, FileSpec, Naming, WriteMode, writers::FileLogWriter};
use logroller::{LogRollerBuilder, RotationAge, RotationSize};
use spanwise::Output;
use spanwise_appender::{Background, RollingFile, WhenFull};
use tracing::{Dispatch, dispatcher};
use tracing_appender::{
    non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard},
    rolling,
};

use super::{
    Workload, lines,
    swap::{self, Swapped},
};
use crate::{Contender as Layers, limit::Limit, prod};

/// A writer of files that loses nothing: callers wait while its buffer is full. Only
/// [`FlexiAsync`](Self::FlexiAsync) takes as much memory as it needs instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// `Background` over `RollingFile`.
    Spanwise,
    /// The facade under the preset `prod`, with a file as its output. It takes events, not lines.
    SpanwiseProd,
    /// `tracing_appender::non_blocking` over `RollingFileAppender`.
    TracingAppender,
    /// `LogRoller` behind the queue of `tracing_appender`, as its documentation recommends, because
    /// it has no queue of its own.
    Logroller,
    /// `FileLogWriter` with a thread and an unbounded channel. Callers never wait, and its memory
    /// grows.
    FlexiAsync,
    /// `FileLogWriter` with a buffer of 8 KiB under a lock. The caller that fills the buffer writes
    /// it. A thread only flushes it each second.
    FlexiBuffered,
    /// The minimal buffer of `swap.rs`: a vector under a lock, which a thread writes.
    Limit,
}

/// Logs one unit of a producer.
pub(crate) type Unit = Box<dyn FnMut() -> io::Result<()> + Send>;

/// A contender whose output is open.
pub(crate) struct Opened {
    /// One unit for each producer.
    pub(crate) units: Vec<Unit>,
    /// Writes the rest of the lines when it is dropped.
    pub(crate) guard: Box<dyn Any>,
}

/// How the subscriber is installed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Install {
    /// As the global default, like services. Only once in a process.
    Globally,
    /// As the default of the thread during each unit, for tests.
    ForEachUnit,
}

/// What a contender needs to open its output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) workload: Workload,
    pub(crate) producers: u64,
    pub(crate) directory: &'a Path,
    /// The size in bytes at which a file rolls, if the workload rotates.
    pub(crate) rotate_at: u64,
    pub(crate) install: Install,
}

impl Contender {
    /// All contenders, in the order of the tables.
    pub const ALL: [Self; 7] = [
        Self::Spanwise,
        Self::SpanwiseProd,
        Self::TracingAppender,
        Self::Logroller,
        Self::FlexiAsync,
        Self::FlexiBuffered,
        Self::Limit,
    ];

    /// Returns the name in the tables and in `--contender`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spanwise => "spanwise",
            Self::SpanwiseProd => "spanwise-prod",
            Self::TracingAppender => "tracing-appender",
            Self::Logroller => "logroller",
            Self::FlexiAsync => "flexi-async",
            Self::FlexiBuffered => "flexi-buffered",
            Self::Limit => "limit",
        }
    }

    /// Returns whether this workload is measured with the contender. Events need a layer in front
    /// of the writer, and only some contenders have one here. flexi_logger does not take part in
    /// rotation, because it compresses on the thread that writes, and its queue has no bound.
    #[must_use]
    pub fn takes_part_in(self, workload: Workload) -> bool {
        if workload.rotates() {
            return matches!(self, Self::Spanwise | Self::Logroller);
        }
        if workload.events().is_some() {
            return matches!(
                self,
                Self::Spanwise | Self::SpanwiseProd | Self::TracingAppender | Self::Limit
            );
        }
        self != Self::SpanwiseProd
    }

    pub(crate) fn open(self, setup: Setup<'_>) -> Result<Opened, Box<dyn Error>> {
        let directory = setup.directory;
        match self {
            Self::Spanwise => {
                let (background, guard) = Background::builder(rolling_file(setup)?)
                    .when_full(WhenFull::Block(Duration::from_secs(60)))
                    .build()?;
                let dispatch = Layers::Spanwise.dispatch(background.clone());
                setup.opened(dispatch, || Box::new(background.clone()), guard)
            }
            Self::SpanwiseProd => {
                let builder = prod::builder()
                    .output(Output::None)
                    .file(directory.join("bench.log"))
                    .file_rotation("daily")
                    .file_retention("all")
                    .when_full(WhenFull::Block(Duration::from_secs(60)));
                let (dispatch, telemetry) = prod::start(builder);
                // The contender takes no lines, so this writer is not used.
                let writer = || -> Box<dyn io::Write + Send> { Box::new(io::sink()) };
                setup.opened(Some(dispatch), writer, telemetry)
            }
            Self::TracingAppender => {
                let file = rolling::daily(directory, "bench.log");
                let (queue, guard) = non_blocking(file);
                let dispatch = Layers::FmtJson.dispatch(queue.clone());
                setup.opened(dispatch, || Box::new(queue.clone()), guard)
            }
            Self::Logroller => {
                let builder = LogRollerBuilder::new(directory, Path::new("bench.log"));
                let builder = if setup.workload.rotates() {
                    let size = RotationSize::Bytes(setup.rotate_at);
                    builder
                        .rotation(logroller::Rotation::SizeBased(size))
                        .compression(logroller::Compression::Gzip)
                } else {
                    builder.rotation(logroller::Rotation::AgeBased(RotationAge::Daily))
                };
                let (queue, guard) = non_blocking(builder.build()?);
                setup.opened(None, || Box::new(queue.clone()), guard)
            }
            Self::FlexiAsync => flexi(setup, WriteMode::Async),
            Self::FlexiBuffered => flexi(setup, WriteMode::BufferAndFlush),
            Self::Limit => {
                let file = File::options()
                    .create(true)
                    .append(true)
                    .open(directory.join("bench.log"))?;
                let (swapped, guard) = swap::swapped(file);
                match setup.workload.events() {
                    Some(events) => Ok(Opened {
                        units: (0..setup.producers)
                            .map(|_| hand_written(swapped.clone(), events))
                            .collect(),
                        guard: Box::new(guard),
                    }),
                    None => setup.opened(None, || Box::new(swapped.clone()), guard),
                }
            }
        }
    }
}

fn rolling_file(setup: Setup<'_>) -> Result<RollingFile, Box<dyn Error>> {
    let builder = RollingFile::builder(setup.directory.join("bench.log")).retention("all".parse()?);
    Ok(if setup.workload.rotates() {
        let size = format!("{}B", setup.rotate_at);
        builder
            .rotation(size.parse()?)
            .compression("gzip".parse()?)
            .build()?
    } else {
        builder.rotation("daily".parse()?).build()?
    })
}

fn non_blocking(writer: impl io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default().lossy(false).finish(writer)
}

fn flexi(setup: Setup<'_>, mode: WriteMode) -> Result<Opened, Box<dyn Error>> {
    let spec = FileSpec::default()
        .directory(setup.directory)
        .basename("bench")
        .suffix("log");
    let (writer, handle) = FileLogWriter::builder(spec)
        .rotate(Criterion::Age(Age::Day), Naming::Timestamps, Cleanup::Never)
        .write_mode(mode)
        .try_build_with_handle()?;
    setup.opened(None, || Box::new(writer.clone()), handle)
}

fn hand_written(writer: Swapped, events: crate::Workload) -> Unit {
    let data = events.data();
    let mut limit = Limit::new(writer, events, &data);
    let mut turns = 0..;
    Box::new(move || {
        let turn = turns.next().unwrap_or_default();
        limit.take_turns(events, &data, turn..turn + 1)
    })
}

impl Setup<'_> {
    /// Returns the opened contender. Producers log events to the subscriber, or write lines to a
    /// writer of their own.
    fn opened(
        self,
        dispatch: Option<Dispatch>,
        writer: impl Fn() -> Box<dyn io::Write + Send>,
        guard: impl Any,
    ) -> Result<Opened, Box<dyn Error>> {
        let units = match (self.workload.events(), dispatch) {
            (Some(events), Some(dispatch)) => {
                if let Install::Globally = self.install {
                    dispatcher::set_global_default(dispatch.clone())?;
                }
                (0..self.producers)
                    .map(|_| self.event(events, dispatch.clone()))
                    .collect()
            }
            _ => {
                let prepared: Arc<[Vec<u8>]> = lines::prepared().into();
                (0..self.producers)
                    .map(|producer| line(Arc::clone(&prepared), producer, writer()))
                    .collect()
            }
        };
        let guard = Box::new(guard);
        Ok(Opened { units, guard })
    }

    fn event(self, events: crate::Workload, dispatch: Dispatch) -> Unit {
        let data = events.data();
        let mut turns = 0..;
        let mut unit = move || {
            let turn = turns.next().unwrap_or_default();
            events.take_turns(&data, turn..turn + 1);
        };
        match self.install {
            Install::Globally => Box::new(move || {
                unit();
                Ok(())
            }),
            Install::ForEachUnit => Box::new(move || {
                dispatcher::with_default(&dispatch, &mut unit);
                Ok(())
            }),
        }
    }
}

/// Returns a unit that writes one of the prepared lines in turn. Producers begin with different
/// lines.
fn line(prepared: Arc<[Vec<u8>]>, producer: u64, mut writer: Box<dyn io::Write + Send>) -> Unit {
    let mut next = first_line(producer, prepared.len());
    Box::new(move || {
        writer.write_all(&prepared[next])?;
        next = (next + 1) % prepared.len();
        Ok(())
    })
}

fn first_line(producer: u64, lines: usize) -> usize {
    producer as usize * 61 % lines
}

/// Returns the length in bytes of all lines of `producers`, with `each` lines per producer.
pub(crate) fn bytes(producers: u64, each: u64) -> u64 {
    let lines = lines::prepared();
    let length = |number: usize| lines[number % lines.len()].len() as u64;
    let all: u64 = (0..lines.len()).map(length).sum();
    let (rounds, rest) = (each / lines.len() as u64, each as usize % lines.len());
    let of_one = |producer| {
        let first = first_line(producer, lines.len());
        let rest: u64 = (first..first + rest).map(length).sum();
        rounds * all + rest
    };
    (0..producers).map(of_one).sum()
}
