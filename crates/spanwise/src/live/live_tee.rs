//! Writes one line to several outputs, which a reload can change.

use std::{
    io::{self, Write},
    sync::{Arc, atomic::Ordering},
};

use spanwise_core::internal::{SinkMask, sync::RwLock, thread_number};
use tracing_core::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    router::GateBits,
    tee::{TeeOutput, UNKNOWN_LEVEL, write_routed},
};

/// Forwards a line to each output whose sink is in the current [`SinkMask`]. If the mask is empty,
/// the levels of the outputs decide: see [`write_routed`].
///
/// A write fails only if a reload has removed all sinks of the line. This happens to a line that
/// the flight recorder buffered before the reload, and to a line whose event took longer than the
/// reload waited. A line that a `Background` loses is not an error, because the `Background` counts
/// it. Clones share their outputs.
#[derive(Debug, Clone)]
pub(crate) struct LiveTee {
    /// Copies of the list of outputs. Each thread uses one of them, so that not all threads contend
    /// for one lock and one reference count.
    shards: Arc<[Shard; SHARDS]>,
    /// The router bits of all outputs, which the [`RouteGate`](crate::router::RouteGate) around the
    /// layer reads.
    pub(crate) bits: GateBits,
}

#[derive(Debug)]
#[repr(align(64))]
struct Shard(RwLock<Arc<[TeeOutput]>>);

/// The number of copies of the list of outputs.
const SHARDS: usize = 8;

impl LiveTee {
    pub(crate) fn new() -> Self {
        Self {
            shards: Arc::new(std::array::from_fn(|_| Shard(RwLock::new(Arc::new([]))))),
            bits: GateBits::default(),
        }
    }

    /// Replaces the outputs.
    pub(crate) fn set(&self, outputs: &[TeeOutput]) {
        let bits = outputs.iter().fold(0, |bits, output| bits | output.bit);
        for Shard(shard) in &*self.shards {
            // Each shard gets an `Arc` with a reference count of its own.
            let outputs = Arc::from(outputs);
            let replaced = std::mem::replace(&mut *shard.write(), outputs);
            // Dropped after the lock is released, because it may own the last handle of an output.
            drop(replaced);
        }
        self.bits.store(bits, Ordering::Relaxed);
    }

    pub(crate) fn outputs(&self) -> Arc<[TeeOutput]> {
        // Clones the `Arc`, so that no output is called under the lock.
        Arc::clone(&self.shards[thread_number(SHARDS)].0.read())
    }
}

/// The writer of one line, with the sinks to which the router sends the event of this line.
#[derive(Debug)]
pub(crate) struct LiveTeeWriter<'a> {
    tee: &'a LiveTee,
    level: Level,
    sinks: SinkMask,
}

impl<'a> MakeWriter<'a> for LiveTee {
    type Writer = LiveTeeWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LiveTeeWriter {
            tee: self,
            level: UNKNOWN_LEVEL,
            sinks: SinkMask::current(),
        }
    }

    #[inline]
    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        LiveTeeWriter {
            tee: self,
            level: *metadata.level(),
            sinks: SinkMask::current(),
        }
    }
}

impl Write for LiveTeeWriter<'_> {
    #[inline]
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let has_output = write_routed(&self.tee.outputs(), self.level, self.sinks, line)?;
        match has_output || self.sinks.is_empty() {
            true => Ok(line.len()),
            false => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
