//! Turns records of the `log` crate into events, with their key-values as fields.
//!
//! An event has the target, module, file and line of the record, as if a `tracing` macro had
//! emitted it. `log::info!(user_id = 42; "signed in")` has the numeric field `user_id`.
//!
//! * Values other than numbers, booleans and text are formatted with `Display`. An error
//!   (`err:err`) is also formatted this way and loses its causes, because `log` passes causes only
//!   with its feature `kv_std`, which needs one more crate. Instead, use
//!   `tracing::error!(error = &err as &dyn Error)`, which keeps the causes.
//! * A key without a value (`None`) is dropped. The last of two equal keys wins.
//! * The keys `message`, `log.target`, `log.module_path`, `log.file` and `log.line` are reserved.
//!   They become `kv.message` and so on.
//!
//! Each [`Origin`], which includes the target and the keys, has a callsite. If targets or keys are
//! generated, there may be more than
//! [`MAX_CALLSITES`](crate::internal::runtime_callsite::MAX_CALLSITES) origins. Records of further
//! origins become events as in `tracing-log`, with the key-values at the end of the message.
//!
//! [`install`] also keeps [`log::max_level`] at the most verbose level of events (not spans) that a
//! subscriber enables. So a disabled record costs one comparison. If another subscriber is created
//! later, the maximum is TRACE until the levels of a `LevelLayer` change.

use std::{
    cell::Cell,
    collections::HashMap,
    error::Error,
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use log::{
    Log, Record,
    kv::{self, Key, VisitSource, VisitValue},
};
use tracing_core::{
    Kind, Level, LevelFilter, Metadata,
    callsite::{self, Callsite},
    dispatcher,
    field::{DisplayValue, FieldSet, Value, display},
    identify_callsite,
    subscriber::Interest,
};
use tracing_log::{AsLog as _, AsTrace as _};

use crate::{
    Redact,
    internal::{
        interest_rebuild::rebuild_interests,
        panic_safe,
        runtime_callsite::{Origin, RuntimeCallsite, UNNAMED_EVENT},
    },
};

/// Makes this bridge the logger of the `log` crate. Further calls only return the same result.
///
/// # Errors
/// [`OtherLogger`] if another logger is installed. That logger stays in place.
pub fn install() -> Result<(), OtherLogger> {
    static OUTCOME: OnceLock<Result<(), OtherLogger>> = OnceLock::new();
    let outcome = OUTCOME.get_or_init(|| {
        log::set_logger(&Bridge).map_err(|_| OtherLogger(()))?;
        callsite::register(&PROBE);
        IS_INSTALLED.store(true, Ordering::SeqCst);
        rebuild_interests();
        Ok(())
    });
    outcome.clone()
}

/// The error that another logger of the `log` crate is installed and receives the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherLogger(());

impl fmt::Display for OtherLogger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "another logger of the `log` crate is installed; remove it to receive its records here",
        )
    }
}

impl Error for OtherLogger {}

/// The logger of the `log` crate.
struct Bridge;

impl Log for Bridge {
    /// Called by `log_enabled!`, without a record.
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level().as_trace() <= LevelFilter::current()
            && dispatcher::get_default(|dispatch| dispatch.enabled(&metadata.as_trace()))
    }

    fn log(&self, record: &Record<'_>) {
        if record.level().as_trace() > LevelFilter::current() {
            return;
        }
        let mut fields = RecordFields::default();
        // The key-value source is user code. If it fails, the pairs before the failure are used.
        let _ = panic_safe::catch_panic(|| record.key_values().visit(&mut fields));
        fields.emit(record);
    }

    fn flush(&self) {}
}

/// The number of key-values of a record that need no allocation.
const INLINE_FIELDS: usize = 8;

/// The key-values of a record.
#[derive(Default)]
struct RecordFields<'kvs> {
    inline: [Option<(Key<'kvs>, RecordValue<'kvs>)>; INLINE_FIELDS],
    inline_len: usize,
    overflow: Vec<(Key<'kvs>, RecordValue<'kvs>)>,
}

impl<'kvs> RecordFields<'kvs> {
    /// Returns the key-values, with other names for reserved keys.
    fn iter(&self) -> impl Iterator<Item = (&str, &RecordValue<'kvs>)> {
        let inline = self.inline[..self.inline_len].iter().flatten();
        inline
            .chain(&self.overflow)
            .map(|(key, value)| (unreserved_key(key.as_str()), value))
    }

    fn emit(&self, record: &Record<'_>) {
        if self.overflow.is_empty() {
            let mut names = [""; INLINE_FIELDS + 1];
            let mut values = [None; INLINE_FIELDS + 1];
            self.emit_with_buffers(record, &mut names, &mut values);
        } else {
            let len = self.inline_len + self.overflow.len() + 1;
            self.emit_with_buffers(record, &mut vec![""; len], &mut vec![None; len]);
        }
    }

