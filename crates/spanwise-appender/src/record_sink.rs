//! The interface of an output that writes whole records.

use std::{
    io::{self, Write as _},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::RollingFile;

/// An output of a [`Background`](crate::Background) that writes whole records.
///
/// Implement it for outputs that are not byte streams: a message queue, datagrams, a network
/// protocol with acknowledgements. For byte streams, pass an [`io::Write`] to
/// [`Background::builder`].
///
/// The writer thread passes many records to one call, and counts each record by the
/// [`WriteOutcome`]. After a shutdown, or with [`direct`], the logging threads call the sink, one
/// at a time. A sink that panics loses the records of that call. After the second panic, stderr
/// replaces it. If the sink logs to its own output, these lines are refused.
///
/// ```
/// use std::{io::Write as _, net::UdpSocket, time::Duration};
/// use spanwise_appender::{Background, RecordSink, Records, StopFlag, WriteOutcome};
///
/// /// Sends each record as one datagram.
/// struct Datagrams(UdpSocket);
///
/// impl RecordSink for Datagrams {
///     fn write(&mut self, records: Records<'_>, _: &StopFlag) -> WriteOutcome {
///         for (sent, record) in records.iter().enumerate() {
///             if let Err(error) = self.0.send(record) {
///                 return WriteOutcome::stopped_at(records, sent, error);
///             }
///         }
///         WriteOutcome::all(records)
///     }
/// }
///
/// let collector = UdpSocket::bind("127.0.0.1:0")?;
/// let socket = UdpSocket::bind("127.0.0.1:0")?;
/// socket.connect(collector.local_addr()?)?;
/// let (mut background, guard) = Background::for_sink(Datagrams(socket)).name("udp").build()?;
/// background.write_all(b"order created\n")?;
///
/// let report = guard.shutdown(Duration::from_secs(5));
/// assert_eq!((report.delivered, report.lost), (1, 0));
/// let mut datagram = [0; 64];
/// let length = collector.recv(&mut datagram)?;
/// assert_eq!(&datagram[..length], b"order created\n");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// [`Background::builder`]: crate::Background::builder
/// [`direct`]: crate::BackgroundBuilder::direct
pub trait RecordSink: Send {
    /// Writes the records in order.
    ///
    /// A sink that waits for its reader must check `stop` while it waits. Soon after the flag is
    /// set, it must return [`WriteOutcome::stopped_at`] with [`io::ErrorKind::TimedOut`].
    fn write(&mut self, records: Records<'_>, stop: &StopFlag) -> WriteOutcome;

    /// Finishes the output. Called when the writer thread ends after it wrote all records, usually
    /// at a shutdown. Not called if the shutdown times out, or if there was no writer thread
    /// because of [`direct`](crate::BackgroundBuilder::direct). Lines that are logged later still
    /// call `write`, and a later writer thread may call `finish` again. Does nothing by default.
    fn finish(&mut self) {}
}

/// A sequence of whole records. A record usually is a line and ends with a newline.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    /// All records, one after the other.
    bytes: &'a [u8],
    /// The offset in `bytes` at which each record ends, ascending. The last one is the length of
    /// `bytes`.
    ends: &'a [usize],
}

impl<'a> Records<'a> {
    pub(crate) const fn new(bytes: &'a [u8], ends: &'a [usize]) -> Self {
        Self { bytes, ends }
    }

    /// Returns the number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there is no record. A sink is not called without records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns all records as one slice, without anything between them.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns an iterator over the records.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let all = *self;
        (0..all.len()).map(move |index| &all.bytes[all.start_of(index)..all.ends[index]])
    }

    /// Returns the number of records that lie entirely in the first `length` bytes.
    #[must_use]
    pub fn count_within(&self, length: usize) -> usize {
        self.ends.partition_point(|end| *end <= length)
    }

    pub(crate) const fn ends(&self) -> &'a [usize] {
        self.ends
    }

    /// Returns the offset at which the record at `index` starts, or the end of the last record if
    /// `index` is the number of records.
    pub(crate) fn start_of(&self, index: usize) -> usize {
        index
            .checked_sub(1)
            .map_or(0, |previous| self.ends[previous])
    }
}

