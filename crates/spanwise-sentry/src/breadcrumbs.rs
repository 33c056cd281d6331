//! Breadcrumbs: the events that a unit of work logged before an error.
//!
//! Any event may precede an error. So each unit stores copies of its newest events, within a memory
//! limit for all units together.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use sentry_core::protocol::{Breadcrumb, Value};
use spanwise_core::internal::{
    forks, log_record, panic_safe,
    sync::{Mutex, MutexGuard},
};
use tracing_core::{Field, Metadata, field::Visit};

use crate::{event_builder::sentry_level, fields::causes};

/// The newest breadcrumbs of a unit of work, at most [`MAX_BREADCRUMBS`].
#[derive(Debug)]
pub(crate) struct BreadcrumbRing {
    breadcrumbs: Mutex<Ring>,
    memory: Arc<MemoryBudget>,
}

#[derive(Debug, Default)]
struct Ring {
    breadcrumbs: VecDeque<StoredBreadcrumb>,
    /// The memory of the breadcrumbs, in bytes.
    bytes: usize,
}

/// Limits the memory for the breadcrumbs of all units, in bytes.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    used: AtomicUsize,
    max: usize,
    /// The [generation](forks::generation) of the process that created the budget.
    generation: u32,
}

/// A copy of a logged event. It is converted to a [`Breadcrumb`] only if an error is sent.
#[derive(Debug)]
pub(crate) struct StoredBreadcrumb {
    logged_at: SystemTime,
    callsite: &'static Metadata<'static>,
    /// The target of a record of the `log` crate. `None` for other events, which have the target of
    /// their callsite.
    target: Option<String>,
    /// The texts of all fields.
    texts: String,
    /// The bytes of the message in `texts`.
    message: Range<usize>,
    fields: Vec<(&'static str, StoredValue)>,
    /// Whether the event is a record of the `log` crate. The `log.*` fields of a record contain its
    /// origin, and are not stored.
    is_log_record: bool,
}

/// The value of a field. A text is a range of bytes in [`StoredBreadcrumb::texts`].
#[derive(Debug, Clone)]
enum StoredValue {
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(Range<usize>),
}

/// The maximum number of breadcrumbs that a unit stores, and that an error event contains.
pub(crate) const MAX_BREADCRUMBS: usize = 100;

/// The maximum length of the text of a value, or of one error in a chain, in bytes.
const MAX_TEXT_LEN: usize = 1024;

/// If the texts of a breadcrumb exceed this many bytes, no further text field is added. The message
/// is always added.
const MAX_TEXTS_LEN: usize = 4 * 1024;

/// The maximum number of fields of a breadcrumb, besides the message.
const MAX_FIELDS: usize = 64;

/// The size of a breadcrumb in bytes, without the heap memory of its texts and fields.
const BREADCRUMB_LEN: usize = size_of::<StoredBreadcrumb>();

/// A text buffer with a larger capacity, in bytes, is not reused.
const MAX_REUSED_TEXT_LEN: usize = 1024;
/// A list of fields with a larger capacity is not reused.
const MAX_REUSED_FIELDS: usize = 16;

impl BreadcrumbRing {
    pub(crate) fn new(memory: &Arc<MemoryBudget>) -> Self {
        Self {
            breadcrumbs: Mutex::default(),
            memory: Arc::clone(memory),
        }
    }

    /// Adds a breadcrumb. Evicts the oldest breadcrumbs of the unit if it has too many, or if the
    /// memory budget of all units is used up. Returns a breadcrumb whose memory can be reused: an
    /// evicted one, or the new one if it was not stored.
    pub(crate) fn push(&self, breadcrumb: StoredBreadcrumb) -> Option<StoredBreadcrumb> {
        let Some(mut ring) = self.lock() else {
            return Some(breadcrumb);
        };
        let mut evicted = None;
        if ring.breadcrumbs.len() >= MAX_BREADCRUMBS {
            evicted = ring.evict_oldest(&self.memory);
        }
        let bytes = breadcrumb.bytes();
        while !self.memory.try_take(bytes) {
            match ring.evict_oldest(&self.memory) {
                Some(oldest) => evicted = Some(oldest),
                None => return Some(breadcrumb),
            }
        }
        ring.bytes += bytes;
        ring.breadcrumbs.push_back(breadcrumb);
        evicted
    }

    /// Returns the breadcrumbs in Sentry's form, the oldest first.
    pub(crate) fn to_sentry(&self) -> Vec<Breadcrumb> {
        let ring = self.lock();
        let breadcrumbs = ring.iter().flat_map(|ring| &ring.breadcrumbs);
        breadcrumbs.map(StoredBreadcrumb::to_sentry).collect()
    }

