//! Context that becomes known while the unit of work runs.

use std::{
    cell::Cell,
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::{Dispatch, Subscriber, subscriber::NoSubscriber};
use tracing_core::{
    Field, Interest, Kind, Level, LevelFilter, Metadata,
    callsite::Callsite,
    field::{FieldSet, Value, Visit},
    identify_callsite,
    span::{Id, Record},
};
use tracing_subscriber::{Registry, registry::LookupSpan};

use crate::{
    CONTEXT_KEYS, ContextLayer, Fault, Redact, SelfReport,
    internal::{panic_safe, sync::Mutex},
};

/// Sets a context key of the unit of work that the current span is part of.
///
/// A unit is the outermost span around the current one, with all spans inside; a span with a field
/// `spanwise.unit` begins one of its own. It does not matter how deep the call is, in which task,
/// and whether any of the spans declares the key. All later lines of the unit have the value, in
/// every output. Of two calls the last one counts.
///
/// A policy reads the value as it reads any field. Its text is cut at
/// [`MAX_CONTEXT_VALUE_LEN`](crate::internal::MAX_CONTEXT_VALUE_LEN) bytes. Fields of that name in the program's
/// own spans and events do not replace it.
///
/// Where it cannot be set, stderr says why, once: outside of any span, for a key that is not
/// declared, and without a [`ContextLayer`].
///
/// `Span::record` cannot do this. `tracing` drops a value for a field that the span does not
/// declare, and tells no layer of it.
///
/// ```
/// use spanwise_core::{Context, ContextLayer, context};
/// use tracing_subscriber::prelude::*;
///
/// let _default = tracing_subscriber::registry().with(ContextLayer::default()).set_default();
/// let _request = tracing::info_span!("request", request_id = "r-1").entered();
/// tracing::info_span!("authenticate").in_scope(|| context::set("user_id", 42));
/// assert_eq!(Context::current().get("user_id"), Some("42"));
/// ```
pub fn set(key: &str, value: impl fmt::Display) {
    // Before the dispatcher is asked for: the value may log.
    let mut text = String::new();
    panic_safe::format_into(
        &mut text,
        format_args!("{value}"),
        <dyn Redact>::MAX_COLLECT_LEN,
    );
    let done = tracing::dispatcher::get_default(|dispatch| set_in(dispatch, key, &text));
    if let Err(error) = done {
        error.report(key);
    }
}

fn set_in(dispatch: &Dispatch, key: &str, text: &str) -> Result<(), SetError> {
    if dispatch.is::<NoSubscriber>() {
        return Ok(());
    }
    let layer = dispatch.downcast_ref::<ContextLayer>();
    let registry = dispatch.downcast_ref::<Registry>();
    let (Some(layer), Some(registry)) = (layer, registry) else {
        return Err(SetError::NoLayer);
    };
    if !layer.declares(key) {
        return Err(SetError::UnknownKey);
    }
    let Some(unit) = unit(registry) else {
        // Where everything is switched off, spans are too, and no line misses the key.
        return match LevelFilter::current() {
            LevelFilter::OFF => Ok(()),
            _ => Err(SetError::NoSpan),
        };
    };
    let callsite = KeyCallsite::for_key(key);
    let fields = callsite.metadata().fields();
    let values: [Option<&dyn Value>; 1] = [Some(&text)];
    let before = RECORDING.replace(Some(callsite.metadata()));
    dispatch.record(&unit, &Record::new(&fields.value_set_all(&values)));
    RECORDING.set(before);
    Ok(())
}

/// The span that begins the unit of work of this thread's current span.
fn unit(registry: &Registry) -> Option<Id> {
    let current = registry.current_span();
    let mut span = registry.span(current.id()?)?;
    while !begins_unit(span.metadata())
        && let Some(parent) = span.parent()
    {
        span = parent;
    }
    Some(span.id())
}

/// Whether spans of this callsite begin a unit of their own inside another.
pub(crate) fn begins_unit(callsite: &Metadata<'_>) -> bool {
    callsite.fields().field("spanwise.unit").is_some()
}

const TARGET: &str = "spanwise::context";

thread_local! {
    /// The callsite of what [`set`] records on this thread just now.
    static RECORDING: Cell<Option<&'static Metadata<'static>>> = const { Cell::new(None) };
}

/// The callsite whose fields `values` has: that of the span, or one that [`set`] made.
///
/// `Layer::on_record` gets the values of a span that does not declare them if [`set`] recorded
/// them. A layer that goes by the index of a field asks here first.
#[inline]
#[must_use]
pub fn recorded_callsite(
    values: &Record<'_>,
    span: &'static Metadata<'static>,
) -> &'static Metadata<'static> {
    match RECORDING.try_with(Cell::get) {
        Ok(Some(late)) if has_fields_of(values, late) => late,
        _ => span,
    }
}

/// A layer may record into other spans while it is told of a record.
#[cold]
fn has_fields_of(values: &Record<'_>, callsite: &'static Metadata<'static>) -> bool {
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

/// Whether context that spans of this callsite have, or that is recorded by it, is decided: no span
/// or event of the program replaces it. True of [`set`] and of the spans of `spanwise-http`.
#[must_use]
pub fn pins_context(callsite: &Metadata<'_>) -> bool {
    matches!(
        callsite.target(),
        TARGET | "spanwise_http::server" | "spanwise_http::client"
    )
}

/// Whether [`set`] was called with a key besides [`CONTEXT_KEYS`] so far. Where it was not, no
/// other key is decided, and nobody has to look.
#[inline]
#[must_use]
pub fn has_set_custom_key() -> bool {
    HAS_SET_CUSTOM_KEY.load(Ordering::Relaxed)
}

static HAS_SET_CUSTOM_KEY: AtomicBool = AtomicBool::new(false);

/// A callsite with a context key as its only field. There are as many as declared keys that are
/// set, and they stay for good, as callsites do.
struct KeyCallsite {
    metadata: OnceLock<Metadata<'static>>,
}

impl KeyCallsite {
    fn for_key(key: &str) -> &'static Self {
        static MADE: Mutex<Vec<&KeyCallsite>> = Mutex::new(Vec::new());
        let mut made = MADE.lock();
        let is_it = |callsite: &&&Self| callsite.metadata().fields().field(key).is_some();
        if let Some(callsite) = made.iter().find(is_it) {
            return callsite;
        }
        let callsite = Self::make(key);
        made.push(callsite);
        callsite
    }

    #[cold]
    fn make(key: &str) -> &'static Self {
        let known = CONTEXT_KEYS.into_iter().find(|known| *known == key);
        if known.is_none() {
            HAS_SET_CUSTOM_KEY.store(true, Ordering::Relaxed);
        }
        let name = known.unwrap_or_else(|| String::leak(key.to_owned()));
        let callsite: &'static Self = Box::leak(Box::new(Self {
            metadata: OnceLock::new(),
        }));
        callsite.metadata.get_or_init(|| {
            let fields = FieldSet::new(vec![name].leak(), identify_callsite!(callsite));
            let module = Some(module_path!());
            Metadata::new(
                "context",
                TARGET,
                Level::INFO,
                None,
                None,
                module,
                fields,
                Kind::SPAN,
            )
        });
        callsite
    }

    fn metadata(&self) -> &Metadata<'static> {
        self.metadata.get().unwrap_or_else(|| {
            // `make` hands out no callsite without.
            unreachable!("the callsite has no metadata")
        })
    }
}

