//! Reading one value of an event as text, without keeping it and without trusting it.

use std::{
    fmt::{self, Write},
    hash::Hasher,
};

use spanwise_core::panic_safe;
use tracing::Event;
use tracing_core::{Field, field::Visit};

use crate::owner::OwnValue;

/// Whether the field is `text`, or begins with it; nothing if the event does not have it.
pub(crate) fn equals(
    event: &Event<'_>,
    field: &Field,
    text: &str,
    only_begin: bool,
) -> Option<bool> {
    let mut same = Same {
        rest: text,
        only_begin,
        outcome: None,
    };
    let read = read(event, field, &mut same)?;
    Some(same.outcome.unwrap_or(same.rest.is_empty() && read))
}

/// Adds the text of the field to `hasher`, as far as it is read. False if the event does not have it.
pub(crate) fn hash(event: &Event<'_>, field: &Field, hasher: &mut dyn Hasher) -> bool {
    read(event, field, &mut Hashed::new(hasher)).is_some()
}

/// Adds a text as [`hash`] does.
pub(crate) fn hash_text(text: &str, hasher: &mut dyn Hasher) {
    // Stops where it may.
    let _ = Hashed::new(hasher).write_str(text);
}

/// The value of the field; its text, if it is no longer than so many bytes and can be read to its
/// end. `None` if the event does not have the field, and `Some(None)` if the text is not whole.
pub(crate) fn own(event: &Event<'_>, field: &Field, max_len: usize) -> Option<Option<OwnValue>> {
    let mut typed = Typed {
        index: field.index(),
        value: None,
    };
    event.record(&mut typed);
    if typed.value.is_some() {
        return Some(typed.value);
    }
    let mut text = Text {
        text: String::new(),
        max_len,
        is_cut: false,
    };
    let is_read = read(event, field, &mut text)?;
    Some((is_read && !text.is_cut).then_some(OwnValue::Text(text.text)))
}

/// Reads a value that is not text.
struct Typed {
    index: usize,
    value: Option<OwnValue>,
}

impl Typed {
    fn set(&mut self, field: &Field, value: OwnValue) {
        if field.index() == self.index {
            self.value = Some(value);
        }
    }
}

impl Visit for Typed {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, OwnValue::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, OwnValue::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, OwnValue::U64(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.set(field, OwnValue::I128(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.set(field, OwnValue::U128(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, OwnValue::F64(value));
    }
}

/// The text of the field, in pieces. Nothing if the event does not have it, false if the text came to no good end.
fn read(event: &Event<'_>, field: &Field, out: &mut dyn Write) -> Option<bool> {
    let mut reader = Reader {
        index: field.index(),
        out,
        read: None,
    };
    event.record(&mut reader);
    reader.read
}

struct Reader<'a> {
    index: usize,
    out: &'a mut dyn Write,
    read: Option<bool>,
}

impl Visit for Reader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.index() == self.index {
            let written = panic_safe::catch_panic(|| write!(self.out, "{value:?}"));
            self.read = Some(matches!(written, Some(Ok(()))));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.index() == self.index {
            self.read = Some(self.out.write_str(value).is_ok());
        }
    }
}

struct Same<'a> {
    rest: &'a str,
    only_begin: bool,
    /// Once it is known before the end.
    outcome: Option<bool>,
}

impl Write for Same<'_> {
    /// An error stops a well-behaved `Debug`: no more has to be known.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.outcome.is_some() {
            return Err(fmt::Error);
        }
        if let Some(rest) = self.rest.strip_prefix(text) {
            self.rest = rest;
            return Ok(());
        }
        self.outcome = Some(self.only_begin && text.starts_with(self.rest));
        Err(fmt::Error)
    }
}

struct Text {
    text: String,
    max_len: usize,
    is_cut: bool,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // A `Debug` may ignore the error and write on.
        self.is_cut |= self.text.len() + text.len() > self.max_len;
        if self.is_cut {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

struct Hashed<'a> {
    hasher: &'a mut dyn Hasher,
    left: usize,
}

impl<'a> Hashed<'a> {
    fn new(hasher: &'a mut dyn Hasher) -> Self {
        Self { hasher, left: 1024 }
    }
}

impl Write for Hashed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let read = &text.as_bytes()[..text.len().min(self.left)];
        self.hasher.write(read);
        self.left -= read.len();
        if self.left == 0 {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}
