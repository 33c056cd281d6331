//! Open spans, of `tracing` and of the OpenTelemetry API, with the data to export at their end.

use std::{
    fmt, ptr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry::{Context, baggage::BaggageExt as _};
use spanwise_core::{
    Clock,
    internal::{self, SpanIdentity, announced_span::SpanKind, forks, panic_safe, sync::Mutex},
};
use tracing_core::Metadata;

use crate::{
    attributes::{AnyValue, Attributes, Key},
    limits::{AttributeLimits, MAX_ITEM_LEN},
    span_encoding::{
        EncodedItems, HAS_IS_REMOTE, IS_REMOTE, SPAN_ATTRIBUTES, WriteCount as _, field,
        push_flags, push_ids, push_kind_and_times,
    },
    span_options::SpanLimits,
    span_status::{RequestOutcome, StatusFacts},
    wire::WireWriter as _,
};

/// A span that has begun and has not ended.
pub(crate) struct OpenSpan {
    pub(crate) origin: SpanOrigin,
    started: SpanStart,
    /// The time at which a thread last left the span, in nanoseconds since its start. 0 if no
    /// thread has left it.
    last_exit_nanos: AtomicU64,
    /// The time that threads have spent inside, in nanoseconds. 0 if busy times are not measured.
    busy_nanos: AtomicU64,
    /// The [generation](forks::generation) of the process that opened the span.
    generation: u32,
    /// Whether this layer has frozen the identity with [`SpanIdentity::freeze`], so that it cannot
    /// change any more. Other readers may have frozen it earlier.
    is_frozen: AtomicBool,
    is_recording: AtomicBool,
    /// The OpenTelemetry context for code inside of the span. Created when it is first needed.
    context: OnceLock<InnerContext>,
    /// No code of callers may run while this is locked.
    state: Mutex<SpanState>,
}

/// The OpenTelemetry context for code inside of a span.
pub(crate) struct InnerContext {
    pub(crate) context: Context,
    /// The address of the context's baggage. It is stored because a look-up of the baggage is too
    /// expensive each time that a thread enters the span.
    pub(crate) baggage_addr: usize,
}

/// Where a span comes from.
#[derive(Debug, Clone)]
pub(crate) enum SpanOrigin {
    Callsite(&'static Metadata<'static>),
    /// A tracer of the OpenTelemetry API: its encoded `InstrumentationScope`.
    Tracer(Arc<[u8]>),
}

/// When a span began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanStart {
    /// The time in nanoseconds since 1970.
    unix_nanos: u64,
    /// The same time on the [monotonic clock](Clock::monotonic), in nanoseconds, for durations.
    monotonic_nanos: u64,
}

/// When a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanEnd {
    /// `tracing` closes the span, or the OpenTelemetry API ends it. The end is
    /// [`RecordedSpan::ended_at`], else the last exit of a thread, else the current time.
    Closed,
    /// A given time, in nanoseconds since 1970.
    At(u64),
    /// The process ends while the span is open. The span is exported as unfinished.
    Unfinished,
}

/// The result of ending a span.
#[derive(Debug)]
pub(crate) enum EndedSpan {
    /// The span was encoded, except for the attributes, which are in this data.
    Exported(Box<RecordedSpan>),
    /// The trace of the span is not sampled.
    Unsampled,
    /// The span has ended before, or belongs to the parent process, which exports it.
    ExportedElsewhere,
}

/// The parent of a span, in this process or in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ParentSpan {
    pub(crate) span_id: [u8; 8],
    /// Whether it is a span of another process.
    pub(crate) is_remote: bool,
}

/// The part of a span that changes.
struct SpanState {
    identity: SpanIdentity,
    parent: Option<ParentSpan>,
    /// The OpenTelemetry context that `set_parent` was called with.
    parent_context: Option<Context>,
    has_ended: bool,
    /// The data to export. `None` after the end. Also `None` if the trace is not sampled and the
    /// span cannot move to a sampled one.
    recorded: Option<Box<RecordedSpan>>,
}

