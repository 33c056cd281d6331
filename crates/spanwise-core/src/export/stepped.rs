//! A sender without a thread, which tests of the queue run step by step.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Instant,
};

use super::{
    Deliver, ExportItem, ExportQueue, ExporterOptions, PeriodicTasks,
    sender::{Sender, Step},
};

/// The sender of a queue. It works only while [`step`](Self::step) is called.
pub struct SteppedSender<T> {
    queue: Arc<ExportQueue<T>>,
    sender: Sender<T>,
}

impl<T: ExportItem> SteppedSender<T> {
    /// Creates an empty queue and its sender.
    pub fn new(
        options: &ExporterOptions,
        new_transport: impl FnOnce(&Arc<ExportQueue<T>>) -> Box<dyn Deliver<T>>,
        tasks: Option<Weak<dyn PeriodicTasks>>,
    ) -> Self {
        let queue = Arc::new(ExportQueue::new(options));
        let sender = Sender::new(Arc::clone(&queue), new_transport(&queue), tasks);
        Self { queue, sender }
    }

    /// Returns the queue.
    #[must_use]
    pub fn queue(&self) -> &Arc<ExportQueue<T>> {
        &self.queue
    }

    /// Runs the tasks that are due. If there are none, sends one item.
    pub fn step(&mut self) -> Step {
        self.sender.step()
    }

    /// Waits like the sender thread after [`Step::Wait`].
    pub fn wait(&self, until: Option<Instant>) {
        self.queue.wait(until);
    }

    /// Returns the number of items and their bytes, including the item in flight, and the number of
    /// waiting events.
    #[must_use]
    pub fn held(&self) -> (usize, usize, u64) {
        self.queue.held()
    }
}

impl<T> fmt::Debug for SteppedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SteppedSender").finish_non_exhaustive()
    }
}
