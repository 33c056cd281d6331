//! The writer that passes log records to the exporter.

use std::{fmt, io, sync::Arc};

use tracing_core::Level;
use tracing_subscriber::fmt::MakeWriter;

use crate::{log_encoding::DecodedRecord, signal::Signal};

/// Exports the records that an [`OtelLogs`](crate::OtelLogs) writes.
///
/// To buffer records, put a flight recorder in front of this writer.
#[derive(Clone)]
pub struct LogWriter {
    signal: Arc<Signal>,
}

impl LogWriter {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        Self { signal }
    }

    /// Exports a record, which is the concatenation of the parts in `record`. Has the effect of
    /// `write`, but does not encode and decode the messages around the record.
    #[inline]
    pub(crate) fn export(&self, scope: &[u8], record: [&[u8]; 2], level: Level) {
        self.signal.push(scope, record, level);
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a Self;

    #[inline]
    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl io::Write for &LogWriter {
    /// Exports the first record in `records`, and returns its length. `write_all` exports all of
    /// them, because it calls this method until no bytes are left.
    fn write(&mut self, records: &[u8]) -> io::Result<usize> {
        let Some(decoded) = DecodedRecord::decode(records) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "these bytes are not a record of `OtelLogs`",
            ));
        };
        self.signal
            .push(decoded.scope, [decoded.record], decoded.level);
        Ok(decoded.len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter").finish_non_exhaustive()
    }
}
