//! Outputs that can be flushed and shut down by a deadline.

use std::{io, time::Instant};

/// An output with a buffer that can be flushed.
///
/// Implementations must follow this contract:
///
/// * When `flush_by` returns `Ok`, every line accepted before the call has left the buffer: to the
///   kernel, or to the network.
/// * It returns by `deadline`, or at most one system call later. If lines are left then, it returns
///   [`io::ErrorKind::TimedOut`] and they stay in the buffer.
/// * It may be called from any thread, from the panic hook, and more than once.
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

    /// Starts to deliver what it has, and does not wait. Called on all outputs before
    /// [`shutdown_by`](Self::shutdown_by) waits for one of them. Does nothing by default.
    fn hurry(&self) {}

    /// Delivers what it can until `deadline`, and counts the rest as lost at shutdown.
    ///
    /// It returns by `deadline`. Everything that arrives later is counted as lost, too.
    fn shutdown_by(&self, deadline: Instant);
}
