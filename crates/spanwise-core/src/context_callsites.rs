//! Callsites whose fields carry context, and those that [`context::set`](crate::context::set)
//! creates.

use std::{
    cell::Cell,
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing_core::{
    Field, Interest, Kind, Level, Metadata,
    callsite::Callsite,
    field::{FieldSet, Visit},
    identify_callsite,
    span::Record,
};

use crate::{internal::sync::Mutex, span_context::CONTEXT_KEYS};

const TARGET: &str = "spanwise::context";

thread_local! {
    /// The callsite that `context::set` is recording with on this thread.
    static RECORDING: Cell<Option<&'static Metadata<'static>>> = const { Cell::new(None) };
}

/// Returns whether spans of this callsite begin a unit of work inside another.
pub(crate) fn begins_unit(callsite: &Metadata<'_>) -> bool {
    callsite.fields().field("spanwise.unit").is_some()
}

/// Returns whether context that this callsite records is pinned: fields of other spans and events
/// do not replace it. True for `context::set` and for the spans of `spanwise-http`.
#[must_use]
pub fn pins_context(callsite: &Metadata<'_>) -> bool {
    matches!(
        callsite.target(),
        TARGET | "spanwise_http::server" | "spanwise_http::client"
    )
}

/// Returns the callsite whose fields `values` has: that of the span, or one of `context::set`.
///
/// `context::set` records values that the span does not declare. A layer that reads fields by their
/// index in `Layer::on_record` must use this callsite.
#[inline]
#[must_use]
pub fn recorded_callsite(
    values: &Record<'_>,
    span: &'static Metadata<'static>,
) -> &'static Metadata<'static> {
    match RECORDING.try_with(Cell::get) {
        Ok(Some(callsite)) if has_fields_of(values, callsite) => callsite,
        _ => span,
    }
}

/// A layer may record into other spans while it handles a record, so [`RECORDING`] is not enough.
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

/// Returns whether `context::set` has been called with a key besides [`CONTEXT_KEYS`]. Until then,
/// no other key can be pinned.
#[inline]
#[must_use]
pub fn has_set_custom_key() -> bool {
    HAS_SET_CUSTOM_KEY.load(Ordering::Relaxed)
}

static HAS_SET_CUSTOM_KEY: AtomicBool = AtomicBool::new(false);

/// A callsite whose only field is a context key. There is one for each declared key that was set,
/// and it is never freed.
pub(crate) struct KeyCallsite {
    metadata: OnceLock<Metadata<'static>>,
}

impl KeyCallsite {
    pub(crate) fn for_key(key: &str) -> &'static Self {
        static CREATED: Mutex<Vec<&KeyCallsite>> = Mutex::new(Vec::new());
        let mut created = CREATED.lock();
        let is_it = |callsite: &&&Self| callsite.metadata().fields().field(key).is_some();
        if let Some(callsite) = created.iter().find(is_it) {
            return callsite;
        }
        let callsite = Self::create(key);
        created.push(callsite);
        callsite
    }

    #[cold]
    fn create(key: &str) -> &'static Self {
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

    pub(crate) fn metadata(&self) -> &Metadata<'static> {
        self.metadata.get().unwrap_or_else(|| {
            // `create` initializes it before it returns.
            unreachable!("the callsite has no metadata")
        })
    }

    /// Calls `record`. Meanwhile, [`recorded_callsite`] returns this callsite for its values.
    pub(crate) fn recording(&'static self, record: impl FnOnce()) {
        let before = RECORDING.replace(Some(self.metadata()));
        record();
        RECORDING.set(before);
    }
}

impl Callsite for KeyCallsite {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.metadata()
    }
}
