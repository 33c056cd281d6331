//! The thread that sends the items of a queue.

use std::{
    cell::Cell,
    io,
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use super::{
    Deliver, Delivery, ExportItem, PeriodicTasks,
    queue::{ExportQueue, Queued},
};
use crate::internal::{Backoff, panic_safe, random_bits};

/// The delays between attempts while the server fails, before jitter.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1)..=Duration::from_secs(60));

/// The longest wait that a server may request. It is also the longest time from the push of an item
/// until its age begins to count.
const MAX_REQUESTED_WAIT: Duration = Duration::from_secs(60 * 60);

/// The role of the current thread for an exporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    None,
    /// A sender thread, or its helper.
    Delivering,
    /// A sender thread while it runs [`PeriodicTasks`].
    RunningTasks,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::None) };
}

/// Returns whether this is the sender thread of an exporter, or [its helper](mark_sender_thread).
///
/// Events that this thread logs are about sending. If they were exported, each would cause another.
#[inline]
#[must_use]
pub fn is_sender_thread() -> bool {
    role() != Role::None
}

/// Returns whether this is a sender thread or its helper, and is not running [`PeriodicTasks`] now.
///
/// Events that such a thread logs come from the HTTP client or its libraries, and may contain the
/// credentials of the exporter.
#[inline]
#[must_use]
pub fn is_delivering() -> bool {
    role() == Role::Delivering
}

/// Marks this thread as a helper of a sender thread, such as a thread for name look-ups.
pub fn mark_sender_thread() {
    ROLE.set(Role::Delivering);
}

#[inline]
fn role() -> Role {
    // A thread whose thread-locals are destroyed has no role: a sender thread logs nothing by then.
    ROLE.try_with(Cell::get).unwrap_or(Role::None)
}

/// The loop of the sender thread.
pub(super) struct Sender<T> {
    queue: Arc<ExportQueue<T>>,
    transport: Box<dyn Deliver<T>>,
    tasks: Option<Weak<dyn PeriodicTasks>>,
    backoff: Backoff,
    /// The end of the back-off, or of the wait that the server requested if that ends later.
    not_before: Option<Instant>,
    /// The end of the last wait that the server requested. The age of the items that had to wait
    /// counts from this time.
    requested_wait_end: Option<Instant>,
}

/// The result of one turn of the loop.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The sender did some work, and there may be more.
    Worked,
    /// There is no work before this time, unless the state of the queue changes. Without a time,
    /// only a change of the queue brings work.
    Wait(Option<Instant>),
    /// The queue was shut down.
    Ended,
}

impl<T: ExportItem> Sender<T> {
    pub(super) fn new(
        queue: Arc<ExportQueue<T>>,
        transport: Box<dyn Deliver<T>>,
        tasks: Option<Weak<dyn PeriodicTasks>>,
    ) -> Self {
        Self {
            queue,
            transport,
            tasks,
            backoff: BACKOFF,
            not_before: None,
            requested_wait_end: None,
        }
    }

    /// Starts a thread with this name.
    pub(super) fn spawn(mut self, name: String) -> io::Result<()> {
        let run = move || {
            ROLE.set(Role::Delivering);
            self.run();
        };
        thread::Builder::new().name(name).spawn(run).map(drop)
    }

    fn run(&mut self) {
        loop {
            match self.step() {
                Step::Worked => {}
                Step::Wait(until) => self.queue.wait(until),
                Step::Ended => return,
            }
        }
    }

    /// Runs the tasks that are due. If there are none, sends one item.
    pub(super) fn step(&mut self) -> Step {
        let is_shut_down = self.queue.clear_signal();
        if is_shut_down {
            return Step::Ended;
        }
        let tasks = self.tasks.as_ref().and_then(Weak::upgrade);
        let next_run = tasks.as_ref().and_then(|tasks| tasks.next_run());
        let now = self.queue.clock.instant();
        if let (Some(tasks), Some(due)) = (tasks, next_run)
            && due <= now
        {
            let outer_role = ROLE.replace(Role::RunningTasks);
            tasks.run(now);
            drop(tasks);
            ROLE.set(outer_role);
            return Step::Worked;
        }
        match self.queue.take(self.not_before) {
            Some(queued) => {
                self.send(queued);
                Step::Worked
            }
            None => {
                let retry_at = self.not_before.filter(|at| *at > now);
                Step::Wait([next_run, retry_at].into_iter().flatten().min())
            }
        }
    }

    fn send(&mut self, queued: Queued<T>) {
        let started = self.queue.clock.instant();
        // The HTTP client and its TLS library are foreign code, so the thread must survive their
        // panics.
        let delivery = panic_safe::catch_panic(|| self.transport.deliver(&queued.item));
        let panicked = || Delivery::Failed {
            reason: "the transport panicked".to_owned(),
            retry_after: None,
        };
        match delivery.unwrap_or_else(panicked) {
            Delivery::Delivered => {
                self.end_backoff();
                self.queue.settle_delivered();
            }
            Delivery::Partial { refused, reason } => {
                self.end_backoff();
                self.queue.settle_partial(refused, &reason);
            }
            Delivery::Refused(reason) => {
                self.end_backoff();
                self.queue.settle_refused(&reason);
            }
            Delivery::TooLarge(reason) => {
                self.end_backoff();
                match queued.item.split() {
                    Ok(halves) => self.queue.put_back_halves(halves, queued.pushed_at),
                    Err(_) => self.queue.settle_refused(&reason),
                }
            }
            Delivery::RateLimited(reason) => self.queue.settle_refused(&reason),
            Delivery::Failed {
                reason,
                retry_after,
            } => {
                let max_age = self.queue.limits.max_age;
                let age_start = self.age_start(queued.pushed_at);
                let now = self.queue.clock.instant();
                let requested = retry_after.map(|wait| wait.min(MAX_REQUESTED_WAIT));
                let delay = jittered(self.backoff.next_delay());
                self.not_before = Some(now + delay.max(requested.unwrap_or_default()));
                let requested_end = requested.map(|wait| now + wait);
                self.requested_wait_end = requested_end.or(self.requested_wait_end);
                if started.saturating_duration_since(age_start) > max_age {
                    self.queue.give_up(&reason);
                } else {
                    self.queue.put_back(queued, &reason);
                }
            }
        }
    }

    /// Returns the time from which the age of an item counts. The item was pushed at `pushed_at`.
    fn age_start(&self, pushed_at: Instant) -> Instant {
        let start = self.requested_wait_end.unwrap_or(pushed_at);
        start.clamp(pushed_at, pushed_at + MAX_REQUESTED_WAIT)
    }

    fn end_backoff(&mut self) {
        self.backoff.reset();
        self.not_before = None;
    }
}

/// Returns `delay`, shortened by a random part of up to a quarter. So processes do not all retry at
/// the same time if their attempts failed at the same time.
fn jittered(delay: Duration) -> Duration {
    let random = random_bits() as u32;
    delay - (delay / 4).mul_f64(f64::from(random) / f64::from(u32::MAX))
}
