//! The queue, the sender thread and the state of an exporter, in each process that uses it.

use std::{
    fmt, io,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use super::{Deliver, ExportItem, PeriodicTasks, QueueLimits, queue::ExportQueue, sender::Sender};
use crate::{Clock, Fault, SelfReport, internal::forks::PerProcess};

/// The queue and the sender thread of an exporter, renewed in each forked child.
///
/// `S` is further state that a child must not share with its parent, such as a batch of logs.
pub struct Exporter<T, S> {
    process: PerProcess<ProcessExporter<T, S>>,
    options: ExporterOptions,
    new_transport: Box<dyn Fn() -> Box<dyn Deliver<T>> + Send + Sync>,
    new_state: Box<dyn Fn() -> S + Send + Sync>,
    /// Set by [`start`](Self::start).
    tasks: OnceLock<Option<Weak<dyn PeriodicTasks>>>,
    has_ended: AtomicBool,
}

/// The part of an [`Exporter`] that belongs to one process.
#[derive(Debug)]
pub struct ProcessExporter<T, S> {
    /// The queue of the process.
    pub queue: Arc<ExportQueue<T>>,
    /// The further state of the process.
    pub state: S,
}

/// How an [`Exporter`] is called, what its queue holds, and where it reports.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExporterOptions {
    /// The name of its counters and, after `spanwise-`, of its thread.
    pub name: &'static str,
    /// The server, as the texts of faults name it.
    pub destination: &'static str,
    /// The limits of the queue.
    pub limits: QueueLimits,
    /// Where losses are counted and reported. Defaults to the report of the process.
    pub report: SelfReport,
    /// The time for back-off and [`PeriodicTasks`]. Defaults to the system's clock.
    ///
    /// The deadlines of a flush and of the shutdown are always those of the system's clock.
    pub clock: Clock,
}

impl ExporterOptions {
    /// Creates the options of an exporter, such as `sentry`, that sends to `destination`, such as
    /// `Sentry`.
    #[must_use]
    pub fn new(name: &'static str, destination: &'static str) -> Self {
        Self {
            name,
            destination,
            limits: QueueLimits::default(),
            report: SelfReport::default(),
            clock: Clock::system(),
        }
    }
}

impl<T: ExportItem, S> Exporter<T, S> {
    /// Creates an exporter with an empty queue.
    ///
    /// Each process makes its transport and its further state with these functions.
    pub fn new(
        options: ExporterOptions,
        new_transport: impl Fn() -> Box<dyn Deliver<T>> + Send + Sync + 'static,
        new_state: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        Self {
            process: PerProcess::new(ProcessExporter {
                queue: Arc::new(ExportQueue::new(&options)),
                state: new_state(),
            }),
            options,
            new_transport: Box::new(new_transport),
            new_state: Box::new(new_state),
            tasks: OnceLock::new(),
            has_ended: AtomicBool::new(false),
        }
    }

    /// Starts the sender thread, which runs `tasks` as well.
    ///
    /// # Errors
    /// The error of the operating system if there can be no further thread.
    pub fn start(&self, tasks: Option<Weak<dyn PeriodicTasks>>) -> io::Result<()> {
        let tasks = self.tasks.get_or_init(|| tasks);
        self.spawn(&self.current().queue, tasks)
    }

    fn spawn(
        &self,
        queue: &Arc<ExportQueue<T>>,
        tasks: &Option<Weak<dyn PeriodicTasks>>,
    ) -> io::Result<()> {
        let name = format!("spanwise-{}", self.options.name.replace(' ', "-"));
        let queue = Arc::clone(queue);
        Sender::new(queue, (self.new_transport)(), tasks.clone()).spawn(name)
    }

    /// Returns the part of this process. A forked child makes it, and starts its thread, on the
    /// first call.
    #[inline]
    pub fn current(&self) -> &ProcessExporter<T, S> {
        self.process.here(|_| self.new_process())
    }

    /// Returns the part of this process, unless this is a child that has used nothing of it.
    pub fn existing(&self) -> Option<&ProcessExporter<T, S>> {
        self.process.here_if_any()
    }

    #[cold]
    fn new_process(&self) -> ProcessExporter<T, S> {
        let queue = Arc::new(ExportQueue::new(&self.options));
        let started = match self.tasks.get() {
            Some(tasks) if !self.has_ended.load(Ordering::Relaxed) => self.spawn(&queue, tasks),
            _ => Err(io::Error::other("the exporter was shut down")),
        };
        if let Err(error) = started {
            queue.shutdown_by(Instant::now());
            let ExporterOptions {
                destination,
                report,
                ..
            } = &self.options;
            let reason = format_args!("a forked process sends nothing to {destination}: {error}");
            report.fault(Fault::Lost, &reason);
        }
        ProcessExporter {
            queue,
            state: (self.new_state)(),
        }
    }

    /// Shuts down the queue of this process by `deadline`: see [`ExportQueue::shutdown_by`].
    /// Children that are forked later send nothing.
    pub fn shutdown_by(&self, deadline: Instant) {
        self.has_ended.store(true, Ordering::Relaxed);
        if let Some(process) = self.existing() {
            process.queue.shutdown_by(deadline);
        }
    }

    /// Returns the report of the exporter.
    pub fn report(&self) -> &SelfReport {
        &self.options.report
    }
}

impl<T, S> fmt::Debug for Exporter<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