    /// Locks the ring. Returns `None` in a forked child if a thread of the parent had locked the
    /// ring at the fork.
    fn lock(&self) -> Option<MutexGuard<'_, Ring>> {
        forks::lock(&self.breadcrumbs, self.memory.generation)
    }
}

impl Drop for BreadcrumbRing {
    fn drop(&mut self) {
        let ring = self.breadcrumbs.get_mut();
        let bytes = ring.bytes;
        self.memory.give_back(bytes);
    }
}

impl Ring {
    fn evict_oldest(&mut self, memory: &MemoryBudget) -> Option<StoredBreadcrumb> {
        let breadcrumb = self.breadcrumbs.pop_front()?;
        self.bytes -= breadcrumb.bytes();
        memory.give_back(breadcrumb.bytes());
        Some(breadcrumb)
    }
}

impl MemoryBudget {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            max,
            generation: forks::generation(),
        })
    }

    /// Takes bytes from the budget. Returns `false`, and takes none, if too few are left.
    fn try_take(&self, bytes: usize) -> bool {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed);
        if used + bytes > self.max {
            self.give_back(bytes);
            return false;
        }
        true
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl StoredBreadcrumb {
    /// Creates a breadcrumb of `callsite` without fields. It reuses the memory of `old`.
    pub(crate) fn with_memory_of(
        old: Option<Self>,
        callsite: &'static Metadata<'static>,
        logged_at: SystemTime,
        target: Option<String>,
    ) -> Self {
        let (mut texts, mut fields) = match old {
            Some(old) => (old.texts, old.fields),
            None => (String::new(), Vec::new()),
        };
        texts.clear();
        fields.clear();
        if texts.capacity() > MAX_REUSED_TEXT_LEN {
            texts = String::new();
        }
        if fields.capacity() > MAX_REUSED_FIELDS {
            fields = Vec::new();
        }
        Self {
            logged_at,
            callsite,
            target,
            texts,
            message: 0..0,
            fields,
            is_log_record: log_record::is_log_record(callsite),
        }
    }

    /// Returns the memory that the breadcrumb occupies, in bytes.
    fn bytes(&self) -> usize {
        let target = self.target.as_ref().map_or(0, String::len);
        let fields = self.fields.capacity() * size_of::<(&str, StoredValue)>();
        BREADCRUMB_LEN + self.texts.capacity() + fields + target
    }

    /// Returns the breadcrumb in Sentry's form.
    fn to_sentry(&self) -> Breadcrumb {
        let target = self.target.as_deref();
        let message = &self.texts[self.message.clone()];
        let json = |value: &StoredValue| match value {
            StoredValue::Bool(value) => Value::from(*value),
            StoredValue::I64(value) => Value::from(*value),
            StoredValue::U64(value) => Value::from(*value),
            // JSON cannot represent NaN and infinities.
            StoredValue::F64(value) if !value.is_finite() => Value::from(value.to_string()),
            StoredValue::F64(value) => Value::from(*value),
            StoredValue::Text(range) => Value::from(&self.texts[range.clone()]),
        };
        let fields = self.fields.iter();
        Breadcrumb {
            timestamp: self.logged_at,
            ty: "log".to_owned(),
            category: Some(target.unwrap_or(self.callsite.target()).to_owned()),
            level: sentry_level(self.callsite),
            message: (!message.is_empty()).then(|| message.to_owned()),
            data: fields
                .map(|(name, value)| ((*name).to_owned(), json(value)))
                .collect(),
        }
    }

    fn add(&mut self, field: &Field, value: StoredValue) {
        let name = field.name();
        let is_origin_field = self.is_log_record && log_record::is_log_field(name);
        if self.fields.len() < MAX_FIELDS && !is_origin_field {
            self.fields.push((name, value));
        }
    }

    /// Adds a field, or sets the message, with the text that `write` appends.
    fn add_text(&mut self, field: &Field, write: impl FnOnce(&mut String)) {
        let start = self.texts.len();
        let is_message = field.name() == "message";
        if start > MAX_TEXTS_LEN && !is_message {
            return;
        }
        write(&mut self.texts);
        let range = start..self.texts.len();
        if is_message {
            self.message = range;
        } else {
            self.add(field, StoredValue::Text(range));
        }
    }
}

impl Visit for StoredBreadcrumb {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, StoredValue::F64(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, StoredValue::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, StoredValue::U64(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, StoredValue::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, |texts| {
            texts.push_str(panic_safe::truncate_at(value, MAX_TEXT_LEN));
        });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add_text(field, |texts| {
            for (index, error) in causes(value).enumerate() {
                let separator = if index == 0 { "" } else { ": " };
                texts.push_str(separator);
                panic_safe::format_into(texts, format_args!("{error}"), MAX_TEXT_LEN);
            }
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field, |texts| {
            panic_safe::format_into(texts, format_args!("{value:?}"), MAX_TEXT_LEN);
        });
    }
}
