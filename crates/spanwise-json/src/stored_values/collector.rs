//! Collects the output of a `Debug`, and notes in which way it is peculiar.

use std::fmt;

use spanwise_core::internal::{
    nested_json::{Mark, read_mark},
    panic_safe,
};

use super::Peculiarity;
use crate::line_buffer::LineBuffer;

pub(super) struct DebugCollector<'a> {
    bytes: &'a mut LineBuffer,
    /// The offset of the text.
    start: usize,
    /// How many more bytes of text are collected.
    left: usize,
    is_peculiar: bool,
    peculiarity: Peculiarity,
}

impl<'a> DebugCollector<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a mut LineBuffer, limit: usize) -> Self {
        Self {
            start: bytes.len(),
            bytes,
            left: limit,
            is_peculiar: false,
            peculiarity: Peculiarity::default(),
        }
    }

    /// Returns the peculiarity of the `Debug`, which returned `outcome`. `None` if it has none.
    #[inline]
    pub(super) fn finish(self, outcome: fmt::Result) -> Option<Peculiarity> {
        if outcome.is_ok() && !self.is_peculiar {
            return None;
        }
        let mut peculiarity = self.peculiarity;
        // A `Debug` fails if its text is truncated, unless it ignores the error.
        peculiarity.fails = outcome.is_err() && !peculiarity.is_truncated;
        Some(peculiarity)
    }

    /// Notes a mark of nested JSON. Readers only see a mark at the beginning, and the first end
    /// after it.
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
    fn write_any(&mut self, text: &str) -> fmt::Result {
        if text.is_empty() {
            self.mark(read_mark(text));
            return Ok(());
        }
        let kept = panic_safe::truncate_at(text, self.left);
        self.bytes.push(kept.as_bytes());
        // The error stops a well-behaved `Debug`. Text from one that ignores it is dropped.
        self.left = 0;
        self.is_peculiar = true;
        self.peculiarity.is_truncated = true;
        Err(fmt::Error)
    }
}

impl fmt::Write for DebugCollector<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.is_empty() || text.len() > self.left {
            return self.write_any(text);
        }
        self.left -= text.len();
        self.bytes.push_short(text.as_bytes());
        Ok(())
    }
}