/// The data to export for a span, besides its identity and its times.
#[derive(Debug)]
pub(crate) struct RecordedSpan {
    pub(crate) attributes: Attributes,
    pub(crate) kind: SpanKind,
    /// A name that replaces the name of the callsite.
    pub(crate) name: Option<Box<str>>,
    pub(crate) status: StatusFacts,
    pub(crate) events: EncodedItems,
    pub(crate) links: EncodedItems,
    /// The time of the end in nanoseconds since 1970, if it was set before the span closes.
    pub(crate) ended_at: Option<u64>,
}

/// The maximum length of the tags and length prefixes of an encoded text attribute, in bytes.
const MAX_ATTRIBUTE_HEADER_LEN: usize = 16;

/// The maximum length of a name in bytes.
const MAX_NAME_LEN: usize = 1024;

impl OpenSpan {
    #[inline] // Builds the span where it is stored, instead of copying it there.
    pub(crate) fn new(
        origin: SpanOrigin,
        started: SpanStart,
        identity: SpanIdentity,
        parent: Option<ParentSpan>,
        recorded: Option<Box<RecordedSpan>>,
    ) -> Self {
        Self {
            origin,
            started,
            last_exit_nanos: AtomicU64::new(0),
            busy_nanos: AtomicU64::new(0),
            generation: forks::generation(),
            is_frozen: AtomicBool::new(false),
            is_recording: AtomicBool::new(recorded.is_some()),
            context: OnceLock::new(),
            state: Mutex::new(SpanState {
                identity,
                parent,
                parent_context: None,
                has_ended: false,
                recorded,
            }),
        }
    }

