//! What can be chosen about a [`Recorder`].

use std::{sync::Arc, time::Duration};

use spanwise_core::{Clock, SelfReport, TargetLevels};

use super::{
    Recorder,
    ring::CHUNK,
    shared::{Options, Shared},
};

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

    /// Keeps at most so many bytes of lines a unit: the newest. Default: 64 KiB.
    pub fn unit_bytes(mut self, bytes: usize) -> Self {
        self.options.limits.unit_bytes = bytes;
        self
    }

    /// Keeps at most so many lines a unit: the newest. Default: 1,000.
    pub fn unit_records(mut self, records: usize) -> Self {
        self.options.limits.unit_records = records;
        self
    }

    /// Keeps at most so many bytes of all units together; when it is more, the unit that has held lines for the longest time loses all of
    /// them. A unit with a line takes 4 KiB at least. Default: 64 MiB.
    pub fn process_bytes(mut self, bytes: usize) -> Self {
        self.options.limits.process_bytes = bytes;
        self
    }

    /// Keeps no line that is longer than this many bytes. Default: 16 KiB.
    pub fn record_bytes(mut self, bytes: usize) -> Self {
        self.options.limits.record_bytes = bytes;
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
        let most = limits.unit_bytes.min(limits.process_bytes.max(CHUNK));
        limits.record_bytes = limits.record_bytes.min(most.saturating_sub(CHUNK / 2));
        Recorder {
            shared: Arc::new(Shared::new(options, report)),
        }
    }
}
