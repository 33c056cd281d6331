//! Decides whether a line is accepted into the buffer, waits for room, or is shed (dropped because
//! the buffer fills).

use std::time::Duration;

use tracing::Level;

/// The policy for lines while the buffer fills because the writer is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Sheds by level, and makes severe lines wait. The default, with 100 ms.
    ///
    /// Once the buffer is more than half full, TRACE and DEBUG are shed until it is a quarter full.
    /// Once it is more than four fifths full, INFO is shed until it is two fifths full. WARN and
    /// ERROR wait for room in a full buffer for at most this duration, and are then shed. While the
    /// output fails, no line waits. After a timeout, later lines do not wait either. They wait
    /// again when the output has delivered or lost a line. With a duration of zero, no line ever
    /// waits.
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
    /// The size of the buffer in bytes.
    capacity: usize,
    /// Whether TRACE and DEBUG are shed now.
    sheds_debug: bool,
    /// Whether INFO is shed now.
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

    /// Decides about a line of this level while the buffer has `held_bytes`. `is_stalled` means
    /// that the output makes no progress. In that case a wait is pointless, so only
    /// [`WhenFull::Block`] waits.
    #[inline]
    pub(crate) fn admit(&self, level: Level, held_bytes: usize, is_stalled: bool) -> Admission {
        let sheds_level = match level {
            Level::ERROR | Level::WARN => false,
            Level::INFO => self.sheds_info,
            Level::DEBUG | Level::TRACE => self.sheds_debug,
        };
        if sheds_level {
            return Admission::Shed;
        }
        if held_bytes < self.capacity {
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

    /// Updates which levels are shed, after the buffer has grown to `held_bytes`.
    #[inline]
    pub(crate) fn update_after_growth(&mut self, held_bytes: usize) {
        if matches!(self.when_full, WhenFull::ShedByLevel(_)) {
            self.sheds_debug |= held_bytes > self.debug_limit();
            self.sheds_info |= held_bytes > self.info_limit();
        }
    }

    /// Updates which levels are shed, after the buffer has shrunk to `held_bytes`. A level is
    /// accepted again at half of its limit, so that the decision does not change with each line.
    pub(crate) fn update_after_shrinkage(&mut self, held_bytes: usize) {
        self.sheds_debug &= held_bytes > self.debug_limit() / 2;
        self.sheds_info &= held_bytes > self.info_limit() / 2;
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