    /// Returns whether this process opened the span. A forked child has copies of open spans.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.generation == forks::generation()
    }

    /// Stores that the identity is frozen. Returns whether this is the first call. If so, the
    /// caller must call [`apply_frozen_identity`](Self::apply_frozen_identity).
    #[inline]
    pub(crate) fn mark_frozen(&self) -> bool {
        !self.is_frozen.load(Ordering::Relaxed) && !self.is_frozen.swap(true, Ordering::Relaxed)
    }

    /// Returns whether the span collects data to export.
    #[inline]
    pub(crate) fn is_recording(&self) -> bool {
        self.is_recording.load(Ordering::Relaxed)
    }

    /// Returns whether the span lacks the data to be exported in a sampled trace: its own trace is
    /// not sampled, and the span is not recording. Returns false if the identity is frozen, because
    /// the span then cannot move to any trace.
    pub(crate) fn cannot_become_sampled(&self) -> bool {
        !self.is_recording()
            && !self.is_frozen.load(Ordering::Relaxed)
            && !self.state.lock().identity.is_sampled()
    }

    pub(crate) fn identity(&self) -> SpanIdentity {
        self.state.lock().identity.clone()
    }

    pub(crate) fn span_id(&self) -> [u8; 8] {
        self.state.lock().identity.span_id()
    }

    pub(crate) fn parent(&self) -> Option<ParentSpan> {
        self.state.lock().parent
    }

    /// Changes the data to export. Does nothing if the span is not recording.
    ///
    /// `change` runs under a lock: it must not call code of callers.
    pub(crate) fn record(&self, change: impl FnOnce(&mut RecordedSpan)) {
        if self.is_recording()
            && let Some(recorded) = &mut self.state.lock().recorded
        {
            change(recorded);
        }
    }

    /// Moves the span to another parent, and so perhaps to another trace. `context` is the
    /// OpenTelemetry context with the new parent as its span.
    pub(crate) fn move_to(
        &self,
        identity: SpanIdentity,
        parent: Option<ParentSpan>,
        context: Context,
    ) {
        let mut state = self.state.lock();
        let replaced = (
            std::mem::replace(&mut state.identity, identity),
            state.parent_context.replace(context),
        );
        state.parent = parent;
        drop(state);
        drop(replaced);
    }

    /// Stores the frozen identity: the span stays in its trace. If the trace is not sampled,
    /// returns the data to export, which is no longer needed.
    #[must_use = "the memory of the data can be reused"]
    pub(crate) fn apply_frozen_identity(
        &self,
        identity: SpanIdentity,
    ) -> Option<Box<RecordedSpan>> {
        if !self.is_recording() {
            return None;
        }
        let mut state = self.state.lock();
        let mut unsampled = None;
        if !identity.is_sampled() {
            self.is_recording.store(false, Ordering::Relaxed);
            unsampled = state.recorded.take();
        }
        // This copy of the identity may be old: `set_parent` on another thread replaces the one of
        // the `tracing` span first.
        let replaced = std::mem::replace(&mut state.identity, identity);
        drop(state);
        drop(replaced);
        unsampled
    }

    /// Drops the OpenTelemetry context, whose values may belong to callers.
    pub(crate) fn drop_context(&mut self) {
        drop(self.context.take());
    }

    /// Returns whether `set_parent` has set the parent.
    pub(crate) fn has_parent_context(&self) -> bool {
        self.state.lock().parent_context.is_some()
    }

    /// Returns the OpenTelemetry context for code inside of the span. On the first call, `make`
    /// creates it from the span's identity and the context that `set_parent` was called with, if
    /// any.
    #[inline]
    pub(crate) fn context(
        &self,
        make: impl FnOnce(&SpanIdentity, Option<Context>) -> Context,
    ) -> &InnerContext {
        self.context.get_or_init(|| {
            let state = self.state.lock();
            let (identity, parent) = (state.identity.clone(), state.parent_context.clone());
            drop(state);
            let context = make(&identity, parent);
            // The context is never changed, so its baggage stays in place.
            let baggage_addr = ptr::from_ref(context.baggage()).addr();
            InnerContext {
                context,
                baggage_addr,
            }
        })
    }

    /// Returns the current time, in nanoseconds since 1970. Changes of the system's time have no
    /// effect while the span is open.
    pub(crate) fn now(&self, clock: &Clock) -> u64 {
        self.started.now(clock)
    }

    /// Records that a thread leaves the span at `now`. `entered` is the time at which the thread
    /// entered the span, if that was measured. Both are on the monotonic clock, in nanoseconds.
    #[inline]
    pub(crate) fn record_exit(&self, entered: Option<u64>, now: u64) {
        if let Some(entered) = entered {
            self.busy_nanos
                .fetch_add(now.saturating_sub(entered), Ordering::Relaxed);
        }
        let since_start = now.saturating_sub(self.started.monotonic_nanos).max(1);
        self.last_exit_nanos
            .fetch_max(since_start, Ordering::Relaxed);
    }

    /// Ends the span. Encodes it as a `Span` into `to`, unless it is not sampled, has ended before,
    /// or was opened by the parent process. The encoded attributes stay in the returned
    /// [`RecordedSpan`]: appended to `to`, they complete the `Span`.
    pub(crate) fn end(
        &self,
        end: SpanEnd,
        shows_busy_times: bool,
        clock: &Clock,
        to: &mut Vec<u8>,
    ) -> EndedSpan {
        self.is_recording.store(false, Ordering::Relaxed);
        if !self.is_of_this_process() {
            return EndedSpan::ExportedElsewhere;
        }
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.has_ended, true) {
            return EndedSpan::ExportedElsewhere;
        }
        let recorded = state.recorded.take();
        let (identity, parent) = (state.identity.clone(), state.parent);
        let parent_context = state.parent_context.take();
        drop(state);
        // Drop the context without the lock, because its values may belong to callers.
        drop(parent_context);
        let mut recorded = match recorded {
            Some(recorded) if identity.is_sampled() => recorded,
            _ => return EndedSpan::Unsampled,
        };
        let end_nanos = match (end, recorded.ended_at) {
            (SpanEnd::At(nanos), _) | (SpanEnd::Closed, Some(nanos)) => nanos,
            (SpanEnd::Closed, None) => match self.last_exit_nanos.load(Ordering::Relaxed) {
                0 => self.started.now(clock),
                since_start => self.started.unix_nanos.saturating_add(since_start),
            },
            (SpanEnd::Unfinished, _) => self.started.now(clock),
        };
        if end == SpanEnd::Unfinished {
            let key = Key::new("spanwise.unfinished");
            recorded
                .attributes
                .set_unlimited(&key, AnyValue::Bool(true));
        }
        if shows_busy_times {
            let busy = self.busy_nanos.load(Ordering::Relaxed);
            let idle = end_nanos.saturating_sub(self.started.unix_nanos.saturating_add(busy));
            for (name, nanos) in [("busy_ns", busy), ("idle_ns", idle)] {
                let value = AnyValue::Int(i64::try_from(nanos).unwrap_or(i64::MAX));
                recorded.attributes.set_unlimited(&Key::new(name), value);
            }
        }
        recorded.encode(
            &identity,
            parent,
            self.origin.name(),
            self.started.unix_nanos..end_nanos,
            to,
        );
        EndedSpan::Exported(recorded)
    }
}

