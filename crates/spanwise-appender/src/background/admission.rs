//! Decides whether a line is accepted into the buffer, waits for room, or is shed.

use std::time::Duration;

use tracing::Level;

/// The policy for lines while the buffer fills because the writer is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Sheds by level, and makes severe lines wait. The default, with 100 ms.
    ///
    /// Once the buffer is more than half full, TRACE and DEBUG are shed until it is a quarter full.
    /// Once it is more than four fifths full, INFO is shed until it is two fifths full. WARN and
    /// ERROR wait for room in a full buffer for at most this duration, and are then shed. No line
    /// waits while the output fails. After a timeout, lines skip the wait until a line has been
    /// delivered or lost. With a duration of zero, no line waits.
    ShedByLevel(Duration),
    /// Makes lines of every level wait for room in a full buffer. After this duration, they are
    /// shed.
    Block(Duration),
    /// Sheds lines of every level while the buffer is full. No line waits.
    Shed,
}

impl WhenFull {
    /// Returns the longest wait of a line.
    pub(crate) const fn max_wait(self) -> Duration {
        match self {
            Self::ShedByLevel(timeout) | Self::Block(timeout) => timeout,
            Self::Shed => Duration::ZERO,
        }
    }
}

impl Default for WhenFull {
    fn default() -> Self {
        Self::ShedByLevel(Duration::from_millis(100))
    }
}

/// Decides which lines a buffer accepts.
#[derive(Debug)]
pub(crate) struct AdmissionControl {
    when_full: WhenFull,
    capacity: usize,
    /// TRACE and DEBUG are shed.
    sheds_debug: bool,
    /// INFO is shed.
    sheds_info: bool,
}

/// The decision about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Accept,
    /// Wait for room, for at most this duration.
    Wait(Duration),
    Shed,
}

impl AdmissionControl {
    pub(crate) const fn new(when_full: WhenFull, capacity: usize) -> Self {
        Self {
            when_full,
            capacity,
            sheds_debug: false,
            sheds_info: false,
        }
    }

    /// Decides about a line of this level while `held` bytes are in the buffer. `is_stalled` means
    /// that a wait is pointless, so only [`WhenFull::Block`] still waits.
    #[inline]
    pub(crate) fn admit(&self, level: Level, held: usize, is_stalled: bool) -> Admission {
        let sheds_level = match level {
            Level::ERROR | Level::WARN => false,
            Level::INFO => self.sheds_info,
            Level::DEBUG | Level::TRACE => self.sheds_debug,
        };
        if sheds_level {
            return Admission::Shed;
        }
        if held < self.capacity {
            return Admission::Accept;
        }
        match self.when_full {
            WhenFull::ShedByLevel(timeout) if level <= Level::WARN && !is_stalled => {
                Admission::Wait(timeout)
            }
            WhenFull::Block(timeout) => Admission::Wait(timeout),
            WhenFull::ShedByLevel(_) | WhenFull::Shed => Admission::Shed,
        }
    }

    /// Updates which levels are shed, after the buffer has grown to `held` bytes.
    #[inline]
    pub(crate) fn filled(&mut self, held: usize) {
        if matches!(self.when_full, WhenFull::ShedByLevel(_)) {
            self.sheds_debug |= held > self.debug_limit();
            self.sheds_info |= held > self.info_limit();
        }
    }

    /// Updates which levels are shed, after the buffer has shrunk to `held` bytes. A level is
    /// accepted again at half of its limit, so that the decision does not change with each line.
    pub(crate) fn drained(&mut self, held: usize) {
        self.sheds_debug &= held > self.debug_limit() / 2;
        self.sheds_info &= held > self.info_limit() / 2;
    }

    /// Returns whether lines of any level are shed.
    pub(crate) const fn is_shedding(&self) -> bool {
        self.sheds_debug || self.sheds_info
    }

    /// Returns the number of bytes above which DEBUG and TRACE are shed.
    const fn debug_limit(&self) -> usize {
        self.capacity / 2
    }

    /// Returns the number of bytes above which INFO is shed.
    const fn info_limit(&self) -> usize {
        self.capacity / 5 * 4
    }
}
