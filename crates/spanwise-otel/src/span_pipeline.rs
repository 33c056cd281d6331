//! The way of spans from their begin to the exporter, of `tracing` and of the API alike.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use spanwise_core::{
    Fault, Redact,
    internal::{
        CallsitePlans, LayerId, ShardedCounter, SpanIdentity, SpanTable,
        span_identity::{RANDOM, SAMPLED},
        time_ordered_bits,
    },
};
use tracing_core::{Level, LevelFilter, Metadata, span::Id};

use crate::{
    logs::is_of_opentelemetry,
    open_span::{EndedSpan, OpenSpan, SpanEnd, SpanOrigin, SpanStart},
    plan::{CallsitePlan, PlanOptions},
    signal::Signal,
    span_encoding::SPAN_ATTRIBUTES,
    span_options::{EventsInSpans, SpanOptions},
    span_scratch::SpanScratch,
    trace_sampler::{Decision, RemoteTrace},
};

/// Where spans end up, and the rules by which they are made.
#[derive(Debug)]
pub(crate) struct SpanPipeline {
    signal: Arc<Signal>,
    pub(crate) options: SpanOptions,
    pub(crate) events: EventsInSpans,
    /// For values of the API, which no layer redacts.
    policy: Option<Arc<dyn Redact>>,
    pub(crate) layer: LayerId,
    /// `None` for callsites whose spans are not exported.
    plans: CallsitePlans<Option<CallsitePlan>>,
    /// The open spans of `tracing`.
    pub(crate) open: SpanTable<Arc<OpenSpan>>,
    /// The open spans of the API, by a number of their own.
    open_of_api: SpanTable<Arc<OpenSpan>>,
    next_of_api: AtomicU64,
    unsampled: ShardedCounter,
    has_reported_parent: AtomicBool,
}

impl SpanPipeline {
    pub(crate) fn new(
        signal: Arc<Signal>,
        options: SpanOptions,
        policy: Option<Arc<dyn Redact>>,
        exports_logs: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            signal,
            events: options.span_events(exports_logs),
            options,
            policy,
            layer: LayerId::unique(),
            plans: CallsitePlans::default(),
            open: SpanTable::default(),
            open_of_api: SpanTable::default(),
            next_of_api: AtomicU64::new(1),
            unsampled: ShardedCounter::default(),
            has_reported_parent: AtomicBool::new(false),
        })
    }

    /// Returns the plan of a callsite, or `None` if its spans are not exported.
    #[inline]
    pub(crate) fn plan(&self, callsite: &'static Metadata<'static>) -> Option<&CallsitePlan> {
        let plan = self.plans.get(callsite, |callsite| {
            let target = callsite.target();
            let level = self.options.levels.level(target);
            let is_exported = *callsite.level() <= level.unwrap_or(LevelFilter::INFO)
                && !is_of_opentelemetry(target);
            let options = PlanOptions {
                attributes_field: SPAN_ATTRIBUTES,
                limits: self.options.limits.attributes,
                code: self.options.source_location,
            };
            is_exported.then(|| CallsitePlan::new(callsite, options))
        });
        plan.as_ref()
    }

    /// Decides about a trace when its first span of this process begins. Returns the identity of
    /// that span.
    pub(crate) fn first_identity(
        &self,
        trace_id: [u8; 16],
        span_id: [u8; 8],
        flags: u8,
        remote: Option<RemoteTrace<'_>>,
    ) -> SpanIdentity {
        let Decision { is_sampled, state } = self.options.sampler.decide(trace_id, remote);
        let sampled = if is_sampled { SAMPLED } else { 0 };
        SpanIdentity::new(trace_id, span_id, flags & RANDOM | sampled, state)
    }

    pub(crate) fn policy(&self) -> Option<&dyn Redact> {
        self.policy.as_deref()
    }

    /// Returns how many spans were not exported because their traces are not sampled.
    pub(crate) fn unsampled(&self) -> u64 {
        self.unsampled.total()
    }

    /// Returns how many spans are open.
    pub(crate) fn open_spans(&self) -> usize {
        self.open.len() + self.open_of_api.len()
    }

    /// Adds a span of the API to those that are open. Returns its number.
    pub(crate) fn insert_of_api(&self, span: Arc<OpenSpan>) -> Id {
        let id = Id::from_u64(self.next_of_api.fetch_add(1, Ordering::Relaxed));
        self.open_of_api.insert(&id, span);
        id
    }

    /// Removes a span of the API that ends.
    pub(crate) fn remove_of_api(&self, id: &Id) {
        drop(self.open_of_api.remove(id));
    }

    /// Fixes the identity of a span: it stays in its trace.
    pub(crate) fn settle(span: &OpenSpan, identity: SpanIdentity) {
        if let Some(unsampled) = span.settle(identity) {
            SpanScratch::with(|scratch| scratch.keep(unsampled));
        }
    }

    /// Exports a span that ends, unless it is not sampled, has ended before, or was opened by the
    /// parent of this process.
    pub(crate) fn end(&self, span: &OpenSpan, end: SpanEnd) {
        SpanScratch::with(|scratch| {
            let SpanOptions {
                busy_times, clock, ..
            } = &self.options;
            match span.end(end, *busy_times, clock, &mut scratch.encoded) {
                EndedSpan::Exported(recorded) => scratch.keep(recorded),
                EndedSpan::Unsampled => return self.unsampled.count(),
                EndedSpan::ExportedElsewhere => return,
            }
            match &span.origin {
                SpanOrigin::Callsite(callsite) => {
                    let scope = self.plan(callsite).map_or(&[][..], |plan| &plan.scope);
                    self.signal.push(scope, &scratch.encoded, *callsite.level());
                }
                SpanOrigin::Tracer(scope) => {
                    self.signal.push(scope, &scratch.encoded, Level::INFO);
                }
            }
        });
    }

    /// Exports the spans that are open, marked as unfinished, because the process ends. Their later
    /// end is not exported.
    pub(crate) fn end_unfinished(&self) {
        for table in [&self.open, &self.open_of_api] {
            for span in table.values() {
                self.end(&span, SpanEnd::Unfinished);
            }
        }
    }

    /// Returns the start of a span that begins now.
    pub(crate) fn start(&self) -> SpanStart {
        SpanStart::now_of(&self.options.clock)
    }

    /// Reports once that the parent of a span could not be set.
    #[cold]
    pub(crate) fn report_parent(&self, span: &str, error: &dyn std::fmt::Display) {
        if !self.has_reported_parent.swap(true, Ordering::Relaxed) {
            self.options.report.fault(
                Fault::Setup,
                &format_args!(
                    "set_parent did not move the span `{span}` to the trace of its parent: {error}"
                ),
            );
        }
    }
}

/// Returns a new id of a trace: a number as that of a request id.
pub(crate) fn new_trace_id() -> [u8; 16] {
    time_ordered_bits().to_be_bytes()
}
