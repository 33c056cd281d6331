//! Outputs that can be flushed and shut down by a deadline.

use std::{io, time::Instant};

/// An output with a buffer that can be flushed.
///
/// Implementations must follow this contract:
///
/// * When `flush_by` returns `Ok`, every line accepted before the call was passed to the kernel or
///   to the network.
/// * `flush_by` returns by `deadline`, or at most one system call later. If lines remain at that
///   time, they stay in the buffer and `flush_by` returns [`io::ErrorKind::TimedOut`].
/// * `flush_by` may be called from any thread, from the panic hook, and more than once.
pub trait Flush: Send + Sync + 'static {
    /// Flushes every line accepted so far.
    ///
    /// # Errors
    /// The error of the output, or [`io::ErrorKind::TimedOut`].
    fn flush_by(&self, deadline: Instant) -> io::Result<()>;
}

impl<F> Flush for F
where
    F: Fn(Instant) -> io::Result<()> + Send + Sync + 'static,
{
    fn flush_by(&self, deadline: Instant) -> io::Result<()> {
        self(deadline)
    }
}

/// An output that is shut down when the program ends, such as an exporter.
pub trait SinkControl: Flush {
    /// Returns the name of the output, such as `sentry`.
    fn name(&self) -> &str;

    /// Starts to deliver the accepted events, and does not wait. Called on all outputs before
    /// [`shutdown_by`](Self::shutdown_by) is called on the first, so that all deliver at the same
    /// time. Does nothing by default.
    fn hurry(&self) {}

    /// Delivers events until `deadline`, and counts the remaining events as lost at shutdown.
    ///
    /// It returns by `deadline`. Events that arrive after the call count as lost, too.
    fn shutdown_by(&self, deadline: Instant);
}
