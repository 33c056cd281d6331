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

use crate::{event::level_of, fields::causes, per_process};

/// Breadcrumbs in a ring: the newest of them. Texts of those that leave are written over by those that come.
#[derive(Debug)]
pub(crate) struct Trail {
    crumbs: Mutex<Ring>,
    room: Arc<Room>,
}

#[derive(Debug, Default)]
struct Ring {
    crumbs: VecDeque<Crumb>,
    bytes: usize,
}

/// Memory for the breadcrumbs of all units, in bytes.
#[derive(Debug)]
pub(crate) struct Room {
    taken: AtomicUsize,
    most: usize,
    /// That of the process that it came to be in: see [`forks`].
    generation: u32,
}

/// One event, as it was logged: made into what Sentry wants only if an error is sent.
#[derive(Debug)]
pub(crate) struct Crumb {
    at: SystemTime,
    callsite: &'static Metadata<'static>,
    /// Of a record of the `log` crate, whose callsite does not say.
    target: Option<String>,
    /// The texts of the fields, one after the other.
    texts: String,
    message: Range<usize>,
    fields: Vec<(&'static str, Slot)>,
    /// Of a record of the `log` crate some fields say where it comes from.
    is_log_record: bool,
}

/// The value of a field.
#[derive(Debug, Clone)]
enum Slot {
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(Range<usize>),
}

/// How many of a unit are kept, and sent.
pub(crate) const MOST: usize = 100;

const LONGEST_TEXT: usize = 1024;
const MOST_TEXTS: usize = 4 * 1024;
const MOST_FIELDS: usize = 64;

/// What a crumb takes besides its texts.
const OVERHEAD: usize = size_of::<Crumb>();

/// What takes more is not kept to be written over.
const KEPT_TEXTS: usize = 1024;
const KEPT_FIELDS: usize = 16;

impl Trail {
    pub(crate) fn new(room: &Arc<Room>) -> Self {
        Self {
            crumbs: Mutex::default(),
            room: Arc::clone(room),
        }
    }

    /// Adds a crumb; the oldest leave if there are too many, or if memory for all units is short. Returns what can be written over.
    pub(crate) fn push(&self, crumb: Crumb) -> Option<Crumb> {
        let Some(mut ring) = self.lock() else {
            return Some(crumb);
        };
        let mut left = None;
        if ring.crumbs.len() >= MOST {
            left = ring.pop(&self.room);
        }
        let bytes = crumb.bytes();
        while !self.room.take(bytes) {
            match ring.pop(&self.room) {
                Some(crumb) => left = Some(crumb),
                None => return Some(crumb),
            }
        }
        ring.bytes += bytes;
        ring.crumbs.push_back(crumb);
        left
    }

    /// As Sentry wants them, the oldest first.
    pub(crate) fn breadcrumbs(&self) -> Vec<Breadcrumb> {
        let ring = self.lock();
        let crumbs = ring.iter().flat_map(|ring| &ring.crumbs);
        crumbs.map(Crumb::breadcrumb).collect()
    }

    /// `None` in a child process whose parent had it locked at the fork: then it stays locked.
    fn lock(&self) -> Option<MutexGuard<'_, Ring>> {
        per_process::lock(&self.crumbs, self.room.generation)
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        let ring = self.crumbs.get_mut();
        let bytes = ring.bytes;
        self.room.give_back(bytes);
    }
}

impl Ring {
    fn pop(&mut self, room: &Room) -> Option<Crumb> {
        let crumb = self.crumbs.pop_front()?;
        self.bytes -= crumb.bytes();
        room.give_back(crumb.bytes());
        Some(crumb)
    }
}

impl Room {
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

impl Crumb {
    /// One of `callsite`, written over `old`.
    pub(crate) fn over(
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
        if texts.capacity() > KEPT_TEXTS {
            texts = String::new();
        }
        if fields.capacity() > KEPT_FIELDS {
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
        let fields = self.fields.capacity() * size_of::<(&str, Slot)>();
        OVERHEAD + self.texts.capacity() + fields + target
    }

    fn breadcrumb(&self) -> Breadcrumb {
        let target = self.target.as_deref();
        let message = &self.texts[self.message.clone()];
        let value = |slot: &Slot| match slot {
            Slot::Bool(value) => Value::from(*value),
            Slot::I64(value) => Value::from(*value),
            Slot::U64(value) => Value::from(*value),
            // JSON has no infinities.
            Slot::F64(value) if !value.is_finite() => Value::from(value.to_string()),
            Slot::F64(value) => Value::from(*value),
            Slot::Text(range) => Value::from(&self.texts[range.clone()]),
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

    fn add(&mut self, field: &Field, slot: Slot) {
        let name = field.name();
        let is_origin = self.is_log_record && log_record::is_log_field(name);
        if self.fields.len() < MOST_FIELDS && !is_origin {
            self.fields.push((name, slot));
        }
    }

    /// Adds what `write` appends to the texts.
    fn add_text(&mut self, field: &Field, write: impl FnOnce(&mut String)) {
        let start = self.texts.len();
        let is_message = field.name() == "message";
        if start > MOST_TEXTS && !is_message {
            return;
        }
        write(&mut self.texts);
        let range = start..self.texts.len();
        if is_message {
            self.message = range;
        } else {
            self.add(field, Slot::Text(range));
        }
    }
}

impl Visit for Crumb {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Slot::F64(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Slot::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Slot::U64(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Slot::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, |texts| {
            texts.push_str(panic_safe::truncate_at(value, LONGEST_TEXT));
        });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add_text(field, |texts| {
            for (index, error) in causes(value).enumerate() {
                let colon = if index == 0 { "" } else { ": " };
                texts.push_str(colon);
                panic_safe::format_into(texts, format_args!("{error}"), LONGEST_TEXT);
            }
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field, |texts| {
            panic_safe::format_into(texts, format_args!("{value:?}"), LONGEST_TEXT);
        });
    }
}
