//! Callsites for context values that a span does not declare, and callsites with pinned values.

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
    /// The callsite that the current call of [`recording`] on this thread was passed.
    static RECORDING: Cell<Option<&'static Metadata<'static>>> = const { Cell::new(None) };
}

/// Returns whether a span of this callsite begins a unit of work of its own, even inside another
/// unit.
pub(crate) fn begins_unit(callsite: &Metadata<'_>) -> bool {
    callsite.fields().field("spanwise.unit").is_some()
}

/// Returns whether the context values of this callsite are pinned: only other pinned values replace
/// them, not fields of spans and events. True for the callsites of this module and for the spans of
/// `spanwise-http`.
#[must_use]
pub fn pins_context(callsite: &Metadata<'_>) -> bool {
    matches!(
        callsite.target(),
        TARGET | "spanwise_http::server" | "spanwise_http::client"
    )
}

/// Returns the callsite that declares the fields of `values`: `span`, which is the callsite of the
/// span, or a callsite of this module.
///
/// [`context::set`](crate::context::set) sets keys that the span need not declare, so it records
/// them with a callsite of this module. Trace and span ids that become known after the span was
/// opened are recorded in the same way. A layer that finds fields by their index must use this
/// callsite in `Layer::on_record`.
#[inline]
#[must_use]
pub fn recorded_callsite(
    values: &Record<'_>,
    span: &'static Metadata<'static>,
) -> &'static Metadata<'static> {
    match RECORDING.try_with(Cell::get) {
        Ok(Some(callsite)) if belong_to(values, callsite) => callsite,
        _ => span,
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
/// which is never freed. So the key must be a declared context key, and their number is small.
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
    // A forked child would wait for a thread of its parent that was creating the callsite.
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

/// Calls `record`. During the call, [`recorded_callsite`] returns `callsite` for the recorded
/// values.
pub(crate) fn recording(callsite: &'static Metadata<'static>, record: impl FnOnce()) {
    let outer = RECORDING.replace(Some(callsite));
    record();
    RECORDING.set(outer);
}