impl Callsite for KeyCallsite {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.metadata()
    }
}

/// Why a key is not set.
#[derive(Debug, Clone, Copy)]
enum SetError {
    NoSpan,
    UnknownKey,
    NoLayer,
}

impl SetError {
    /// Once each: it is a mistake in the program, which every request repeats.
    #[cold]
    fn report(self, key: &str) {
        static REPORTED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];
        if REPORTED[self as usize].swap(true, Ordering::Relaxed) {
            return;
        }
        let key = panic_safe::truncate_at(key, MAX_KEY_LEN);
        let (why, remedy) = match self {
            Self::NoSpan => (
                "no span is open here",
                "call it inside the span of the request or job, and give tasks their span with \
                 `spanwise::task::spawn` or `.in_current_span()`; LOG_SPANS or `off` in RUST_LOG may switch the span \
                 off",
            ),
            Self::UnknownKey => (
                "the key is not declared",
                "declare it with LOG_CONTEXT, `Builder::context_key` or `ContextLayer::key`",
            ),
            Self::NoLayer => (
                "no `ContextLayer` is in place",
                "start logging with spanwise, or add the layer to the stack",
            ),
        };
        // The last of it in any case: also where another one was told a moment ago.
        SelfReport::default().fault_unthrottled(
            Fault::Setup,
            &format_args!("context::set did not set {key}: {why}; {remedy}"),
        );
    }
}

/// Bytes of a key that are told.
const MAX_KEY_LEN: usize = 100;