impl SpanOrigin {
    fn name(&self) -> &'static str {
        match self {
            Self::Callsite(callsite) => callsite.name(),
            // API spans always have a name of their own, in `RecordedSpan::name`.
            Self::Tracer(_) => "",
        }
    }
}

impl SpanStart {
    #[inline]
    pub(crate) fn from_clock(clock: &Clock) -> Self {
        Self {
            unix_nanos: internal::unix_nanos(clock),
            monotonic_nanos: internal::monotonic_nanos(clock),
        }
    }

    /// Creates a start at a time that the application set.
    pub(crate) fn at(time: SystemTime, clock: &Clock) -> Self {
        let age = clock.now().duration_since(time).unwrap_or_default();
        Self {
            unix_nanos: unix_nanos(time),
            monotonic_nanos: internal::monotonic_nanos(clock).saturating_sub(nanos(age)),
        }
    }

    /// Returns the start, in nanoseconds since 1970.
    pub(crate) fn unix_nanos(self) -> u64 {
        self.unix_nanos
    }

    /// Returns the current time, in nanoseconds since 1970: the start of the span and the monotonic
    /// time since then.
    fn now(self, clock: &Clock) -> u64 {
        let elapsed = internal::monotonic_nanos(clock).saturating_sub(self.monotonic_nanos);
        self.unix_nanos.saturating_add(elapsed)
    }
}

