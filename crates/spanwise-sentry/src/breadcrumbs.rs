//! What was logged before: the breadcrumbs of one unit of work.

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

use crate::{event_builder::level_of, fields::causes};

/// Breadcrumbs in a ring: the newest of them. Texts of those that leave are written over by those that come.
#[derive(Debug)]
pub(crate) struct BreadcrumbRing {
    breadcrumbs: Mutex<Ring>,
    memory: Arc<MemoryBudget>,
}

#[derive(Debug, Default)]
struct Ring {
    breadcrumbs: VecDeque<StoredBreadcrumb>,
    bytes: usize,
}

/// Memory for the breadcrumbs of all units, in bytes.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    taken: AtomicUsize,
    most: usize,
    /// That of the process that it came to be in: see [`forks`].
    generation: u32,
}

/// One event, as it was logged: made into what Sentry wants only if an error is sent.
#[derive(Debug)]
pub(crate) struct StoredBreadcrumb {
    at: SystemTime,
    callsite: &'static Metadata<'static>,
    /// Of a record of the `log` crate, whose callsite does not say.
    target: Option<String>,
    /// The texts of the fields, one after the other.
    texts: String,
    message: Range<usize>,
    fields: Vec<(&'static str, StoredValue)>,
    /// Of a record of the `log` crate some fields say where it comes from.
    is_log_record: bool,
}

/// The value of a field.
#[derive(Debug, Clone)]
enum StoredValue {
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(Range<usize>),
}

/// How many of a unit are kept, and sent.
pub(crate) const MAX_BREADCRUMBS: usize = 100;

const MAX_TEXT_LEN: usize = 1024;
const MAX_TEXTS_LEN: usize = 4 * 1024;
const MAX_FIELDS: usize = 64;

/// What a breadcrumb takes besides its texts.
const BREADCRUMB_LEN: usize = size_of::<StoredBreadcrumb>();

/// What takes more is not kept to be written over.
const MAX_REUSED_TEXT_LEN: usize = 1024;
const MAX_REUSED_FIELDS: usize = 16;

impl BreadcrumbRing {
    pub(crate) fn new(memory: &Arc<MemoryBudget>) -> Self {
        Self {
            breadcrumbs: Mutex::default(),
            memory: Arc::clone(memory),
        }
    }

    /// Adds a breadcrumb; the oldest leave if there are too many, or if memory for all units is short. Returns what can be written over.
    pub(crate) fn push(&self, breadcrumb: StoredBreadcrumb) -> Option<StoredBreadcrumb> {
        let Some(mut ring) = self.lock() else {
            return Some(breadcrumb);
        };
        let mut left = None;
        if ring.breadcrumbs.len() >= MAX_BREADCRUMBS {
            left = ring.pop(&self.memory);
        }
        let bytes = breadcrumb.bytes();
        while !self.memory.take(bytes) {
            match ring.pop(&self.memory) {
                Some(breadcrumb) => left = Some(breadcrumb),
                None => return Some(breadcrumb),
            }
        }
        ring.bytes += bytes;
        ring.breadcrumbs.push_back(breadcrumb);
        left
    }

    /// As Sentry wants them, the oldest first.
    pub(crate) fn breadcrumbs(&self) -> Vec<Breadcrumb> {
        let ring = self.lock();
        let breadcrumbs = ring.iter().flat_map(|ring| &ring.breadcrumbs);
        breadcrumbs.map(StoredBreadcrumb::breadcrumb).collect()
    }

    /// `None` in a child process whose parent had it locked at the fork: then it stays locked.
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
    fn pop(&mut self, memory: &MemoryBudget) -> Option<StoredBreadcrumb> {
        let breadcrumb = self.breadcrumbs.pop_front()?;
        self.bytes -= breadcrumb.bytes();
        memory.give_back(breadcrumb.bytes());
        Some(breadcrumb)
    }
}

impl MemoryBudget {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicUsize::new(0),
            most,
            generation: forks::generation(),
        })
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = self.taken.fetch_add(bytes, Ordering::Relaxed);
        if taken + bytes > self.most {
            self.give_back(bytes);
            return false;
        }
        true
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl StoredBreadcrumb {
    /// One of `callsite`, written over `old`.
    pub(crate) fn reusing(
        old: Option<Self>,
        callsite: &'static Metadata<'static>,
        at: SystemTime,
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
            at,
            callsite,
            target,
            texts,
            message: 0..0,
            fields,
            is_log_record: log_record::is_log_record(callsite),
        }
    }

    fn bytes(&self) -> usize {
        let target = self.target.as_ref().map_or(0, String::len);
        let fields = self.fields.capacity() * size_of::<(&str, StoredValue)>();
        BREADCRUMB_LEN + self.texts.capacity() + fields + target
    }

    fn breadcrumb(&self) -> Breadcrumb {
        let target = self.target.as_deref();
        let message = &self.texts[self.message.clone()];
        let value = |slot: &StoredValue| match slot {
            StoredValue::Bool(value) => Value::from(*value),
            StoredValue::I64(value) => Value::from(*value),
            StoredValue::U64(value) => Value::from(*value),
            // JSON has no infinities.
            StoredValue::F64(value) if !value.is_finite() => Value::from(value.to_string()),
            StoredValue::F64(value) => Value::from(*value),
            StoredValue::Text(range) => Value::from(&self.texts[range.clone()]),
        };
        let fields = self.fields.iter();
        Breadcrumb {
            timestamp: self.at,
            ty: "log".to_owned(),
            category: Some(target.unwrap_or(self.callsite.target()).to_owned()),
            level: level_of(*self.callsite.level()),
            message: (!message.is_empty()).then(|| message.to_owned()),
            data: fields
                .map(|(name, slot)| ((*name).to_owned(), value(slot)))
                .collect(),
        }
    }

    fn add(&mut self, field: &Field, slot: StoredValue) {
        let name = field.name();
        let is_origin = self.is_log_record && log_record::is_log_field(name);
        if self.fields.len() < MAX_FIELDS && !is_origin {
            self.fields.push((name, slot));
        }
    }

    /// Adds what `write` appends to the texts.
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
                let colon = if index == 0 { "" } else { ": " };
                texts.push_str(colon);
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
