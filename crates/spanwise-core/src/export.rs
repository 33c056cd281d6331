//! Queues and sender threads for exporters: sinks that send to a server over the network.
//!
//! An exporter encodes events as items and [pushes](ExportQueue::push) them. One thread per process
//! takes the items in order and hands each to a transport, which implements [`Deliver`]. Nobody
//! else waits for the server.
//!
//! * **Memory** is bounded in events, items and bytes. An item that does not fit is dropped.
//! * **Order:** urgent items, such as errors, are sent first, and displace other items that wait.
//! * **Retries:** if the server fails, the thread waits for a back-off, or as long as the server
//!   requests. Then it sends the same item again, until that is too old.
//! * **Flush and shutdown** end by their deadline. They do not wait for the back-off, nor for a
//!   server that fails once more. Programs with several exporters ask all of them to
//!   [hurry](ExportQueue::hurry) before they wait for one.
//! * **Size:** an item that is too large for the server is split and sent in halves.
//! * **Accounting:** each event that was pushed is in exactly one of the [`SinkCounters`]:
//!   delivered, write failed (refused, or too old), shed, or lost at shutdown.
//! * **Forks:** a child starts with an empty queue and a thread of its own. Items that wait in the
//!   parent are the parent's to send.
//!
//! ```
//! use std::{sync::{Arc, Weak}, time::{Duration, Instant}};
//! use spanwise_core::export::{Deliver, Delivery, ExportItem, Exporter, ExporterOptions};
//! use tracing_core::Level;
//!
//! struct Line(String);
//!
//! impl ExportItem for Line {
//!     fn events(&self) -> u64 {
//!         1
//!     }
//!
//!     fn bytes(&self) -> usize {
//!         self.0.len()
//!     }
//!
//!     fn level(&self) -> Level {
//!         Level::INFO
//!     }
//! }
//!
//! struct Stdout;
//!
//! impl Deliver<Line> for Stdout {
//!     fn deliver(&mut self, line: &Line) -> Delivery {
//!         println!("{}", line.0); // in place of a request
//!         Delivery::Delivered
//!     }
//! }
//!
//! let options = ExporterOptions::new("stdout", "the terminal");
//! let exporter = Exporter::new(options, || Box::new(Stdout), || ());
//! exporter.start(None)?;
//! exporter.current().queue.push(Line("hello".to_owned()));
//! exporter.shutdown_by(Instant::now() + Duration::from_secs(60));
//! assert_eq!(exporter.current().queue.counters().stats().delivered, 1);
//! # Ok::<(), std::io::Error>(())
//! ```

mod exporter;
mod queue;
pub(crate) mod sender;
pub(crate) mod stepped;

use std::time::{Duration, Instant};

use tracing_core::Level;

pub use self::{
    exporter::{Exporter, ExporterOptions, ProcessExporter},
    queue::ExportQueue,
    sender::{is_delivering, is_sender_thread, mark_sender_thread},
};
pub use crate::internal::SinkCounters;

/// What an exporter sends at once, such as an encoded event or a batch of logs.
pub trait ExportItem: Send + 'static {
    /// Returns the number of events in the item. Each of them is counted.
    fn events(&self) -> u64;

    /// Returns the memory that the item takes while it waits, in bytes.
    fn bytes(&self) -> usize;

    /// Returns the highest level of its events.
    fn level(&self) -> Level;

    /// Returns whether the item is sent before others. By default, items at ERROR are.
    ///
    /// Urgent items may fill the queue and displace other items; all others together take up to
    /// half of it.
    fn is_urgent(&self) -> bool {
        self.level() == Level::ERROR
    }

    /// Counts its events because they are dropped. By default, all under its level.
    fn count_shed(&self, counters: &SinkCounters) {
        for _ in 0..self.events() {
            counters.shed(self.level());
        }
    }

    /// Splits an item that is [too large](Delivery::TooLarge) into two smaller ones, in their
    /// order, with all its events.
    ///
    /// # Errors
    /// The item if it cannot be split, as by default. It is refused.
    fn split(self) -> Result<(Self, Self), Self>
    where
        Self: Sized,
    {
        Err(self)
    }
}

/// The transport of an exporter, which is called by its sender thread only.
pub trait Deliver<T>: Send {
    /// Sends `item` to the server and waits for the answer, with a timeout.
    ///
    /// A panic counts as [`Delivery::Failed`].
    fn deliver(&mut self, item: &T) -> Delivery;
}

/// The result of sending an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The server took it.
    Delivered,
    /// The server took the item, except for some of its events. These are counted as failed
    /// writes.
    Partial {
        /// The number of events that the server refused.
        refused: u64,
        /// The reason, for the line on stderr.
        reason: String,
    },
    /// The server will never take it, for this reason. It is counted as a failed write.
    Refused(String),
    /// The server does not take an item of this size. Its halves are sent next, if it can be
    /// [split](ExportItem::split).
    TooLarge(String),
    /// A rate limit of the server forbids to send it. It is counted as a failed write, and the
    /// back-off of earlier failures stays.
    RateLimited(String),
    /// The server cannot be reached, or failed. The item is sent again.
    Failed {
        /// The reason, for the line on stderr.
        reason: String,
        /// The time that the server requests before the next attempt, as by `Retry-After`. At most
        /// an hour counts.
        retry_after: Option<Duration>,
    },
}

/// Work that an exporter has its sender thread do between items, such as sending a batch whose
/// time has come.
pub trait PeriodicTasks: Send + Sync + 'static {
    /// Returns when there is something to do. After it becomes earlier, call
    /// [`ExportQueue::wake`].
    fn next_run(&self) -> Option<Instant>;

    /// Does what is due at `now`.
    fn run(&self, now: Instant);
}

/// How much an [`ExportQueue`] holds, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// The most events of all items. Defaults to no limit.
    ///
    /// Half of the queue, which items may take that are not urgent, is half of the items and
    /// bytes.
    pub events: u64,
    /// The most items. Defaults to 4,096. The halves of split items may exceed it.
    pub items: usize,
    /// The most bytes of all items. Defaults to 32 MiB.
    pub bytes: usize,
    /// The age at which an item is given up after another failure. It counts from the end of a wait
    /// that the server requested, of up to an hour. Defaults to 10 minutes.
    pub max_age: Duration,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            events: u64::MAX,
            items: 4096,
            bytes: 32 * 1024 * 1024,
            max_age: Duration::from_secs(10 * 60),
        }
    }
}
