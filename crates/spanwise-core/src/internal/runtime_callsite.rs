//! Callsites created at run time: for records of the `log` crate, for panics, for copies of events
//! with another level, and for spans and context whose fields depend on settings.
//!
//! The [`Origin`] of an event or a span is its name, its level, its target, its source location and
//! the names of its fields. The first event of an origin creates a callsite. So every layer
//! receives the real origin, decides once per callsite, and costs the same as for a macro of
//! `tracing`.
//!
//! A callsite is never freed, because `tracing` requires static callsites. So there are at most
//! about [`MAX_CALLSITES`] for events, with at most [`MAX_TEXT_LEN`] bytes of text each. A look-up
//! does not lock.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use tracing::Span;
use tracing_core::{
    Event, Kind, Level, LevelFilter, Metadata, callsite, callsite::DefaultCallsite, dispatcher,
    field::FieldSet, identify_callsite, subscriber::Interest,
};

use crate::{internal::forks, self_report::severity};

/// The maximum number of callsites for events. Further origins have no callsite. Each thread that
/// creates a callsite at the same time as another thread may exceed the maximum by one.
pub const MAX_CALLSITES: usize = 4096;

/// The maximum length of all names and paths of an event's origin together, in bytes.
pub const MAX_TEXT_LEN: usize = 2048;

/// The name of an event that has no name of its own.
pub const UNNAMED_EVENT: &str = "event";

/// The origin of an event or a span: its name, its level, its source and the names of its fields.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The name of the event or the span, such as [`UNNAMED_EVENT`].
    pub name: &'a str,
    /// The level.
    pub level: Level,
    /// The target.
    pub target: &'a str,
    /// The path of the module.
    pub module_path: Option<&'a str>,
    /// The source file.
    pub file: Option<&'a str>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// The names of the fields, without duplicates.
    pub fields: &'a [&'a str],
}

/// A callsite for the events, or the spans, of one [`Origin`].
///
/// ```
/// use spanwise_core::internal::runtime_callsite::{Origin, RuntimeCallsite, UNNAMED_EVENT};
/// use tracing::Level;
///
/// let origin = Origin {
///     name: UNNAMED_EVENT,
///     level: Level::WARN,
///     target: "shop::pay",
///     module_path: None,
///     file: Some("src/pay.rs"),
///     line: Some(7),
///     fields: &["message", "order_id"],
/// };
/// let callsite = RuntimeCallsite::get(&origin).ok_or("there are too many callsites")?;
/// assert_eq!(callsite.metadata().line(), Some(7));
/// if callsite.is_enabled() {
///     callsite.emit(&[Some(&"paid"), Some(&42)]);
/// }
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug)]
pub struct RuntimeCallsite {
    metadata: &'static Metadata<'static>,
    /// Registers itself on first use, and caches the interest of the subscribers.
    interest: DefaultCallsite,
    hash: u64,
    next: Slot,
}

type Slot = OnceLock<&'static RuntimeCallsite>;

const BUCKETS: usize = 1024;

/// A hash table of the callsites for events. Each bucket is a linked list.
static TABLE: [Slot; BUCKETS] = [const { OnceLock::new() }; BUCKETS];

/// The number of callsites for events.
static COUNT: AtomicUsize = AtomicUsize::new(0);

