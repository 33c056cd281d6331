//! Queues and sender threads for exporters: sinks that send to a server over the network.
//!
//! An exporter encodes events as items and [pushes](ExportQueue::push) them. Its sender thread, one
//! in each process, passes the items in order to a transport, which implements [`Deliver`]. A
//! thread that pushes an item does not wait for the server.
//!
//! * **Memory** is bounded in events, items and bytes. An item that does not fit is dropped.
//! * **Order:** urgent items, such as errors, are sent first. If the queue is full, they displace
//!   other waiting items.
//! * **Retries:** if the server fails, the thread waits for a back-off, or as long as the server
//!   requests if that is longer. Then it sends the item again, until the item is too old.
//! * **Flush and shutdown** wait, at most until their deadline. They skip the back-off, and stop
//!   when the server fails. With several exporters, call [`hurry`](ExportQueue::hurry) on all of
//!   them before you wait for one, so that all send at the same time.
//! * **Size:** an item that is too large for the server is split and sent in halves.
//! * **Accounting:** each pushed event ends in exactly one of the [`SinkCounters`]: delivered,
//!   write failed (refused, rate-limited or too old), shed, or lost at shutdown.
//! * **Forks:** a child starts with an empty queue and its own thread. The parent sends the items
//!   that were waiting.
//!
//! ```
//! use std::time::{Duration, Instant};
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
//! let no_state = || (); // the state of a process besides its queue: none
//! let exporter = Exporter::new(options, || Box::new(Stdout), no_state);
//! let no_periodic_tasks = None;
//! exporter.start(no_periodic_tasks)?;
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

/// The unit of sending, such as an encoded event or a batch of logs.
pub trait ExportItem: Send + 'static {
    /// Returns the number of events in the item. Each of them is counted.
    fn events(&self) -> u64;

    /// Returns the memory that the item occupies while it waits, in bytes.
    fn bytes(&self) -> usize;

    /// Returns the most severe level of the item's events.
    fn level(&self) -> Level;

    /// Returns whether the item is sent before others. By default, items at ERROR are.
    ///
    /// Urgent items may fill the whole queue and displace other items. All other items together may
    /// occupy only half of it: see [`QueueLimits`].
    fn is_urgent(&self) -> bool {
        self.level() == Level::ERROR
    }

    /// Counts the events of the item as shed. By default, counts all at the item's level.
    fn count_shed(&self, counters: &SinkCounters) {
        for _ in 0..self.events() {
            counters.shed(self.level());
        }
    }

    /// Splits an item that is [too large](Delivery::TooLarge) into two smaller items. Together
    /// these have all events of the item, in order.
    ///
    /// # Errors
    /// Returns the item if it cannot be split, which is the default. The item then counts as a
    /// failed write.
    fn split(self) -> Result<(Self, Self), Self>
    where
        Self: Sized,
    {
        Err(self)
    }
}

/// The transport of an exporter. Only its sender thread calls it.
pub trait Deliver<T>: Send {
    /// Sends `item` to the server and waits for the answer, with a timeout.
    ///
    /// A panic counts as [`Delivery::Failed`].
    fn deliver(&mut self, item: &T) -> Delivery;
}

/// The result of sending an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The server accepted the item.
    Delivered,
    /// The server accepted the item, except for some of its events. These events count as failed
    /// writes.
    Partial {
        /// The number of events that the server refused.
        refused: u64,
        /// The reason, for the line on stderr.
        reason: String,
    },
    /// The server refused the item permanently, for this reason. The item counts as a failed write.
    Refused(String),
    /// The item is too large for the server. If it can be [split](ExportItem::split), its halves
    /// are sent before the other items of their urgency. If not, it counts as a failed write.
    TooLarge(String),
    /// A rate limit of the server forbids sending the item. The item counts as a failed write. A
    /// back-off after earlier failures continues.
    RateLimited(String),
    /// The server cannot be reached, or failed. The item is sent again later.
    Failed {
        /// The reason, for the line on stderr.
        reason: String,
        /// The time that the server requests before the next attempt, for example with
        /// `Retry-After`. Limited to one hour.
        retry_after: Option<Duration>,
    },
}

/// Periodic work of the sender thread between items, such as sending a batch that is due. A panic
/// ends the thread.
pub trait PeriodicTasks: Send + Sync + 'static {
    /// Returns the time of the next run. If the time becomes earlier, call [`ExportQueue::wake`].
    fn next_run(&self) -> Option<Instant>;

    /// Does the work that is due at `now`.
    fn run(&self, now: Instant);
}

/// The limits of an [`ExportQueue`] in size and age.
///
/// Items that are not urgent may occupy half of `items` and half of `bytes`, but all of `events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// The maximum number of events in all items. Defaults to no limit.
    pub events: u64,
    /// The maximum number of items. Defaults to 4,096. The halves of split items may exceed it.
    pub items: usize,
    /// The maximum number of bytes in all items. Defaults to 32 MiB.
    pub bytes: usize,
    /// The age at which an item is discarded if the server fails again. Defaults to 10 minutes.
    ///
    /// The age counts from the push. If a wait that the server requested ends later, the age counts
    /// from its end, but from at most one hour after the push.
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
