//! What can be chosen about a [`Recorder`].

use std::{sync::Arc, time::Duration};

use spanwise_core::{Clock, SelfReport, TargetLevels};

use super::{
    Recorder,
    record_ring::CHUNK_LEN,
    recorder_state::{Options, RecorderState},
};
use crate::{SampleError, consistent_sampling::Threshold};

/// Chooses what a [`Recorder`] keeps. Made by [`Recorder::builder`].
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is kept until `build` is called"]
pub struct RecorderBuilder {
    options: Options,
    report: SelfReport,
}

impl RecorderBuilder {
    /// Sets the levels of the events that are kept where they are not shown. A target that no directive names is not kept. Default: `debug`.
    pub fn capture(mut self, levels: impl Into<TargetLevels>) -> Self {
        self.options.capture = levels.into();
        self
    }

    /// Has a unit written that takes as long as this: with the first event in it after that time, or when it ends. The clock is
    /// then read at each event of a unit. Default: never.
    pub fn slow(mut self, duration: Duration) -> Self {
        self.options.slow = Some(duration);
        self
    }

    /// Holds back also what the sinks show at INFO and below, and shows it only of units in which something happens, and of this
    /// share of the others: from 0 (none) to 1 (all, the default). See [tail sampling](crate::Recorder#tail-sampling).
    ///
    /// ```
    /// use spanwise_sample::Recorder;
    ///
    /// let recorder = Recorder::builder().tail(0.01)?.build();
    /// assert_eq!(
    ///     Recorder::builder().tail(1.5).unwrap_err().to_string(),
    ///     "`1.5` is out of range: a share of the units lies between 0 and 1; use 1 to show every unit"
    /// );
    /// # Ok::<(), spanwise_sample::SampleError>(())
    /// ```
    ///
    /// # Errors
    /// If it does not lie between 0 and 1.
    pub fn tail(mut self, share: f64) -> Result<Self, SampleError> {
        let Some(threshold) = Threshold::from_ratio(share) else {
            return Err(SampleError::new(format!(
                "`{share}` is out of range: a share of the units lies between 0 and 1; use 1 to show every unit"
            )));
        };
        self.options.tail = (!threshold.keeps_all()).then_some(threshold);
        Ok(self)
    }

    /// Keeps at most so many bytes of lines a unit: the newest. Default: 64 KiB.
    pub fn max_unit_bytes(mut self, bytes: usize) -> Self {
        self.options.limits.max_unit_bytes = bytes;
        self
    }

    /// Keeps at most so many lines a unit: the newest. Default: 1,000.
    pub fn max_unit_records(mut self, records: usize) -> Self {
        self.options.limits.max_unit_records = records;
        self
    }

    /// Keeps at most so many bytes of all units together; when it is more, the unit that holds most
    /// loses its lines. A unit with a line takes 4 KiB at least. Default: 64 MiB.
    pub fn max_process_bytes(mut self, bytes: usize) -> Self {
        self.options.limits.max_process_bytes = bytes;
        self
    }

    /// Keeps no line that is longer than this many bytes. Default: 16 KiB.
    pub fn max_record_bytes(mut self, bytes: usize) -> Self {
        self.options.limits.max_record_bytes = bytes;
        self
    }

    /// Sets how many lines of units in which something happened each sink may write in a second,
    /// and how many at once. A unit counts as 20 lines at least, and is written whole or not at
    /// all. Cancelled, slow and old units use at most half of what may be written at once. With 0
    /// no unit is ever written. Defaults to 10,000.
    ///
    /// ```
    /// use spanwise_sample::Recorder;
    ///
    /// let recorder = Recorder::builder().max_lines_per_second(2000).build();
    /// assert_eq!(recorder.to_string(), "debug,lines=2000/s");
    /// ```
    pub fn max_lines_per_second(mut self, lines: u32) -> Self {
        self.options.limits.lines_per_second = lines;
        self
    }

    /// Takes the time from `clock`. Default: [`Clock::system`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.options.clock = clock;
        self
    }

    /// Reports to `report`. Default: the report of the process.
    pub fn report(mut self, report: &SelfReport) -> Self {
        self.report = report.clone();
        self
    }

    /// The recorder.
    #[must_use]
    pub fn build(self) -> Recorder {
        let Self {
            mut options,
            report,
        } = self;
        let limits = &mut options.limits;
        // What can never fit need not be tried.
        let most = limits
            .max_unit_bytes
            .min(limits.max_process_bytes.max(CHUNK_LEN));
        limits.max_record_bytes = limits
            .max_record_bytes
            .min(most.saturating_sub(CHUNK_LEN / 2));
        Recorder {
            shared: Arc::new(RecorderState::new(options, report)),
        }
    }
}
