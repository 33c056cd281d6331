//! The event of a request, whose callsite is made while the program runs: its fields are ours, and those the program adds.

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

/// The fields of every event, and their places in [`Own`].
pub(crate) const OWN_FIELDS: [&str; OWN] = [
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
    // The rest where no span says it.
    "http.request.method",
    "http.route",
    "request_id",
    "tenant_id",
    "client.address",
    "trace_id",
];
const OWN: usize = 17;
/// How many of them an event has that is in the span of its request.
const OWN_IN_SPAN: usize = 11;

/// Values by the places of [`OWN_FIELDS`].
pub(crate) type Own<'a> = [Option<&'a dyn Value>; OWN];

/// An event of a level, in the span of its request or where that is disabled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessEvent {
    callsite: &'static AccessCallsite,
}

impl AccessEvent {
    /// That of `level`, with the names known by now; `None` if nobody wants it.
    #[inline]
    pub(crate) fn enabled(level: Level, span: &Span) -> Option<Self> {
        if level > tracing::level_filters::STATIC_MAX_LEVEL || level > LevelFilter::current() {
            return None;
        }
        let callsite = AccessCallsite::get(level, !span.is_disabled());
        let wanted = match callsite.interest.load(Ordering::Relaxed) {
            NEVER => false,
            ALWAYS => true,
            _ => with_dispatch(span, |dispatch| dispatch.enabled(callsite.metadata())),
        };
        wanted.then_some(Self { callsite })
    }

    /// Sends it, with our own values and `added` ones, whose indexes are those of [`names`] that were known when it was made.
    pub(crate) fn send<'a>(
        self,
        span: &Span,
        own: &Own<'a>,
        added: impl Iterator<Item = (u8, &'a dyn Value)>,
    ) {
        let metadata = self.callsite.metadata();
        if metadata.fields().len() <= OWN {
            self.send_in::<OWN>(span, metadata, own, added);
        } else {
            self.send_in::<{ OWN + field_names::MAX_NAMES }>(span, metadata, own, added);
        }
    }

    fn send_in<'a, const ROOM: usize>(
        self,
        span: &Span,
        metadata: &'static Metadata<'static>,
        own: &Own<'a>,
        added: impl Iterator<Item = (u8, &'a dyn Value)>,
    ) {
        let mut values: [Option<&dyn Value>; ROOM] = [None; ROOM];
        let owned = self.callsite.own;
        values[..owned].copy_from_slice(&own[..owned]);
        for (index, value) in added {
            values[owned + usize::from(index)] = Some(value);
        }
        let fields = metadata.fields();
        let values = fields.value_set_all(&values[..fields.len()]);
        let event = Event::new_child_of(span.id(), metadata, &values);
        with_dispatch(span, |dispatch| dispatch.event(&event));
    }
}

/// The dispatcher of `span`, where it has one: the event goes where the span went.
fn with_dispatch<T>(span: &Span, then: impl Fn(&Dispatch) -> T) -> T {
    span.with_subscriber(|(_, dispatch)| then(dispatch))
        .unwrap_or_else(|| tracing::dispatcher::get_default(&then))
}

#[derive(Debug)]
struct AccessCallsite {
    /// How many fields are ours; the rest is that of [`names`].
    own: usize,
    interest: AtomicU8,
    metadata: OnceLock<Metadata<'static>>,
}

const NEVER: u8 = 0;
const SOMETIMES: u8 = 1;
const ALWAYS: u8 = 2;

impl AccessCallsite {
    /// A field cannot be added to a callsite, so each new name makes a new one. They stay for good, as callsites do, and are as many as
    /// there are names.
    fn get(level: Level, in_span: bool) -> &'static Self {
        static MADE: [[OnceLock<&'static AccessCallsite>; field_names::MAX_NAMES + 1]; 6] =
            [const { [const { OnceLock::new() }; field_names::MAX_NAMES + 1] }; 6];
        let kind = match level {
            Level::ERROR => 0,
            Level::WARN => 1,
            _ => 2,
        } + if in_span { 0 } else { 3 };
        let names = field_names::count();
        MADE[kind][names].get_or_init(|| Self::make(level, in_span, names))
    }

    #[cold]
    fn make(level: Level, in_span: bool, names: usize) -> &'static Self {
        let own = if in_span { OWN_IN_SPAN } else { OWN };
        let fields = OWN_FIELDS[..own].iter().copied();
        let fields: Vec<_> = fields.chain(field_names::all().take(names)).collect();
        let callsite: &'static Self = Box::leak(Box::new(Self {
            own,
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

    fn metadata(&'static self) -> &'static Metadata<'static> {
        self.metadata.get().unwrap_or_else(|| {
            // `make` hands out no callsite without.
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
        self.metadata.get().unwrap_or_else(|| {
            // It is registered when it has it.
            unreachable!("the callsite has no metadata")
        })
    }
}
