//! A writer that collects the output of a `Debug`, and notes its [`Peculiarity`].

use std::fmt;

use spanwise_core::internal::{
    nested_json::{Mark, read_mark},
    panic_safe,
};

use super::Peculiarity;
use crate::line_buffer::LineBuffer;

pub(super) struct DebugCollector<'a> {
    bytes: &'a mut LineBuffer,
    /// The offset at which the text starts in `bytes`.
    start: usize,
    /// The number of bytes of text that are still accepted.
    remaining: usize,
    /// Whether `finish` must return `peculiarity`.
    is_peculiar: bool,
    peculiarity: Peculiarity,
}

impl<'a> DebugCollector<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a mut LineBuffer, limit: usize) -> Self {
        Self {
            start: bytes.len(),
            bytes,
            remaining: limit,
            is_peculiar: false,
            peculiarity: Peculiarity::default(),
        }
    }

    /// Returns the peculiarity of the `Debug`, if it has one. `outcome` is the result that the
    /// `Debug` returned.
    #[inline]
    pub(super) fn finish(self, outcome: fmt::Result) -> Option<Peculiarity> {
        if outcome.is_ok() && !self.is_peculiar {
            return None;
        }
        let mut peculiarity = self.peculiarity;
        // An error after a truncation is nearly always the one that `write_uncommon` returned.
        peculiarity.fails = outcome.is_err() && !peculiarity.is_truncated;
        Some(peculiarity)
    }

    /// Notes a mark of nested JSON, if it matters to the encoder: a mark at the beginning, and the
    /// first end mark after it.
    #[cold]
    fn mark(&mut self, mark: Mark) {
        self.is_peculiar |= mark != Mark::None;
        let len = self.bytes.len() - self.start;
        let Peculiarity {
            begins_json,
            json_end,
            ..
        } = &mut self.peculiarity;
        match mark {
            Mark::Begin if len == 0 => *begins_json = true,
            Mark::End if *begins_json && json_end.is_none() => *json_end = Some(len as u32),
            Mark::Begin | Mark::End | Mark::None => {}
        }
    }

    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn write_uncommon(&mut self, text: &str) -> fmt::Result {
        if text.is_empty() {
            self.mark(read_mark(text));
            return Ok(());
        }
        let accepted = panic_safe::truncate_at(text, self.remaining);
        self.bytes.push(accepted.as_bytes());
        // The error stops a `Debug`. If it ignores the error, its further text is dropped.
        self.remaining = 0;
        self.is_peculiar = true;
        self.peculiarity.is_truncated = true;
        Err(fmt::Error)
    }
}

impl fmt::Write for DebugCollector<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.is_empty() || text.len() > self.remaining {
            return self.write_uncommon(text);
        }
        self.remaining -= text.len();
        self.bytes.push_short(text.as_bytes());
        Ok(())
    }
}
