//! The path of a span from its start to the exporter, for `tracing` and OpenTelemetry API spans
//! alike.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use spanwise_core::{
    Fault, Redact,
    internal::{
        CallsitePlans, LayerId, SpanIdentity, SpanTable, forks,
        span_identity::{RANDOM, SAMPLED},
    },
};
use tracing_core::{Level, LevelFilter, Metadata, span::Id};

use crate::{
    logs::is_opentelemetry_target,
    open_span::{EndedSpan, OpenSpan, SpanEnd, SpanOrigin, SpanStart},
    plan::{CallsitePlan, PlanOptions},
    process_counter::ProcessCounter,
    signal::Signal,
    span_encoding::SPAN_ATTRIBUTES,
    span_options::{EventsInSpans, SpanOptions},
    span_scratch::SpanScratch,
    trace_sampler::{Decision, RemoteTrace},
};

/// The state that all spans share: options, sampler, open spans, and the signal that exports them.
#[derive(Debug)]
pub(crate) struct SpanPipeline {
    signal: Arc<Signal>,
    pub(crate) options: SpanOptions,
    /// The events that become events of their span.
    pub(crate) events: EventsInSpans,
    /// Redacts values set through the OpenTelemetry API, which bypass the redacting layer.
    policy: Option<Arc<dyn Redact>>,
    /// Distinguishes the spans that a thread entered from those of another exporter.
    pub(crate) layer: LayerId,
    /// The plans of callsites. `None` if the spans of the callsite are not exported.
    plans: CallsitePlans<Option<CallsitePlan>>,
    /// The open spans of `tracing`.
    pub(crate) open: SpanTable<Arc<OpenSpan>>,
    /// The open spans of the OpenTelemetry API, by an id from `next_api_id`.
    open_api_spans: SpanTable<Arc<OpenSpan>>,
    next_api_id: AtomicU64,
    /// The number of ended spans that were not exported, because their traces are not sampled.
    unsampled: ProcessCounter,
    has_reported_set_parent_failure: AtomicBool,
    /// The [generation](forks::generation) of the process that created the pipeline.
    generation: u32,
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
            events: options.events_or_default(exports_logs),
            options,
            policy,
            layer: LayerId::unique(),
            plans: CallsitePlans::default(),
            open: SpanTable::default(),
            open_api_spans: SpanTable::default(),
            next_api_id: AtomicU64::new(1),
            unsampled: ProcessCounter::default(),
            has_reported_set_parent_failure: AtomicBool::new(false),
            generation: forks::generation(),
        })
    }

    /// Returns the plan of a callsite, or `None` if its spans are not exported.
    #[inline]
    pub(crate) fn plan(&self, callsite: &'static Metadata<'static>) -> Option<&CallsitePlan> {
        let plan = self.plans.get(callsite, |callsite| {
            let target = callsite.target();
            let level = self.options.levels.level(target);
            let is_exported = *callsite.level() <= level.unwrap_or(LevelFilter::INFO)
                && !is_opentelemetry_target(target);
            let options = PlanOptions {
                attributes_field: SPAN_ATTRIBUTES,
                limits: self.options.limits.attributes,
                has_source_location: self.options.has_source_location,
            };
            is_exported.then(|| CallsitePlan::new(callsite, options))
        });
        plan.as_ref()
    }

    /// Makes the sampling decision for a trace, at its first span in this process. Returns the
    /// identity of that span.
    #[inline]
    pub(crate) fn sample_first_span(
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

    /// Returns how many spans this process did not export because their traces are not sampled.
    pub(crate) fn unsampled(&self) -> u64 {
        self.unsampled.total()
    }

    /// Returns how many spans of `tracing` and of the OpenTelemetry API this process has opened and
    /// not closed.
    pub(crate) fn open_spans(&self) -> usize {
        let tables = [&self.open, &self.open_api_spans];
        if forks::generation() == self.generation {
            return tables.iter().map(|table| table.len()).sum();
        }
        // A forked child has copies of the open spans of its parent.
        let spans = tables.iter().flat_map(|table| table.values());
        spans.filter(|span| span.is_of_this_process()).count()
    }

    /// Adds an open span of the OpenTelemetry API. Returns its id in `open_api_spans`.
    pub(crate) fn insert_api_span(&self, span: Arc<OpenSpan>) -> Id {
        let id = Id::from_u64(self.next_api_id.fetch_add(1, Ordering::Relaxed));
        self.open_api_spans.insert(&id, span);
        id
    }

    /// Removes a span of the OpenTelemetry API when it ends.
    pub(crate) fn remove_api_span(&self, id: &Id) {
        drop(self.open_api_spans.remove(id));
    }

    /// Stores the frozen identity of a span: the span can no longer move to another trace.
    pub(crate) fn apply_frozen_identity(span: &OpenSpan, identity: SpanIdentity) {
        if let Some(unsampled) = span.apply_frozen_identity(identity) {
            SpanScratch::with(|scratch| scratch.keep(unsampled));
        }
    }

    /// Ends a span and exports it. Does not export a span that is not sampled, that has ended
    /// before, or that the parent of this forked process opened.
    pub(crate) fn end(&self, span: &OpenSpan, end: SpanEnd) {
        SpanScratch::with(|scratch| self.end_with(scratch, span, end));
    }

    /// [Ends](Self::end) a span that `tracing` closes, and keeps its memory for the next span.
    pub(crate) fn close(&self, span: Arc<OpenSpan>) {
        SpanScratch::with(|scratch| {
            self.end_with(scratch, &span, SpanEnd::Closed);
            scratch.keep_span(span);
        });
    }

    #[inline]
    fn end_with(&self, scratch: &mut SpanScratch, span: &OpenSpan, end: SpanEnd) {
        let SpanOptions {
            has_busy_times,
            clock,
            ..
        } = &self.options;
        let recorded = match span.end(end, *has_busy_times, clock, &mut scratch.encoded) {
            EndedSpan::Exported(recorded) => recorded,
            EndedSpan::Unsampled => return self.unsampled.count(),
            EndedSpan::ExportedElsewhere => return,
        };
        let (scope, level) = match &span.origin {
            SpanOrigin::Callsite(callsite) => {
                let plan = self.plan(callsite);
                (plan.map_or(&[][..], |plan| &plan.scope), *callsite.level())
            }
            SpanOrigin::Tracer(scope) => (&**scope, Level::INFO),
        };
        let record = [&*scratch.encoded, recorded.attributes.as_bytes()];
        self.signal.push(scope, record, level);
        scratch.keep(recorded);
    }

    /// Exports all open spans, marked as unfinished, because the process ends. A span that ends
    /// later is not exported again.
    pub(crate) fn end_unfinished(&self) {
        for table in [&self.open, &self.open_api_spans] {
            for span in table.values() {
                self.end(&span, SpanEnd::Unfinished);
            }
        }
    }

    /// Returns the start of a span that begins now.
    pub(crate) fn start_now(&self) -> SpanStart {
        SpanStart::from_clock(&self.options.clock)
    }

    /// Reports that `set_parent` failed. Only the first failure is reported.
    #[cold]
    pub(crate) fn report_set_parent_failure(&self, span: &str, error: &dyn std::fmt::Display) {
        if !self
            .has_reported_set_parent_failure
            .swap(true, Ordering::Relaxed)
        {
            // Unthrottled, because later failures are not reported.
            self.options.report.fault_unthrottled(
                Fault::Setup,
                &format_args!(
                    "set_parent did not move the span `{span}` to the trace of its parent: {error}"
                ),
            );
        }
    }
}