/// The outcome of writing [`Records`]: the first `delivered` are written, the next `refused` are
/// lost.
///
/// The remaining records are written later. With an `error`, the next attempt is after a delay of
/// up to half a second. Without an error, it is immediate.
#[derive(Debug)]
#[non_exhaustive]
pub struct WriteOutcome {
    /// The number of records that were written completely.
    pub delivered: usize,
    /// The number of records after the delivered ones that are lost or were written elsewhere. They
    /// count as failed, and are not tried again.
    pub refused: usize,
    /// The reason for which not all records were delivered. `None` if all were, or if the output
    /// accepts more records immediately.
    pub error: Option<io::Error>,
}

impl WriteOutcome {
    /// Creates the outcome of a write of all records.
    #[must_use]
    pub const fn all(records: Records<'_>) -> Self {
        Self::partial(records.len())
    }

    /// Creates the outcome of a write of only the first `delivered` records, without an error. The
    /// sink is immediately called with the rest.
    #[must_use]
    pub const fn partial(delivered: usize) -> Self {
        Self {
            delivered,
            refused: 0,
            error: None,
        }
    }

    /// Creates the outcome of a write that failed after the first `delivered` records.
    ///
    /// The rest is tried again later. It is refused if `error` means that the reader is gone
    /// permanently: a broken pipe, a closed connection, a `write` that returns 0, or a closed file
    /// descriptor.
    #[must_use]
    pub fn stopped_at(records: Records<'_>, delivered: usize, error: io::Error) -> Self {
        match is_permanent(&error) {
            true => Self::refused(records, delivered, error),
            false => Self {
                error: Some(error),
                ..Self::partial(delivered)
            },
        }
    }

    /// Creates the outcome of a write that failed after the first `delivered` records. The rest is
    /// lost, and not tried again.
    #[must_use]
    pub fn refused(records: Records<'_>, delivered: usize, error: io::Error) -> Self {
        Self {
            delivered,
            refused: records.len().saturating_sub(delivered),
            error: Some(error),
        }
    }
}

/// Returns whether the error means that the reader is gone permanently.
fn is_permanent(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, WriteZero};
    const EBADF: i32 = 9;
    let permanent = [
        BrokenPipe,
        ConnectionAborted,
        ConnectionReset,
        NotConnected,
        WriteZero,
    ];
    permanent.contains(&error.kind()) || (cfg!(unix) && error.raw_os_error() == Some(EBADF))
}

/// A flag that makes a sink stop waiting for its reader.
#[derive(Debug, Default)]
pub struct StopFlag {
    stopped: AtomicBool,
    deadline: Option<Instant>,
}

impl StopFlag {
    /// Creates a flag that is set when `deadline` has passed.
    pub(crate) const fn with_deadline(deadline: Instant) -> Self {
        Self {
            stopped: AtomicBool::new(false),
            deadline: Some(deadline),
        }
    }

    pub(crate) fn set(&self, stopped: bool) {
        self.stopped.store(stopped, Ordering::Relaxed);
    }

    /// Returns whether the sink must stop.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.timeout(Duration::MAX).is_zero()
    }

    /// Returns how long a sink may wait before it checks the flag again: `max`, or less if the
    /// deadline of the flag is earlier. Zero if the flag is set.
    #[must_use]
    pub fn timeout(&self, max: Duration) -> Duration {
        if self.stopped.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let time_left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        time_left.map_or(max, |time_left| time_left.min(max))
    }
}

/// The time of the next attempt to write to a failed output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// At once, although the backoff delay has not passed.
    Now,
    /// When the backoff delay has passed. Until then, nothing is written.
    AfterBackoff,
}

impl RecordSink for RollingFile {
    fn write(&mut self, records: Records<'_>, _: &StopFlag) -> WriteOutcome {
        // `Background` has a backoff of its own for a failed sink.
        self.write_records(records, Retry::Now)
    }

    /// If the file was deleted, rewrites the records since the last check of the path.
    fn finish(&mut self) {
        // An error does not lose records yet: when the file is closed, `FileWriter::finish` tries
        // again, and reports a loss.
        let _ = self.flush();
    }
}
