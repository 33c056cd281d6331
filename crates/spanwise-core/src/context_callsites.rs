//! Callsites that declare context keys, for spans that do not declare them.
//!
//! `tracing` accepts a value only for a field that a callsite declares. To record a context value
//! that a span does not declare, this module creates a callsite for it. While the value is
//! recorded, layers receive that callsite from [`recorded_callsite`].
//!
//! The module also knows the callsites whose context values are *pinned*: only another pinned value
//! replaces such a value.

use std::{
    cell::Cell,
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing_core::{Field, Level, Metadata, field::Visit, span::Record};

use crate::{
    internal::{
        forks,
        runtime_callsite::{Origin, RuntimeCallsite},
        sync::Mutex,
    },
    span_context::CONTEXT_KEYS,
};

const TARGET: &str = "spanwise::context";

thread_local! {
    /// The `callsite` argument of the call of [`record_with`] that runs on this thread.
    static RECORDING: Cell<Option<&'static Metadata<'static>>> = const { Cell::new(None) };
}

/// Returns whether a span of this callsite begins its own unit of work, even inside another unit.
pub(crate) fn begins_unit(callsite: &Metadata<'_>) -> bool {
    callsite.fields().field("spanwise.unit").is_some()
}

/// Returns whether the context values of this callsite are pinned: other pinned values replace
/// them, but fields of spans and events do not. True for the callsites of this module and for the
/// spans of `spanwise-http`.
#[must_use]
pub fn pins_context(callsite: &Metadata<'_>) -> bool {
    matches!(
        callsite.target(),
        TARGET | "spanwise_http::server" | "spanwise_http::client"
    )
}

/// Returns the callsite that declares the fields of `values`: `span_callsite`, or a callsite of
/// this module.
///
/// [`context::set`](crate::context::set) sets keys that the span need not declare, so it records
/// them with a callsite of this module. Trace and span ids that become known after the span was
/// opened are recorded in the same way. A layer that finds fields by their index must use this
/// callsite in `Layer::on_record`.
#[inline]
#[must_use]
pub fn recorded_callsite(
    values: &Record<'_>,
    span_callsite: &'static Metadata<'static>,
) -> &'static Metadata<'static> {
    match RECORDING.try_with(Cell::get) {
        Ok(Some(callsite)) if belong_to(values, callsite) => callsite,
        _ => span_callsite,
    }
}

/// Returns whether `values` belong to `callsite`. [`RECORDING`] alone does not show this, because a
/// layer that handles the record may itself record into other spans.
#[cold]
fn belong_to(values: &Record<'_>, callsite: &'static Metadata<'static>) -> bool {
    struct FindCallsite {
        callsite: &'static Metadata<'static>,
        found: bool,
    }
    impl Visit for FindCallsite {
        fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
            self.found |= field.callsite() == self.callsite.callsite();
        }
    }
    let mut find = FindCallsite {
        callsite,
        found: false,
    };
    values.record(&mut find);
    find.found
}

/// Returns whether a key besides [`CONTEXT_KEYS`] may be pinned: `context::set` has set one, or
/// `spanwise-http` has declared one.
#[inline]
#[must_use]
pub fn may_pin_custom_keys() -> bool {
    MAY_PIN_CUSTOM_KEYS.load(Ordering::Relaxed)
}

/// Makes [`may_pin_custom_keys`] return true. Call it when a callsite with pinned values declares a
/// key besides [`CONTEXT_KEYS`].
pub fn custom_key_declared() {
    MAY_PIN_CUSTOM_KEYS.store(true, Ordering::Relaxed);
}

static MAY_PIN_CUSTOM_KEYS: AtomicBool = AtomicBool::new(false);

/// Returns the callsite with the only field `key`. The first call for a key creates its callsite,
/// which is never freed. So pass only declared context keys, because their number is small.
pub(crate) fn key_callsite(key: &str) -> &'static Metadata<'static> {
    static CREATED: Mutex<Vec<&Metadata<'static>>> = Mutex::new(Vec::new());
    let _no_fork = forks::defer();
    let mut created = CREATED.lock();
    let known = created
        .iter()
        .find(|callsite| callsite.fields().field(key).is_some());
    if let Some(callsite) = known {
        return callsite;
    }
    if !CONTEXT_KEYS.contains(&key) {
        custom_key_declared();
    }
    let callsite = new_callsite(&[key]);
    created.push(callsite);
    callsite
}

/// Returns the callsite with the fields `trace_id` and `span_id`.
pub(crate) fn ids_callsite() -> &'static Metadata<'static> {
    static CREATED: OnceLock<&Metadata<'static>> = OnceLock::new();
    if let Some(created) = CREATED.get() {
        return created;
    }
    // If another thread created the callsite during a fork, the child would wait for that thread.
    let _no_fork = forks::defer();
    CREATED.get_or_init(|| new_callsite(&["trace_id", "span_id"]))
}

fn new_callsite(fields: &[&str]) -> &'static Metadata<'static> {
    let origin = Origin {
        name: "context",
        level: Level::INFO,
        target: TARGET,
        module_path: Some(module_path!()),
        file: None,
        line: None,
        fields,
    };
    RuntimeCallsite::new_span(&origin).metadata()
}

/// Calls `record`, which records values for the fields of `callsite` into a span. During the call,
/// [`recorded_callsite`] returns `callsite` for these values.
pub(crate) fn record_with(callsite: &'static Metadata<'static>, record: impl FnOnce()) {
    let outer = RECORDING.replace(Some(callsite));
    record();
    RECORDING.set(outer);
}
