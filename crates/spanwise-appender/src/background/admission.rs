//! Who waits and who is left out when the buffer fills.

use std::time::Duration;

use tracing::Level;

/// What happens to a line when the writer is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// By level: with the buffer more than half full, TRACE and DEBUG are shed; above four fifths INFO too; WARN and ERROR wait for
    /// room, at most this long, and then are shed. Each of the first two ends when the buffer is down to half of where it began. While
    /// the output refuses everything, or took nothing while somebody waited, nobody waits: room will not come soon. The default, with
    /// 100 ms; with zero nobody ever waits.
    ShedByLevel(Duration),
    /// Lines of any level wait for room, at most this long, and then are shed.
    Block(Duration),
    /// Lines of any level are shed, as soon as the buffer is full. Nobody ever waits.
    Shed,
}

impl WhenFull {
    /// The longest that a line ever waits.
    pub(crate) const fn max_wait(self) -> Duration {
        match self {
            Self::ShedByLevel(at_most) | Self::Block(at_most) => at_most,
            Self::Shed => Duration::ZERO,
        }
    }
}

impl Default for WhenFull {
    fn default() -> Self {
        Self::ShedByLevel(Duration::from_millis(100))
    }
}

/// Which levels are shed, and at which fill of the buffer that begins and ends.
#[derive(Debug)]
pub(crate) struct AdmissionControl {
    when_full: WhenFull,
    capacity: usize,
    debug: bool,
    info: bool,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Accept,
    Wait(Duration),
    Shed,
}

impl AdmissionControl {
    pub(crate) fn new(when_full: WhenFull, capacity: usize) -> Self {
        Self {
            when_full,
            capacity,
            debug: false,
            info: false,
        }
    }

    /// What becomes of a line of this level while `held` bytes are held. `stalled`: room will not come soon.
    #[inline]
    pub(crate) fn admit(&self, level: Level, held: usize, stalled: bool) -> Admission {
        let shed_early = match level {
            Level::ERROR | Level::WARN => false,
            Level::INFO => self.info,
            Level::DEBUG | Level::TRACE => self.debug,
        };
        if shed_early {
            return Admission::Shed;
        }
        if held < self.capacity {
            return Admission::Accept;
        }
        match self.when_full {
            WhenFull::ShedByLevel(at_most) if level <= Level::WARN && !stalled => {
                Admission::Wait(at_most)
            }
            WhenFull::Block(at_most) => Admission::Wait(at_most),
            WhenFull::ShedByLevel(_) | WhenFull::Shed => Admission::Shed,
        }
    }

    /// The buffer holds `held` bytes now.
    #[inline]
    pub(crate) fn filled(&mut self, held: usize) {
        if matches!(self.when_full, WhenFull::ShedByLevel(_)) {
            self.debug |= held > self.debug_threshold();
            self.info |= held > self.info_threshold();
        }
    }

    /// The buffer holds no more than `held` bytes any longer.
    pub(crate) fn drained(&mut self, held: usize) {
        self.debug &= held > self.debug_threshold() / 2;
        self.info &= held > self.info_threshold() / 2;
    }

    /// Whether any level is being shed.
    pub(crate) fn is_shedding(&self) -> bool {
        self.debug || self.info
    }

    fn debug_threshold(&self) -> usize {
        self.capacity / 2
    }

    fn info_threshold(&self) -> usize {
        self.capacity / 5 * 4
    }
}