    /// `names` and `values` have room for the message and all key-values.
    fn emit_with_buffers<'f>(
        &'f self,
        record: &'f Record<'_>,
        names: &mut [&'f str],
        values: &mut [Option<&'f dyn Value>],
    ) {
        let mut len = 1;
        names[0] = "message";
        values[0] = Some(record.args() as &dyn Value);
        // For a few names, a linear search is faster than a map.
        let mut index_by_key = (!self.overflow.is_empty()).then(HashMap::new);
        for (key, value) in self.iter() {
            let index = match &mut index_by_key {
                Some(index_by_key) => *index_by_key.entry(key).or_insert(len),
                None => {
                    let position = names[1..len].iter().position(|name| *name == key);
                    position.map_or(len, |position| position + 1)
                }
            };
            names[index] = key;
            values[index] = value.as_value();
            len = len.max(index + 1);
        }
        let origin = Origin {
            name: UNNAMED_EVENT,
            level: record.level().as_trace(),
            target: record.target(),
            module_path: record.module_path(),
            file: record.file(),
            line: record.line(),
            fields: &names[..len],
        };
        match RuntimeCallsite::get(&origin) {
            Some(callsite) if callsite.is_enabled() => callsite.emit(&values[..len]),
            Some(_) => {}
            None => self.emit_as_message(record),
        }
    }

    #[cold]
    fn emit_as_message(&self, record: &Record<'_>) {
        let message = MessageWithFields(record.args(), self);
        let mut builder = record.to_builder();
        // `format_trace` never returns an error.
        let _ = tracing_log::format_trace(&builder.args(format_args!("{message}")).build());
    }
}

impl<'kvs> VisitSource<'kvs> for RecordFields<'kvs> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let mut record_value = RecordValue::Absent;
        if value.visit(ValueReader(&mut record_value)).is_err()
            || matches!(record_value, RecordValue::Unsupported)
        {
            record_value = RecordValue::Text(display(value));
        }
        match self.inline.get_mut(self.inline_len) {
            Some(slot) => {
                *slot = Some((key, record_value));
                self.inline_len += 1;
            }
            None => self.overflow.push((key, record_value)),
        }
        Ok(())
    }
}

/// Returns the key, or another name for it if the key is reserved.
fn unreserved_key(key: &str) -> &str {
    const RESERVED: [(&str, &str); 5] = [
        ("message", "kv.message"),
        ("log.target", "kv.log.target"),
        ("log.module_path", "kv.log.module_path"),
        ("log.file", "kv.log.file"),
        ("log.line", "kv.log.line"),
    ];
    let reserved = RESERVED.iter().find(|(name, _)| *name == key);
    reserved.map_or(key, |(_, replacement)| replacement)
}

/// The value of a key, in its own type if `tracing` has that type.
#[derive(Default)]
enum RecordValue<'v> {
    /// `None`, so the field is dropped.
    #[default]
    Absent,
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    Str(&'v str),
    /// A value of another type, before it becomes [`Text`](Self::Text).
    Unsupported,
    /// A value of another type, formatted with `Display`.
    Text(DisplayValue<kv::Value<'v>>),
}

impl RecordValue<'_> {
    fn as_value(&self) -> Option<&dyn Value> {
        match self {
            Self::Absent | Self::Unsupported => None,
            Self::Bool(value) => Some(value),
            Self::I64(value) => Some(value),
            Self::U64(value) => Some(value),
            Self::I128(value) => Some(value),
            Self::U128(value) => Some(value),
            Self::F64(value) => Some(value),
            Self::Str(value) => Some(value),
            Self::Text(value) => Some(value),
        }
    }
}

/// Stores the visited value in a [`RecordValue`].
struct ValueReader<'k, 'v>(&'k mut RecordValue<'v>);

macro_rules! visit_as {
    ($($method:ident($type:ty) $variant:ident),+) => {$(
        fn $method(&mut self, value: $type) -> Result<(), kv::Error> {
            *self.0 = RecordValue::$variant(value);
            Ok(())
        }
    )+};
}

impl<'v> VisitValue<'v> for ValueReader<'_, 'v> {
    fn visit_any(&mut self, _: kv::Value<'_>) -> Result<(), kv::Error> {
        *self.0 = RecordValue::Unsupported;
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        *self.0 = RecordValue::Absent;
        Ok(())
    }