/// Returns a time in nanoseconds since 1970.
pub(crate) fn unix_nanos(time: SystemTime) -> u64 {
    nanos(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn nanos(duration: Duration) -> u64 {
    // `as_nanos` computes with 128 bits, which costs more than reading the clock.
    let seconds = duration.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(duration.subsec_nanos().into())
}

impl RecordedSpan {
    pub(crate) fn new(limits: AttributeLimits) -> Self {
        Self {
            attributes: Attributes::new(SPAN_ATTRIBUTES, limits),
            kind: SpanKind::Internal,
            name: None,
            status: StatusFacts::default(),
            events: EncodedItems::default(),
            links: EncodedItems::default(),
            ended_at: None,
        }
    }

    /// Resets the data for a new span, and keeps the memory of attributes, events and links.
    pub(crate) fn reset(&mut self, limits: AttributeLimits) {
        // All fields are named, so that a new one is not forgotten.
        let Self {
            attributes,
            kind,
            name,
            status,
            events,
            links,
            ended_at,
        } = self;
        attributes.reset(limits);
        *kind = SpanKind::Internal;
        *name = None;
        *status = StatusFacts::default();
        events.clear();
        links.clear();
        *ended_at = None;
    }

    /// Returns the approximate number of bytes of memory that are retained if the data is reused.
    pub(crate) fn retained_len(&self) -> usize {
        let items = self.events.bytes.capacity() + self.links.bytes.capacity();
        self.attributes.as_bytes().len() + items
    }

    /// Sets the name, unless it is empty.
    pub(crate) fn set_name(&mut self, name: &str) {
        if !name.is_empty() {
            self.name = Some(panic_safe::truncate_at(name, MAX_NAME_LEN).into());
        }
    }

    /// Sets attributes. They replace earlier values.
    pub(crate) fn set_attributes(&mut self, attributes: &Attributes) {
        let others = self.events.bytes.len() + self.links.bytes.len();
        let max_len = MAX_ITEM_LEN.saturating_sub(others);
        self.attributes.merge(attributes, max_len);
    }

    /// Adds the context keys that are not attributes yet. The ids are fields of the `Span` instead.
    pub(crate) fn add_context<'a>(
        &mut self,
        context: impl Iterator<Item = (&'static str, &'a str)>,
    ) {
        for (key, value) in context {
            if !matches!(key, "trace_id" | "span_id") && self.attributes.get(key).is_none() {
                match key.len() + value.len() + MAX_ATTRIBUTE_HEADER_LEN > self.remaining_len() {
                    true => self.attributes.add_dropped(1),
                    false => self.attributes.push_named(key, AnyValue::Text(value)),
                }
            }
        }
    }

    /// Adds an encoded `Event`.
    pub(crate) fn add_event(&mut self, event: &[u8], limits: &SpanLimits) {
        let max_len = self.remaining_len();
        self.events
            .push(field::EVENTS, event, limits.events, max_len);
    }

    /// Adds an encoded `Link`.
    pub(crate) fn add_link(&mut self, link: &[u8], limits: &SpanLimits) {
        let max_len = self.remaining_len();
        self.links.push(field::LINKS, link, limits.links, max_len);
    }

    /// Returns how many more bytes of attributes, events and links the span may have.
    fn remaining_len(&self) -> usize {
        let taken = [
            self.attributes.as_bytes().len(),
            self.events.bytes.len(),
            self.links.bytes.len(),
        ];
        MAX_ITEM_LEN.saturating_sub(taken.iter().sum())
    }

    /// Encodes the span into `to`, except for its attributes, which are already encoded.
    fn encode(
        &mut self,
        identity: &SpanIdentity,
        parent: Option<ParentSpan>,
        callsite_name: &str,
        times: std::ops::Range<u64>,
        to: &mut Vec<u8>,
    ) {
        let status = self.status.resolve(self.kind, &self.attributes);
        if let Some(error_type) = &status.error_type {
            let key = Key::new("error.type");
            if self.attributes.get("error.type").is_none() {
                let error_type = panic_safe::truncate_at(error_type, MAX_NAME_LEN);
                self.attributes
                    .set_unlimited(&key, AnyValue::Text(error_type));
            }
        }
        push_ids(to, identity);
        if let Some(state) = identity.state() {
            to.bytes(field::TRACE_STATE, state.as_bytes());
        }
        let mut flags = u32::from(identity.flags()) | HAS_IS_REMOTE;
        if let Some(parent) = parent {
            to.bytes(field::PARENT_SPAN_ID, &parent.span_id);
            if parent.is_remote {
                flags |= IS_REMOTE;
            }
        }
        match &self.name {
            Some(name) => to.bytes(field::NAME, name.as_bytes()),
            None => {
                let http_name = self.http_name();
                let name = http_name.as_deref().unwrap_or(callsite_name);
                to.bytes(field::NAME, name.as_bytes());
            }
        }
        push_kind_and_times(to, self.kind, times);
        to.count(field::DROPPED_ATTRIBUTES, self.attributes.dropped());
        to.extend_from_slice(&self.events.bytes);
        to.count(field::DROPPED_EVENTS, self.events.dropped);
        to.extend_from_slice(&self.links.bytes);
        to.count(field::DROPPED_LINKS, self.links.dropped);
        if !status.is_unset() {
            to.message(field::STATUS, |message| status.encode(message));
        }
        push_flags(to, flags);
    }

    /// Returns the name of the span of an HTTP request, as the [semantic conventions] define it. It
    /// has the route, but never the path.
    ///
    /// [semantic conventions]: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#name
    fn http_name(&self) -> Option<String> {
        let Some(AnyValue::Text(method)) = self.attributes.get("http.request.method") else {
            return None;
        };
        let method = match method {
            "_OTHER" => "HTTP",
            method => method,
        };
        Some(match self.attributes.get("http.route") {
            Some(AnyValue::Text(route)) => {
                let name = format!("{method} {route}");
                panic_safe::truncate_at(&name, MAX_NAME_LEN).to_owned()
            }
            _ => method.to_owned(),
        })
    }

    /// Sets the outcome of an HTTP request. The outcome decides the status of the span, unless the
    /// application sets a status.
    pub(crate) fn set_outcome(&mut self, outcome: RequestOutcome) {
        self.status.outcome = Some(outcome);
    }
}

impl fmt::Debug for OpenSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSpan")
            .field("origin", &self.origin)
            .field("started", &self.started)
            .finish_non_exhaustive()
    }
}
