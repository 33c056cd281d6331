//! An exporter: its queue, sender thread and state, created anew in each forked process.

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

/// The queue and the sender thread of an exporter, created anew in each forked child.
///
/// `S` is further state that a child must not share with its parent, such as a batch of logs.
pub struct Exporter<T, S> {
    process: PerProcess<ProcessExporter<T, S>>,
    options: ExporterOptions,
    new_transport: Box<dyn Fn() -> Box<dyn Deliver<T>> + Send + Sync>,
    new_state: Box<dyn Fn() -> S + Send + Sync>,
    /// The tasks of the sender thread. Set by the first call of [`start`](Self::start).
    tasks: OnceLock<Option<Weak<dyn PeriodicTasks>>>,
    is_shut_down: AtomicBool,
}

/// The part of an [`Exporter`] that belongs to one process.
#[derive(Debug)]
pub struct ProcessExporter<T, S> {
    /// The queue of the process.
    pub queue: Arc<ExportQueue<T>>,
    /// The further state of the process.
    pub state: S,
}

/// The names, the limits, the reporting and the clock of an [`Exporter`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExporterOptions {
    /// The name of the exporter in its counters. The exporter's thread is called
    /// `spanwise-<name>`, with hyphens instead of spaces.
    pub name: &'static str,
    /// The name of the server in fault texts.
    pub destination: &'static str,
    /// The limits of the queue.
    pub limits: QueueLimits,
    /// The instance that counts and reports losses. Defaults to the process-wide [`SelfReport`].
    pub report: SelfReport,
    /// The clock for back-offs, the age of items and [`PeriodicTasks`]. Defaults to the system's
    /// clock.
    ///
    /// The deadlines of a flush and of the shutdown always use the system's clock.
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
    /// This process calls `new_state` once, and so does each forked one that uses the exporter. A
    /// process calls `new_transport` when it starts its sender thread.
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
            is_shut_down: AtomicBool::new(false),
        }
    }

    /// Starts the sender thread of this process, which runs `tasks` as well. Call it once, because
    /// each call starts a thread.
    ///
    /// # Errors
    /// The error of the operating system if it cannot start a thread.
    pub fn start(&self, tasks: Option<Weak<dyn PeriodicTasks>>) -> io::Result<()> {
        // Does not call `current`, which would also start a thread in a forked child.
        let process = self
            .process
            .for_this_process(|_| self.create_without_thread());
        let tasks = self.tasks.get_or_init(|| tasks);
        self.start_thread(&process.queue, tasks)
    }

    fn start_thread(
        &self,
        queue: &Arc<ExportQueue<T>>,
        tasks: &Option<Weak<dyn PeriodicTasks>>,
    ) -> io::Result<()> {
        let name = format!("spanwise-{}", self.options.name.replace(' ', "-"));
        let queue = Arc::clone(queue);
        Sender::new(queue, (self.new_transport)(), tasks.clone()).spawn(name)
    }

    /// Returns the queue and the state of this process.
    ///
    /// In a forked child, the first call creates them. It also starts the thread, if the exporter
    /// was started and not shut down. Without a thread, the child's queue counts each item as lost.
    #[inline]
    pub fn current(&self) -> &ProcessExporter<T, S> {
        self.process.for_this_process(|_| self.create_with_thread())
    }

    /// Returns the queue and the state of this process, or `None` in a forked child that has not
    /// used the exporter.
    pub fn existing(&self) -> Option<&ProcessExporter<T, S>> {
        self.process.created_for_this_process()
    }

    #[cold]
    fn create_with_thread(&self) -> ProcessExporter<T, S> {
        let process = self.create_without_thread();
        let queue = &process.queue;
        let started = match self.tasks.get() {
            Some(tasks) if !self.is_shut_down.load(Ordering::Relaxed) => {
                self.start_thread(queue, tasks)
            }
            Some(_) => Err(io::Error::other("the exporter was shut down")),
            None => Err(io::Error::other("the exporter was not started")),
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
        process
    }

    fn create_without_thread(&self) -> ProcessExporter<T, S> {
        ProcessExporter {
            queue: Arc::new(ExportQueue::new(&self.options)),
            state: (self.new_state)(),
        }
    }

    /// Shuts down the queue of this process by `deadline`: see [`ExportQueue::shutdown_by`].
    /// Children that are forked later send nothing.
    pub fn shutdown_by(&self, deadline: Instant) {
        self.is_shut_down.store(true, Ordering::Relaxed);
        if let Some(process) = self.existing() {
            process.queue.shutdown_by(deadline);
        }
    }

    /// Returns the `SelfReport` of the exporter.
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
