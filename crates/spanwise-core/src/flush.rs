//! What an output promises when asked to finish.

use std::{io, time::Instant};

/// An output that may hold lines back, and can be told to hand them on.
///
/// The contract, for whoever implements it:
///
/// * When `flush` returns `Ok`, every line accepted before the call is where the output puts lines: in the kernel, on the wire.
/// * It returns by `deadline`, late by no more than one system call; what could not be handed on by then is
///   [`io::ErrorKind::TimedOut`], and stays accepted.
/// * It may be called from any thread, from the panic hook, and more than once.
pub trait Flush: Send + Sync + 'static {
    /// Hands on every line accepted so far.
    ///
    /// # Errors
    /// What the output said, or [`io::ErrorKind::TimedOut`].
    fn flush(&self, deadline: Instant) -> io::Result<()>;
}

impl<F> Flush for F
where
    F: Fn(Instant) -> io::Result<()> + Send + Sync + 'static,
{
    fn flush(&self, deadline: Instant) -> io::Result<()> {
        self(deadline)
    }
}

/// An output that is shut down when the program ends, such as an exporter.
pub trait SinkControl: Flush {
    /// Returns the name of the output, such as `sentry`.
    fn name(&self) -> &str;

    /// Delivers what it can until `deadline`, and counts the rest as lost at shutdown.
    ///
    /// It returns by `deadline`. Everything that arrives later is counted as lost, too.
    fn shutdown_by(&self, deadline: Instant);
}
