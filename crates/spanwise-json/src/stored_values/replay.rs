//! Reads stored values, and passes them to a visitor.

use std::{fmt, panic, str};

use spanwise_core::internal::nested_json;
use tracing_core::{Field, Metadata, field::Visit};

use super::{Peculiarity, StoredKind, TIME_LEN, Time};

/// The values of an event, as [`write`](Self::write) stored them.
#[derive(Clone, Copy)]
pub(crate) struct StoredEvent<'a> {
    time: Time,
    values: &'a [u8],
}

impl<'a> StoredEvent<'a> {
    /// Reads the result of [`write`](Self::write).
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        let (time, values) = bytes.split_at(TIME_LEN.min(bytes.len()));
        let mut time = Reader(time);
        let second = time.take().map_or(0, i64::from_le_bytes);
        let nanos = time.take().map_or(0, u32::from_le_bytes);
        Self {
            time: (second, nanos),
            values,
        }
    }

    pub(crate) fn time(&self) -> Time {
        self.time
    }

    /// Passes the values to `visitor` as the event did.
    pub(crate) fn record(&self, callsite: &'static Metadata<'static>, visitor: &mut dyn Visit) {
        let mut reader = Reader(self.values);
        let mut fields = callsite.fields().iter().enumerate();
        while let Some([kind, index]) = reader.take() {
            let index = usize::from(index);
            let is_wanted = |(at, _): &(usize, Field)| *at == index;
            // Nearly always, the values are in the order of the fields.
            let field = fields.find(is_wanted).or_else(|| {
                fields = callsite.fields().iter().enumerate();
                fields.find(is_wanted)
            });
            let Some((_, field)) = field else { return };
            if reader.visit(kind, &field, visitor).is_none() {
                return;
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn take_bytes(&mut self) -> Option<&'a [u8]> {
        let len = u32::from_le_bytes(self.take()?);
        let (bytes, rest) = self.0.split_at_checked(len as usize)?;
        self.0 = rest;
        Some(bytes)
    }

    fn take_text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.take_bytes()?).ok()
    }

    /// Reads a value, and passes it to `visitor`. Returns `None` if the value is not complete.
    fn visit(&mut self, kind: u8, field: &Field, visitor: &mut dyn Visit) -> Option<()> {
        match StoredKind::from_byte(kind)? {
            StoredKind::U64 => visitor.record_u64(field, u64::from_le_bytes(self.take()?)),
            StoredKind::I64 => visitor.record_i64(field, i64::from_le_bytes(self.take()?)),
            StoredKind::F64 => visitor.record_f64(field, f64::from_le_bytes(self.take()?)),
            StoredKind::U128 => visitor.record_u128(field, u128::from_le_bytes(self.take()?)),
            StoredKind::I128 => visitor.record_i128(field, i128::from_le_bytes(self.take()?)),
            // For a redacted field, the encoder ignores the value.
            StoredKind::False | StoredKind::RedactedBool => visitor.record_bool(field, false),
            StoredKind::True => visitor.record_bool(field, true),
            StoredKind::Redacted => visitor.record_str(field, ""),
            StoredKind::Str => visitor.record_str(field, self.take_text()?),
            StoredKind::Bytes => visitor.record_bytes(field, self.take_bytes()?),
            StoredKind::Debug => visitor.record_debug(
                field,
                &StoredDebug {
                    text: self.take_text()?,
                    peculiarity: Peculiarity::default(),
                },
            ),
            StoredKind::PeculiarDebug => visitor.record_debug(
                field,
                &StoredDebug {
                    text: self.take_text()?,
                    peculiarity: Peculiarity::decode(self.take()?),
                },
            ),
            StoredKind::Panicked => visitor.record_debug(field, &Panicked),
        }
        Some(())
    }
}

/// A `Debug` that writes the stored output of another one.
struct StoredDebug<'a> {
    text: &'a str,
    peculiarity: Peculiarity,
}

impl fmt::Debug for StoredDebug<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Peculiarity {
            begins_json,
            json_end,
            is_truncated,
            fails,
        } = self.peculiarity;
        if begins_json {
            f.write_str(nested_json::begin())?;
        }
        let end = json_end.map_or(self.text.len(), |end| end as usize);
        let (text, rest) = self.text.split_at_checked(end).unwrap_or((self.text, ""));
        f.write_str(text)?;
        if json_end.is_some() {
            f.write_str(nested_json::end())?;
        }
        if !rest.is_empty() {
            f.write_str(rest)?;
        }
        if is_truncated {
            // This character exceeds the encoder's limit, so that the encoder truncates the text.
            // It needs four bytes, because three may be free: no character was split at the limit.
            f.write_str("\u{10ffff}")?;
        }
        match fails {
            true => Err(fmt::Error),
            false => Ok(()),
        }
    }
}

/// A value that panicked. It unwinds again, so that the encoder treats it like any panic. The panic
/// hook does not run a second time.
struct Panicked;

impl fmt::Debug for Panicked {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic::resume_unwind(Box::new(()))
    }
}
