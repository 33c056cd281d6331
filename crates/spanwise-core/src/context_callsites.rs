//! Callsites whose fields carry context, including the callsites that
//! [`context::set`](crate::context::set) creates.

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
    /// The callsite of this module whose fields this thread is recording.
    static RECORDING: Cell<Option<&'static Metadata<'static>>> = const { Cell::new(None) };
}

/// Returns whether a span of this callsite begins its own unit of work inside another unit.
pub(crate) fn begins_unit(callsite: &Metadata<'_>) -> bool {
    callsite.fields().field("spanwise.unit").is_some()
}

/// Returns whether context that this callsite records is pinned, so that fields of other spans and
/// events do not replace it. True for the callsites of this module and for the spans of
/// `spanwise-http`.
#[must_use]
pub fn pins_context(callsite: &Metadata<'_>) -> bool {
    matches!(
        callsite.target(),
        TARGET | "spanwise_http::server" | "spanwise_http::client"
    )
}

/// Returns the callsite that declares the fields of `values`: the callsite of the span, or a
/// callsite of this module.
///
/// `context::set` records values for keys that the span does not declare. Trace and span ids that
/// become known late are recorded in the same way. A layer that reads fields by their index in
/// `Layer::on_record` must use this callsite.
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

/// Returns whether the recorded values belong to `callsite`. [`RECORDING`] alone does not show
/// this, because a layer that handles the record may itself record into other spans.
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

/// Notes that a callsite which [`pins_context`] declares a key besides [`CONTEXT_KEYS`].
pub fn custom_key_declared() {
    MAY_PIN_CUSTOM_KEYS.store(true, Ordering::Relaxed);
}

static MAY_PIN_CUSTOM_KEYS: AtomicBool = AtomicBool::new(false);

/// Returns the callsite whose only field is `key`. There is one callsite for each declared key that
/// was set.
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

/// Returns the callsite whose fields are a trace id and a span id.
pub(crate) fn ids_callsite() -> &'static Metadata<'static> {
    static CREATED: OnceLock<&Metadata<'static>> = OnceLock::new();
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
