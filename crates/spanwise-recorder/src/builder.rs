//! The builder of a recorder.

use std::{sync::Arc, time::Duration};

use spanwise_core::{
    Clock, ParseError, SelfReport, TargetLevels, internal::consistent_sampling::Threshold,
};

use crate::{
    Recorder,
    record_ring::CHUNK_LEN,
    recorder_state::{Options, RecorderState},
};

/// Builds a [`Recorder`]. Created by [`Recorder::builder`].
///
/// In the setters, *unit* means [unit of work](crate#units-of-work). *Shown* events are those that
/// the filter of a sink selects. A *dump* writes the buffered lines of a unit.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is buffered until `build` is called"]
pub struct RecorderBuilder {
    pub(crate) options: Options,
    report: SelfReport,
}

impl RecorderBuilder {
    /// Sets the levels of the events that the recorder buffers if the sink does not show them.
    /// Events of targets that no directive names are not buffered. Defaults to `debug`.
    pub fn capture(mut self, levels: impl Into<TargetLevels>) -> Self {
        self.options.capture = levels.into();
        self
    }

    /// Sets the age at which a unit is slow. A slow unit is dumped before its next event, or when
    /// it ends. With this setting, each event of a unit reads the clock. By default, no unit is
    /// slow.
    pub fn slow(mut self, duration: Duration) -> Self {
        self.options.slow = Some(duration);
        self
    }

    /// Sets the ratio of sampled units, from 0 (none) to 1 (all). Shown events of these units are
    /// written even without a trigger. Shown events of other units are buffered if they are at INFO
    /// or at a more verbose level. Defaults to 1. See [tail sampling](crate#tail-sampling).
    ///
    /// ```
    /// use spanwise_recorder::Recorder;
    ///
    /// let recorder = Recorder::builder().tail(0.01)?.build();
    /// assert_eq!(
    ///     Recorder::builder().tail(1.5).unwrap_err().to_string(),
    ///     "`1.5` is out of range: a ratio of units lies between 0 and 1; use 1 to show every unit"
    /// );
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// If `ratio` is not between 0 and 1.
    pub fn tail(mut self, ratio: f64) -> Result<Self, ParseError> {
        let Some(threshold) = Threshold::from_ratio(ratio) else {
            return Err(ParseError::new(format!(
                "`{ratio}` is out of range: a ratio of units lies between 0 and 1; use 1 to show \
                 every unit"
            )));
        };
        self.options.tail = (!threshold.keeps_all()).then_some(threshold);
        Ok(self)
    }

    /// Sets how many bytes are buffered per unit. A line counts with its length. An event that is
    /// buffered as values counts with its values and the fields of its span. Each line or event
    /// adds 8 to 20 bytes. The newest lines are kept. Defaults to 64 KiB.
    pub fn max_unit_bytes(mut self, bytes: usize) -> Self {
        self.options.max_unit_bytes = bytes;
        self
    }

    /// Sets how many lines are buffered per unit. The newest lines are kept. With 0, no line is
    /// buffered. Defaults to 1,000.
    pub fn max_unit_records(mut self, records: usize) -> Self {
        self.options.max_unit_records = records;
        self
    }

    /// Sets how many bytes are buffered for all units together. Above this limit, the unit with the
    /// most bytes loses its lines. A unit with a line takes at least 4 KiB. Defaults to 64 MiB.
    pub fn max_process_bytes(mut self, bytes: usize) -> Self {
        self.options.max_process_bytes = bytes;
        self
    }

    /// Sets the maximum length of a buffered line, or of the values of a buffered event, in bytes.
    /// The effective limit is at least 2 KiB below [`max_unit_bytes`](Self::max_unit_bytes) and
    /// [`max_process_bytes`](Self::max_process_bytes). Defaults to 16 KiB.
    ///
    /// An event that is buffered as values is also too long if its values and the fields of its
    /// span do not fit into these two limits, less 2 KiB.
    pub fn max_record_bytes(mut self, bytes: usize) -> Self {
        self.options.max_record_bytes = bytes;
        self
    }

    /// Sets how many buffered lines each sink may write per second. A burst may have this many
    /// lines, too. A unit counts as at least 20 lines, and is written whole or not at all. Units
    /// that were cancelled, slow or expired use at most half of a burst. With 0, no unit is
    /// written. Defaults to 10,000.
    ///
    /// ```
    /// use spanwise_recorder::Recorder;
    ///
    /// let recorder = Recorder::builder().max_lines_per_second(2000).build();
    /// assert_eq!(recorder.to_string(), "debug,lines=2000/s");
    /// ```
    pub fn max_lines_per_second(mut self, lines: u32) -> Self {
        self.options.max_lines_per_second = lines;
        self
    }

    /// Sets the clock. Defaults to [`Clock::system`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.options.clock = clock;
        self
    }

    /// Sets where faults are reported. Defaults to the process-wide [`SelfReport`].
    pub fn report(mut self, report: SelfReport) -> Self {
        self.report = report;
        self
    }

    /// Builds the recorder.
    #[must_use]
    pub fn build(self) -> Recorder {
        let Self {
            mut options,
            report,
        } = self;
        // A record that could never fit into the memory, alone or with its span, must count as
        // oversize at once, and not evict other records first. Half a chunk (2 KiB) is more than
        // the header of a record needs.
        let max_process_bytes = options.max_process_bytes.max(CHUNK_LEN);
        let max_record = options
            .max_unit_bytes
            .min(max_process_bytes)
            .saturating_sub(CHUNK_LEN / 2);
        options.max_record_bytes = options.max_record_bytes.min(max_record);
        options.max_event_bytes = max_record;
        Recorder {
            state: Arc::new(RecorderState::new(options, report)),
        }
    }
}