    visit_as! {
        visit_bool(bool) Bool, visit_i64(i64) I64, visit_u64(u64) U64, visit_i128(i128) I128,
        visit_u128(u128) U128, visit_f64(f64) F64, visit_borrowed_str(&'v str) Str
    }
}

/// Displays the message with the key-values: `signed in user_id=42 via="the app"`.
struct MessageWithFields<'a, 'kvs>(&'a fmt::Arguments<'a>, &'a RecordFields<'kvs>);

impl fmt::Display for MessageWithFields<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        for (key, value) in self.1.iter() {
            match value {
                RecordValue::Absent | RecordValue::Unsupported => {}
                RecordValue::Bool(value) => write!(f, " {key}={value}")?,
                RecordValue::I64(value) => write!(f, " {key}={value}")?,
                RecordValue::U64(value) => write!(f, " {key}={value}")?,
                RecordValue::I128(value) => write!(f, " {key}={value}")?,
                RecordValue::U128(value) => write!(f, " {key}={value}")?,
                RecordValue::F64(value) => write!(f, " {key}={value}")?,
                RecordValue::Str(value) => write!(f, " {key}={value:?}")?,
                RecordValue::Text(value) => {
                    let text = panic_safe::format_text(
                        format_args!("{value}"),
                        <dyn Redact>::MAX_COLLECT_LEN,
                    );
                    write!(f, " {key}={text:?}")?;
                }
            }
        }
        Ok(())
    }
}

/// Calls `rebuild`, which makes `tracing` ask all subscribers for their levels, and updates
/// [`log::max_level`].
///
/// `tracing` also asks when a subscriber is created, but does not signal the end of such a rebuild.
/// So a rebuild outside of this function sets [`log::max_level`] to TRACE until the next call of
/// this function.
pub(crate) fn rebuild_and_set_log_level(rebuild: impl FnOnce()) {
    let foreign_rebuilds = FOREIGN_REBUILDS.load(Ordering::SeqCst);
    MAX_EVENT_LEVEL.set(LevelFilter::OFF);
    IS_PROBE_ENABLED.set(false);
    let own_rebuild = EndOwnRebuild(IN_OWN_REBUILD.replace(true));
    rebuild();
    drop(own_rebuild);
    if !IS_INSTALLED.load(Ordering::SeqCst) {
        return;
    }
    // A subscriber without a `LevelLayer` has only its hint, not a separate level for events.
    let max_event_level = if IS_PROBE_ENABLED.get() {
        LevelFilter::current()
    } else {
        MAX_EVENT_LEVEL.get()
    };
    log::set_max_level(max_event_level.as_log());
    // If another rebuild has begun since then, it may be for more verbose levels.
    if FOREIGN_REBUILDS.load(Ordering::SeqCst) != foreign_rebuilds {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

/// Whether the bridge is the logger of the `log` crate.
static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

/// The number of rebuilds outside of [`rebuild_and_set_log_level`].
static FOREIGN_REBUILDS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread is in [`rebuild_and_set_log_level`].
    static IN_OWN_REBUILD: Cell<bool> = const { Cell::new(false) };
    /// The most verbose event level of all `LevelLayer`s, as far as this rebuild has asked them.
    static MAX_EVENT_LEVEL: Cell<LevelFilter> = const { Cell::new(LevelFilter::OFF) };
    /// Whether a subscriber enables [`PROBE`], which means that it has no `LevelLayer`.
    static IS_PROBE_ENABLED: Cell<bool> = const { Cell::new(false) };
}

/// Records the most verbose event level of a `LevelLayer`, for [`rebuild_and_set_log_level`].
/// Called when `tracing` reads the layer's level hint, because the hint also includes spans.
pub(crate) fn note_event_level(most_verbose: LevelFilter) {
    MAX_EVENT_LEVEL.set(MAX_EVENT_LEVEL.get().max(most_verbose));
}

/// Returns whether this is the callsite of [`PROBE`]. A `LevelLayer` disables the probe, so only a
/// subscriber without one enables it.
pub(crate) fn is_probe(callsite: &Metadata<'_>) -> bool {
    callsite.callsite() == identify_callsite!(&PROBE)
}

/// A guard that restores the previous value of [`IN_OWN_REBUILD`], also if a layer panics.
struct EndOwnRebuild(bool);

impl Drop for EndOwnRebuild {
    fn drop(&mut self) {
        IN_OWN_REBUILD.set(self.0);
    }
}

/// A callsite without events. `tracing` calls its `set_interest` in each rebuild.
struct LevelProbe;

static PROBE: LevelProbe = LevelProbe;

static PROBE_METADATA: Metadata<'static> = Metadata::new(
    "probe",
    "spanwise::log_bridge",
    // Nearly every subscriber enables this level.
    Level::ERROR,
    None,
    None,
    None,
    FieldSet::new(&[], identify_callsite!(&PROBE)),
    Kind::EVENT,
);

impl Callsite for LevelProbe {
    fn set_interest(&self, interest: Interest) {
        if IN_OWN_REBUILD.get() {
            IS_PROBE_ENABLED.set(!interest.is_never());
        } else {
            FOREIGN_REBUILDS.fetch_add(1, Ordering::SeqCst);
            log::set_max_level(log::LevelFilter::Trace);
        }
    }

    fn metadata(&self) -> &Metadata<'_> {
        &PROBE_METADATA
    }
}
