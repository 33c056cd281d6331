//! What was logged before: the breadcrumbs of one unit of work.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use sentry_core::protocol::{Breadcrumb, Map, Value};
use spanwise_core::{guarded, log_record};
use tracing_core::{Field, Metadata, field::Visit};

use crate::{event::level_of, fields::causes};

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
}

/// One event, as it was logged. Made into what Sentry wants only if an error is sent.
#[derive(Debug)]
pub(crate) struct Crumb {
    at: SystemTime,
    callsite: &'static Metadata<'static>,
    /// Of a record of the `log` crate, whose callsite does not say.
    target: Option<String>,
    message: String,
    /// The members of a JSON object, `"a":1,"b":"x"`.
    data: Vec<u8>,
}

/// How many of a unit are kept, and sent.
pub(crate) const MOST: usize = 100;

const LONGEST_MESSAGE: usize = 1024;
const LONGEST_VALUE: usize = 1024;
const MOST_DATA: usize = 4 * 1024;

/// What a crumb takes besides its texts.
const OVERHEAD: usize = size_of::<Crumb>();

/// A text that is longer is not kept to be written over.
const KEPT_CAPACITY: usize = 1024;

impl Trail {
    pub(crate) fn new(room: &Arc<Room>) -> Self {
        Self {
            crumbs: Mutex::default(),
            room: Arc::clone(room),
        }
    }

    /// Adds a crumb; the oldest leave if there are too many, or if memory for all units is short. Returns what can be written over.
    pub(crate) fn push(&self, crumb: Crumb) -> Option<Crumb> {
        let mut ring = self.lock();
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
        self.lock().crumbs.iter().map(Crumb::breadcrumb).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.crumbs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
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
        let (mut message, mut data) = match old {
            Some(old) => (old.message, old.data),
            None => (String::new(), Vec::new()),
        };
        message.clear();
        data.clear();
        if message.capacity() > KEPT_CAPACITY {
            message = String::new();
        }
        if data.capacity() > KEPT_CAPACITY {
            data = Vec::new();
        }
        Self {
            at,
            callsite,
            target,
            message,
            data,
        }
    }

    fn bytes(&self) -> usize {
        let target = self.target.as_ref().map_or(0, String::len);
        OVERHEAD + self.message.capacity() + self.data.capacity() + target
    }

    fn breadcrumb(&self) -> Breadcrumb {
        let target = self.target.as_deref();
        Breadcrumb {
            timestamp: self.at,
            ty: "log".to_owned(),
            category: Some(target.unwrap_or(self.callsite.target()).to_owned()),
            level: level_of(*self.callsite.level()),
            message: (!self.message.is_empty()).then(|| self.message.clone()),
            data: self.members(),
        }
    }

    fn members(&self) -> Map<String, Value> {
        let object = [b"{", &self.data[..], b"}"].concat();
        serde_json::from_slice(&object).unwrap_or_default()
    }

    fn member(&mut self, field: &Field, value: &impl serde_json_value::Written) {
        let name = field.name();
        if self.data.len() > MOST_DATA || log_record::is_log_field(name) {
            return;
        }
        let comma = if self.data.is_empty() { "" } else { "," };
        self.data.extend_from_slice(comma.as_bytes());
        serde_json_value::text(&mut self.data, name);
        self.data.push(b':');
        value.write(&mut self.data);
    }

    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == "message" {
            self.message.clear();
            guarded::append(&mut self.message, value, LONGEST_MESSAGE);
            return;
        }
        match value.as_str() {
            Some(text) => self.member(field, &guarded::cut_at(text, LONGEST_VALUE)),
            None => {
                let mut text = String::new();
                guarded::append(&mut text, value, LONGEST_VALUE);
                self.member(field, &&*text);
            }
        }
    }
}

impl Visit for Crumb {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.clear();
            self.message
                .push_str(guarded::cut_at(value, LONGEST_MESSAGE));
        } else {
            self.member(field, &guarded::cut_at(value, LONGEST_VALUE));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = String::new();
        for error in causes(value) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            guarded::append(&mut text, format_args!("{error}"), LONGEST_VALUE);
        }
        self.member(field, &guarded::cut_at(&text, LONGEST_VALUE));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}

/// Values into JSON.
mod serde_json_value {
    use std::io::Write as _;

    pub(super) trait Written {
        fn write(&self, out: &mut Vec<u8>);
    }

    macro_rules! written {
        ($($ty:ty),*) => {
            $(impl Written for $ty {
                fn write(&self, out: &mut Vec<u8>) {
                    // A vector takes everything.
                    let _ = write!(out, "{self}");
                }
            })*
        };
    }

    written!(i64, u64, bool);

    impl Written for f64 {
        fn write(&self, out: &mut Vec<u8>) {
            if self.is_finite() {
                let _ = write!(out, "{self}");
            } else {
                let _ = write!(out, "\"{self}\"");
            }
        }
    }

    impl Written for &str {
        fn write(&self, out: &mut Vec<u8>) {
            text(out, self);
        }
    }

    pub(super) fn text(out: &mut Vec<u8>, text: &str) {
        // A vector takes everything, and a text is JSON.
        let _ = serde_json::to_writer(out, text);
    }
}