impl RuntimeCallsite {
    /// Returns the callsite of `origin`. The first call creates it. If there are already too many
    /// callsites, or if the texts of a new callsite are too long, returns `None` instead.
    #[inline]
    #[must_use]
    pub fn get(origin: &Origin<'_>) -> Option<&'static Self> {
        let hash = origin.hash();
        // The top ten bits are a number below `BUCKETS`.
        let mut slot = &TABLE[(hash >> 54) as usize];
        while let Some(callsite) = slot.get() {
            if callsite.hash == hash && origin.matches(callsite.metadata) {
                return Some(callsite);
            }
            slot = &callsite.next;
        }
        insert(slot, origin, hash)
    }

    /// Creates a callsite for spans.
    ///
    /// The callsite is never freed, and does not count for the limit of [`get`](Self::get). So
    /// create it at start-up, not for each span.
    #[must_use]
    pub fn new_span(origin: &Origin<'_>) -> &'static Self {
        make(Kind::SPAN, origin, origin.hash())
    }

    /// Opens a span without a parent, with one value for each field of the origin. Call
    /// [`is_enabled`](Self::is_enabled) first.
    ///
    /// # Panics
    /// With debug assertions, if there are more or fewer values than fields.
    #[inline]
    #[must_use]
    pub fn open_root(&'static self, values: &[Option<&dyn tracing_core::field::Value>]) -> Span {
        Span::new_root(self.metadata, &self.metadata.fields().value_set_all(values))
    }

    /// Returns the metadata that layers receive.
    #[must_use]
    pub fn metadata(&self) -> &'static Metadata<'static> {
        self.metadata
    }

    /// Returns whether a subscriber wants events, or spans, of this callsite now.
    #[inline]
    #[must_use]
    pub fn is_enabled(&'static self) -> bool {
        if *self.metadata.level() > LevelFilter::current() {
            return false;
        }
        let interest = self.interest.interest();
        !interest.is_never()
            && (interest.is_always()
                || dispatcher::get_default(|dispatch| dispatch.enabled(self.metadata)))
    }

    /// Emits an event with these values, one for each field of the origin.
    ///
    /// # Panics
    /// With debug assertions, if there are more or fewer values than fields. Without debug
    /// assertions, emits no event then.
    #[inline]
    #[track_caller]
    pub fn emit(&'static self, values: &[Option<&dyn tracing_core::field::Value>]) {
        let fields = self.metadata.fields();
        debug_assert_eq!(values.len(), fields.len(), "one value for each field");
        if values.len() == fields.len() {
            Event::dispatch(self.metadata, &fields.value_set_all(values));
        }
    }
}

impl Origin<'_> {
    /// Hashes the level, the line, the target, the file and the names after the first. Hashes all
    /// bytes, because generated targets and keys may differ anywhere.
    #[inline]
    fn hash(&self) -> u64 {
        let line = u64::from(self.line.unwrap_or_default()) << 8;
        let mut hash = mix(SEED, line | severity(self.level) as u64);
        hash = mix_text(hash, self.target);
        hash = mix_text(hash, self.file.unwrap_or_default());
        // For every record of `log`, the first field is the message.
        let names = self.fields.iter().skip(1);
        names.fold(hash, |hash, name| mix_text(hash, name))
    }

    #[inline]
    fn matches(&self, metadata: &Metadata<'_>) -> bool {
        let names = metadata.fields();
        *metadata.level() == self.level
            && metadata.line() == self.line
            && metadata.name() == self.name
            && metadata.target() == self.target
            && metadata.file() == self.file
            && metadata.module_path() == self.module_path
            && names.len() == self.fields.len()
            && names
                .iter()
                .map(|field| field.name())
                .eq(self.fields.iter().copied())
    }

    fn text_len(&self) -> usize {
        let optional = [self.module_path, self.file];
        let optional = optional.into_iter().flatten();
        let texts = optional.chain(self.fields.iter().copied());
        self.name.len() + self.target.len() + texts.map(str::len).sum::<usize>()
    }
}

/// The initial hash, and the multiplier of [`mix`].
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// Multiplies and combines both halves of the product, as wyhash does.
#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word) * u128::from(SEED);
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn mix_text(hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut chunks = bytes.chunks_exact(8);
    let mut hash = mix(hash, bytes.len() as u64);
    for chunk in &mut chunks {
        let word = chunk.first_chunk().copied().unwrap_or_default();
        hash = mix(hash, u64::from_le_bytes(word));
    }
    let remainder = chunks.remainder().iter();
    let last_word = remainder.fold(0, |word, byte| word << 8 | u64::from(*byte));
    mix(hash, last_word)
}

#[cold]
fn insert(
    mut slot: &'static Slot,
    origin: &Origin<'_>,
    hash: u64,
) -> Option<&'static RuntimeCallsite> {
    let is_full = COUNT.load(Ordering::Relaxed) >= MAX_CALLSITES;
    if is_full || origin.text_len() > MAX_TEXT_LEN {
        return None;
    }
    COUNT.fetch_add(1, Ordering::Relaxed);
    let new = make(Kind::EVENT, origin, hash);
    // If a fork happened while another thread filled a slot, the child would wait for it forever.
    let _no_fork = forks::defer();
    loop {
        // Another thread may have filled the slot, with this origin or with another one.
        let stored = *slot.get_or_init(|| new);
        if stored.hash == hash && origin.matches(stored.metadata) {
            return Some(stored);
        }
        slot = &stored.next;
    }
}

fn make(kind: Kind, origin: &Origin<'_>, hash: u64) -> &'static RuntimeCallsite {
    fn leak(text: &str) -> &'static str {
        text.to_owned().leak()
    }
    let fields: Vec<&'static str> = origin.fields.iter().map(|name| leak(name)).collect();
    let identity: &'static Identity = Box::leak(Box::default());
    let metadata = identity.metadata.get_or_init(|| {
        Metadata::new(
            leak(origin.name),
            leak(origin.target),
            origin.level,
            origin.file.map(leak),
            origin.line,
            origin.module_path.map(leak),
            FieldSet::new(fields.leak(), identify_callsite!(identity)),
            kind,
        )
    });
    Box::leak(Box::new(RuntimeCallsite {
        metadata,
        interest: DefaultCallsite::new(metadata),
        hash,
        next: OnceLock::new(),
    }))
}

/// The callsite whose address identifies the metadata and its fields. It is not registered with
/// `tracing`. Only the [`DefaultCallsite`] is, because `tracing` keeps all other callsites in a
/// list under a mutex.
#[derive(Default)]
struct Identity {
    metadata: OnceLock<Metadata<'static>>,
}

impl callsite::Callsite for Identity {
    /// The [`DefaultCallsite`] caches the interest.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.metadata
            .get()
            .unwrap_or_else(|| unreachable!("initialized before it is used"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_origins_have_short_chains() {
        const TARGET: &str = "a_service::a_module";
        let numbered = |number: usize| format!("tenant-{number:06}::requests");
        let cases: [(&str, &dyn Fn(usize) -> u64); 4] = [
            ("target", &|n| {
                hash(&numbered(n), "src/lib.rs", &["message"])
            }),
            ("file", &|n| hash(TARGET, &numbered(n), &["message"])),
            ("key", &|n| {
                hash(TARGET, "src/lib.rs", &["message", &numbered(n), "last"])
            }),
            ("short", &|n| hash(&format!("{n}-abc"), "", &["message"])),
        ];
        for (varied_part, hash_of) in cases {
            let mut chains = [0; BUCKETS];
            for n in 0..MAX_CALLSITES {
                chains[(hash_of(n) >> 54) as usize] += 1;
            }
            let longest = chains.iter().max();
            assert!(longest < Some(&24), "{varied_part}: {longest:?}");
        }
    }

    fn hash(target: &str, file: &str, fields: &[&str]) -> u64 {
        let origin = Origin {
            name: UNNAMED_EVENT,
            level: Level::INFO,
            target,
            module_path: None,
            file: Some(file),
            line: Some(7),
            fields,
        };
        origin.hash()
    }
}
