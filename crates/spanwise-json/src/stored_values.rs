//! The values of an event, stored as bytes, from which its line can be encoded later.
//!
//! A recorder buffers events in this form, because most of them are never written. Numbers
//! are stored as they are, texts are copied, and a `Debug` is formatted once. A value is not stored
//! if no line shows it, or if the policy redacts its key. All other values are redacted only when
//! the line is encoded.
//!
//! [`StoredEvent::record`] passes the same values to a visitor as the event did. So the encoder
//! makes the same line from them, even from nested JSON, and from values that fail or panic while
//! they are formatted.

mod collector;
mod replay;

use std::{
    error::Error,
    fmt::{self, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

use spanwise_core::{Redact, internal::panic_safe};
use tracing_core::{Field, field::Visit};

use self::collector::DebugCollector;
pub(crate) use self::replay::StoredEvent;
use crate::{
    line_buffer::LineBuffer,
    plan::{Key, Role},
};

/// How the fields of a callsite are stored.
#[derive(Debug)]
pub(crate) struct StoredFields {
    fields: Box<[StoredField]>,
    /// Whether events of the callsite cannot be stored: it has too many fields, or one of its
    /// events had an error as a value. Their lines are encoded at once.
    is_unsuitable: AtomicBool,
}

/// How the values of one field are stored.
#[derive(Debug, Clone, Copy)]
struct StoredField {
    /// For all values except booleans.
    value_storage: Storage,
    bool_storage: Storage,
    /// The maximum number of bytes of a `Debug` that the encoder reads.
    max_text_len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Storage {
    /// Not stored, because no line shows the field.
    Omitted,
    /// Stored without the value, because the policy redacts all values of the key.
    Redacted,
    /// Stored with the value.
    Whole,
}

impl StoredFields {
    pub(crate) fn new(keys: &[Key], policy: Option<&dyn Redact>) -> Self {
        let field = |key: &Key| {
            let conversion = key.conversion.as_deref();
            let role = key.field_role();
            let role_of_bool =
                conversion.map_or(key.role_of_bool, |conversion| conversion.role_of_bool);
            let is_scanned = policy.is_some() && role != Role::Trusted;
            StoredField {
                value_storage: Storage::for_role(role),
                bool_storage: Storage::for_role(role_of_bool),
                max_text_len: if is_scanned || role == Role::Replaced {
                    <dyn Redact>::MAX_COLLECT_LEN
                } else {
                    key.max_len
                },
            }
        };
        Self {
            fields: keys.iter().map(field).collect(),
            // The index of a field is one byte.
            is_unsuitable: AtomicBool::new(keys.len() > MAX_STORED_FIELDS),
        }
    }

    /// Returns whether the events of the callsite can be stored. True until an event shows that
    /// they cannot.
    #[inline]
    pub(crate) fn can_be_stored(&self) -> bool {
        !self.is_unsuitable.load(Ordering::Relaxed)
    }
}

impl Storage {
    fn for_role(role: Role) -> Self {
        match role {
            Role::Omitted => Self::Omitted,
            Role::Redacted => Self::Redacted,
            Role::Message
            | Role::Field
            | Role::Trusted
            | Role::Replaced
            | Role::ScannedText
            | Role::Converted => Self::Whole,
        }
    }
}

/// The maximum number of fields of a callsite whose events are stored.
const MAX_STORED_FIELDS: usize = 256;

/// The first byte of a stored value. The second is the index of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum StoredKind {
    U64,
    I64,
    F64,
    U128,
    I128,
    False,
    True,
    /// The length in four bytes, then a `str`.
    Str,
    /// Like `Str`, with the output of a `Debug`.
    Debug,
    /// Like `Debug`, then a [`Peculiarity`].
    PeculiarDebug,
    /// The length in four bytes, then bytes.
    Bytes,
    /// A value that panicked while it was formatted.
    Panicked,
    Redacted,
    RedactedBool,
}

impl StoredKind {
    const ALL: [Self; 14] = [
        Self::U64,
        Self::I64,
        Self::F64,
        Self::U128,
        Self::I128,
        Self::False,
        Self::True,
        Self::Str,
        Self::Debug,
        Self::PeculiarDebug,
        Self::Bytes,
        Self::Panicked,
        Self::Redacted,
        Self::RedactedBool,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// How a `Debug` differs from one that writes a text and succeeds.
#[derive(Debug, Clone, Copy, Default)]
struct Peculiarity {
    /// It begins with the [mark](spanwise_core::internal::nested_json) of nested JSON.
    begins_json: bool,
    /// The offset of the mark at the end of nested JSON.
    json_end: Option<u32>,
    /// It writes more text than the encoder reads. The text is stored up to this limit.
    is_truncated: bool,
    /// It returns an error.
    fails: bool,
}

impl Peculiarity {
    /// The encoded length in bytes.
    const LEN: usize = 8;

    fn encode(self) -> [u8; Self::LEN] {
        let flags = [
            self.begins_json,
            self.json_end.is_some(),
            self.is_truncated,
            self.fails,
        ];
        let [a, b, c, d] = self.json_end.unwrap_or_default().to_le_bytes();
        let [e, f, g, h] = flags.map(u8::from);
        [a, b, c, d, e, f, g, h]
    }

    fn decode([a, b, c, d, begins_json, ends_json, is_truncated, fails]: [u8; Self::LEN]) -> Self {
        let json_end = u32::from_le_bytes([a, b, c, d]);
        Self {
            begins_json: begins_json != 0,
            json_end: (ends_json != 0).then_some(json_end),
            is_truncated: is_truncated != 0,
            fails: fails != 0,
        }
    }
}

/// The time of an event, in seconds since 1970 and nanoseconds.
type Time = (i64, u32);

const TIME_LEN: usize = 12;

impl StoredEvent<'_> {
    /// Replaces the content of `bytes` with the values that `record` visits. Returns false if they
    /// cannot be stored.
    ///
    /// If a value panics while it is formatted, only its own text is lost: `record` is called again
    /// for the fields behind it.
    pub(crate) fn write(
        bytes: &mut LineBuffer,
        (second, nanos): Time,
        fields: &StoredFields,
        record: impl Fn(&mut dyn Visit),
    ) -> bool {
        bytes.clear();
        let time = u128::from(second.cast_unsigned()) | u128::from(nanos) << 64;
        bytes.push_block(&time.to_le_bytes(), TIME_LEN);
        let mut writer = ValueWriter {
            bytes,
            fields: &fields.fields,
            resume_at: 0,
            formatting: None,
            has_error: false,
        };
        while panic_safe::catch_panic(|| record(&mut writer)).is_none() {
            if !writer.replace_panicked_value() {
                break;
            }
        }
        if writer.has_error {
            fields.is_unsuitable.store(true, Ordering::Relaxed);
        }
        !writer.has_error
    }
}

struct ValueWriter<'a> {
    bytes: &'a mut LineBuffer,
    fields: &'a [StoredField],
    /// The index of the first field that is not yet done, after a value has panicked. 0 before.
    resume_at: usize,
    /// The index of the field whose `Debug` is being formatted, and the offset of its value.
    formatting: Option<(usize, usize)>,
    /// Whether a field has an error as its value.
    has_error: bool,
}

impl ValueWriter<'_> {
    /// Returns how to store the value of a field, or `None` if the value is not stored. For a
    /// redacted field, stores [`StoredKind::Redacted`] in place of the value.
    #[inline]
    fn begin(&mut self, field: &Field) -> Option<StoredField> {
        let index = field.index();
        let stored = *self.fields.get(index)?;
        if index < self.resume_at || stored.value_storage == Storage::Omitted {
            return None;
        }
        if stored.value_storage == Storage::Redacted {
            self.push_kind(StoredKind::Redacted, index);
            return None;
        }
        Some(stored)
    }

    #[inline]
    fn push_kind(&mut self, kind: StoredKind, index: usize) {
        self.bytes.push_block(&[kind as u8, index as u8], 2);
    }

    #[inline(always)] // Numbers are the most frequent values. A call would double their cost.
    fn push_word(&mut self, kind: StoredKind, field: &Field, word: u64) {
        if self.begin(field).is_some() {
            let head = u128::from(kind as u8) | u128::from(field.index() as u8) << 8;
            let block = head | u128::from(word) << 16;
            self.bytes.push_block(&block.to_le_bytes(), 2 + 8);
        }
    }

    fn push_two_words(&mut self, kind: StoredKind, field: &Field, words: u128) {
        if self.begin(field).is_some() {
            self.push_kind(kind, field.index());
            self.bytes.push_block(&words.to_le_bytes(), 16);
        }
    }

    #[inline]
    fn push_bytes(&mut self, kind: StoredKind, field: &Field, bytes: &[u8]) {
        if self.begin(field).is_some() {
            // A text of more than 4 GiB, which is not expected, is cut.
            let len = bytes.len().min(u32::MAX as usize);
            self.push_text_head(kind, field.index(), len);
            self.bytes.push_short(&bytes[..len]);
        }
    }

    #[inline]
    fn push_text_head(&mut self, kind: StoredKind, index: usize, len: usize) {
        let head = u64::from(kind as u8) | u64::from(index as u8) << 8 | (len as u64) << 16;
        self.bytes.push_block(&head.to_le_bytes(), TEXT_HEAD_LEN);
    }

    /// Replaces the value that panicked by [`StoredKind::Panicked`]. Returns false if no value was
    /// being formatted.
    #[cold]
    fn replace_panicked_value(&mut self) -> bool {
        let Some((index, start)) = self.formatting.take() else {
            return false;
        };
        self.bytes.truncate(start);
        self.push_kind(StoredKind::Panicked, index);
        self.resume_at = index + 1;
        true
    }
}

/// The number of bytes in front of a text: the kind (1), the index (1) and the length (4).
const TEXT_HEAD_LEN: usize = 6;

impl Visit for ValueWriter<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push_word(StoredKind::U64, field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push_word(StoredKind::I64, field, value.cast_unsigned());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push_word(StoredKind::F64, field, value.to_bits());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.push_two_words(StoredKind::U128, field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.push_two_words(StoredKind::I128, field, value.cast_unsigned());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        let index = field.index();
        let Some(stored) = self.fields.get(index) else {
            return;
        };
        if index < self.resume_at {
            return;
        }
        match (stored.bool_storage, value) {
            (Storage::Omitted, _) => {}
            (Storage::Redacted, _) => self.push_kind(StoredKind::RedactedBool, index),
            (Storage::Whole, false) => self.push_kind(StoredKind::False, index),
            (Storage::Whole, true) => self.push_kind(StoredKind::True, index),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push_bytes(StoredKind::Str, field, value.as_bytes());
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.push_bytes(StoredKind::Bytes, field, value);
    }

    fn record_error(&mut self, field: &Field, _: &(dyn Error + 'static)) {
        self.has_error |= self.begin(field).is_some();
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.has_error {
            return;
        }
        let Some(stored) = self.begin(field) else {
            return;
        };
        let (index, start) = (field.index(), self.bytes.len());
        self.formatting = Some((index, start));
        self.push_text_head(StoredKind::Debug, index, 0);
        let mut collector = DebugCollector::new(self.bytes, stored.max_text_len);
        let outcome = collector.write_fmt(format_args!("{value:?}"));
        let peculiarity = collector.finish(outcome);
        let len = self.bytes.len() - start - TEXT_HEAD_LEN;
        let head = &mut self.bytes.as_mut_bytes()[start..start + TEXT_HEAD_LEN];
        head[2..].copy_from_slice(&(len as u32).to_le_bytes());
        if let Some(peculiarity) = peculiarity {
            head[0] = StoredKind::PeculiarDebug as u8;
            self.bytes
                .push_block(&peculiarity.encode(), Peculiarity::LEN);
        }
        self.formatting = None;
    }
}
