//! The access event of a request.
//!
//! The fields of a callsite are fixed, and the application adds fields to the built-in ones at run
//! time. So the callsites are created at run time too.

use std::sync::{
    OnceLock,
    atomic::{AtomicU8, Ordering},
};

use tracing::{Dispatch, Event, Level, Span, Value, level_filters::LevelFilter};
use tracing_core::{
    Interest, Kind, Metadata,
    callsite::{self, Callsite},
    field::FieldSet,
    identify_callsite,
};

use super::{TARGET, field_names};

/// The built-in fields, in the order of [`BuiltInValues`].
pub(crate) const BUILT_IN_FIELDS: [&str; BUILT_IN_COUNT] = [
    "message",
    "http.response.status_code",
    "duration_ms",
    "ttfb_ms",
    "response_bytes",
    "outcome",
    "slow",
    "rpc.grpc.status_code",
    "error",
    "url.path",
    "http.response.header.x-request-id",
    // The event has the following fields only if the span is disabled. Otherwise the span has them.
    "http.request.method",
    "http.route",
    "request_id",
    "tenant_id",
    "client.address",
    "trace_id",
];
/// The number of built-in fields of an event without a span.
const BUILT_IN_COUNT: usize = 17;
/// The number of built-in fields of an event in a span.
const BUILT_IN_COUNT_IN_SPAN: usize = 11;

/// The values of [`BUILT_IN_FIELDS`].
pub(crate) type BuiltInValues<'a> = [Option<&'a dyn Value>; BUILT_IN_COUNT];

/// An access event that is enabled. The callsite determines its level and its fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessEvent {
    callsite: &'static AccessCallsite,
}

impl AccessEvent {
    /// Returns the event at `level`, with the field names registered so far. Returns `None` if the
    /// event is disabled.
    #[inline]
    pub(crate) fn if_enabled(level: Level, span: &Span) -> Option<Self> {
        if level > tracing::level_filters::STATIC_MAX_LEVEL || level > LevelFilter::current() {
            return None;
        }
        let callsite = AccessCallsite::get(level, !span.is_disabled());
        let is_enabled = match callsite.interest.load(Ordering::Relaxed) {
            NEVER => false,
            ALWAYS => true,
            _ => with_dispatch(span, |dispatch| dispatch.enabled(callsite.metadata())),
        };
        is_enabled.then_some(Self { callsite })
    }

    /// Logs the event. `added` has the values that the application added, each with the index of
    /// its name in [`field_names`].
    pub(crate) fn send<'a>(
        self,
        span: &Span,
        built_in: &BuiltInValues<'a>,
        added: impl Iterator<Item = (u8, &'a dyn Value)>,
    ) {
        let metadata = self.callsite.metadata();
        if metadata.fields().len() <= BUILT_IN_COUNT {
            self.send_with_capacity::<BUILT_IN_COUNT>(span, metadata, built_in, added);
        } else {
            self.send_with_capacity::<{ BUILT_IN_COUNT + field_names::MAX_NAMES }>(
                span, metadata, built_in, added,
            );
        }
    }

    /// Logs the event, with an array of `CAPACITY` values on the stack.
    fn send_with_capacity<'a, const CAPACITY: usize>(
        self,
        span: &Span,
        metadata: &'static Metadata<'static>,
        built_in: &BuiltInValues<'a>,
        added: impl Iterator<Item = (u8, &'a dyn Value)>,
    ) {
        let mut values: [Option<&dyn Value>; CAPACITY] = [None; CAPACITY];
        let built_in_count = self.callsite.built_in_count;
        values[..built_in_count].copy_from_slice(&built_in[..built_in_count]);
        for (index, value) in added {
            values[built_in_count + usize::from(index)] = Some(value);
        }
        let fields = metadata.fields();
        let values = fields.value_set_all(&values[..fields.len()]);
        let event = Event::new_child_of(span.id(), metadata, &values);
        with_dispatch(span, |dispatch| dispatch.event(&event));
    }
}

/// Calls `work` with the dispatcher of `span`, so that the event goes to the same subscriber as the
/// span. Without a span, calls `work` with the current dispatcher.
fn with_dispatch<T>(span: &Span, work: impl Fn(&Dispatch) -> T) -> T {
    span.with_subscriber(|(_, dispatch)| work(dispatch))
        .unwrap_or_else(|| tracing::dispatcher::get_default(&work))
}

/// A callsite of access events: for one level, with or without a span, and for a number of added
/// field names.
#[derive(Debug)]
struct AccessCallsite {
    /// The number of built-in fields. The added fields follow them, in the order of
    /// [`field_names`].
    built_in_count: usize,
    /// [`NEVER`], [`SOMETIMES`] or [`ALWAYS`].
    interest: AtomicU8,
    metadata: OnceLock<Metadata<'static>>,
}

const NEVER: u8 = 0;
const SOMETIMES: u8 = 1;
const ALWAYS: u8 = 2;

impl AccessCallsite {
    /// Returns the callsite with the field names registered so far.
    ///
    /// A callsite has fixed fields, so each new name needs a new callsite. Callsites are never
    /// freed. The limit on names also limits the number of callsites.
    fn get(level: Level, in_span: bool) -> &'static Self {
        static CALLSITES: [[OnceLock<&'static AccessCallsite>; field_names::MAX_NAMES + 1]; 6] =
            [const { [const { OnceLock::new() }; field_names::MAX_NAMES + 1] }; 6];
        // Three levels, each with and without a span.
        let variant_index = match level {
            Level::ERROR => 0,
            Level::WARN => 1,
            _ => 2,
        } + if in_span { 0 } else { 3 };
        let name_count = field_names::count();
        CALLSITES[variant_index][name_count].get_or_init(|| Self::new(level, in_span, name_count))
    }

    #[cold]
    fn new(level: Level, in_span: bool, name_count: usize) -> &'static Self {
        let built_in_count = if in_span {
            BUILT_IN_COUNT_IN_SPAN
        } else {
            BUILT_IN_COUNT
        };
        let fields = BUILT_IN_FIELDS[..built_in_count].iter().copied();
        let fields: Vec<_> = fields.chain(field_names::all().take(name_count)).collect();
        let callsite: &'static Self = Box::leak(Box::new(Self {
            built_in_count,
            interest: AtomicU8::new(SOMETIMES),
            metadata: OnceLock::new(),
        }));
        callsite.metadata.get_or_init(|| {
            let fields = FieldSet::new(fields.leak(), identify_callsite!(callsite));
            let module = Some(module_path!());
            Metadata::new(
                "http.access",
                TARGET,
                level,
                None,
                None,
                module,
                fields,
                Kind::EVENT,
            )
        });
        callsite::register(callsite);
        callsite
    }

    fn metadata(&self) -> &Metadata<'static> {
        self.metadata.get().unwrap_or_else(|| {
            // `new` sets the metadata before it registers the callsite.
            unreachable!("the callsite has no metadata")
        })
    }
}

impl Callsite for AccessCallsite {
    fn set_interest(&self, interest: Interest) {
        let interest = match () {
            () if interest.is_never() => NEVER,
            () if interest.is_always() => ALWAYS,
            () => SOMETIMES,
        };
        self.interest.store(interest, Ordering::Relaxed);
    }

    fn metadata(&self) -> &Metadata<'_> {
        self.metadata()
    }
}
