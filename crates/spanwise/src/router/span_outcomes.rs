//! The outcomes of the tests in filters for the fields of spans and for the context. Spans store
//! outcomes, so that their events need not run the tests again.

use std::sync::atomic::{AtomicU64, Ordering};

use spanwise_core::{
    CONTEXT_KEYS, Context as SpanContext,
    internal::{CallsitePlans, LayerId, SpanSubscriber, recorded_callsite},
};
use tracing::Metadata;
use tracing_core::{
    field::Visit,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{layer::Context, registry::SpanRef};

use super::{
    condition::{FieldTests, Outcomes},
    filter::Filters,
};

/// Runs the tests on the fields of spans, once for each value. Joins the outcomes of a span with
/// those of the spans around it and of the context, once for each span.
#[derive(Debug)]
pub(super) struct SpanTests {
    /// The bits of the tests that the fields of spans can decide.
    bits: u64,
    /// The tests of the fields of a span, by its callsite.
    by_callsite: CallsitePlans<FieldTests>,
    /// The owner of the outcomes that spans store, because another router may use the same bits for
    /// other tests.
    id: LayerId,
    /// The number of late records that may have changed the outcomes of a span. A change also
    /// affects the spans inside this span, so joined outcomes are valid only until the number
    /// changes.
    late_records: AtomicU64,
}

/// The outcomes that a span stores.
#[derive(Debug)]
struct SpanOutcomes {
    /// See [`SpanTests::id`].
    router: LayerId,
    /// The outcomes of the span's own fields.
    own: Outcomes,
    /// The value of [`SpanTests::late_records`] for which the outcomes are valid, and the joined
    /// outcomes of the span, of the spans around it, and of the context.
    joined: Option<(u64, Outcomes)>,
}

impl SpanTests {
    pub(super) fn new(filters: &Filters) -> Self {
        Self {
            bits: filters.tests.span_bits(),
            by_callsite: CallsitePlans::default(),
            id: LayerId::unique(),
            late_records: AtomicU64::new(0),
        }
    }

    /// Returns the bits of the tests that the fields of spans can decide.
    #[inline]
    pub(super) fn bits(&self) -> u64 {
        self.bits
    }

    /// Runs the tests on the fields of a new span.
    pub(super) fn on_new_span<S: SpanSubscriber>(
        &self,
        filters: &Filters,
        attrs: &Attributes<'_>,
        id: &Id,
        ctx: &Context<'_, S>,
    ) {
        if self.bits != 0 {
            let record = |visitor: &mut dyn Visit| attrs.record(visitor);
            self.record(filters, attrs.metadata(), id, ctx, record);
        }
    }

    /// Runs the tests on fields that are recorded later.
    pub(super) fn on_record<S: SpanSubscriber>(
        &self,
        filters: &Filters,
        id: &Id,
        values: &Record<'_>,
        ctx: &Context<'_, S>,
    ) {
        if self.bits != 0
            && let Some(callsite) = ctx.metadata(id)
        {
            let callsite = recorded_callsite(values, callsite);
            let record = |visitor: &mut dyn Visit| values.record(visitor);
            if self.record(filters, callsite, id, ctx, record) {
                self.late_records.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Runs the tests on values of a span, and stores the outcomes. Returns whether a value has a
    /// test.
    fn record<S: SpanSubscriber>(
        &self,
        filters: &Filters,
        callsite: &'static Metadata<'static>,
        id: &Id,
        ctx: &Context<'_, S>,
        record: impl FnOnce(&mut dyn Visit),
    ) -> bool {
        let fields = self.by_callsite.get(callsite, |callsite| {
            filters.tests.field_tests(callsite.fields(), self.bits)
        });
        let outcomes = filters.tests.run(fields, record);
        if outcomes.known == 0 {
            return false;
        }
        if let Some(span) = ctx.span(id) {
            self.update(&span, |stored| stored.own = outcomes.or(stored.own));
        }
        true
    }

    /// Returns the joined outcomes of a span, of the spans around it, and of the context. Not
    /// inlined, because the filters of most events test only fields of the event.
    #[inline(never)]
    pub(super) fn joined<S: SpanSubscriber>(
        &self,
        filters: &Filters,
        span: &SpanRef<'_, S>,
    ) -> Outcomes {
        let late_records = self.late_records.load(Ordering::Acquire);
        let cached = span.extensions().get::<SpanOutcomes>().and_then(|stored| {
            let (valid_for, joined) = stored.joined.filter(|_| stored.router == self.id)?;
            (valid_for == late_records).then_some(joined)
        });
        cached.unwrap_or_else(|| {
            let joined = self.join(filters, span);
            self.update(span, |stored| stored.joined = Some((late_records, joined)));
            joined
        })
    }

    /// Joins the outcomes of a span with those of the spans around it and of the context.
    fn join<S: SpanSubscriber>(&self, filters: &Filters, span: &SpanRef<'_, S>) -> Outcomes {
        let mut joined = Outcomes::default();
        for outer in span.scope() {
            if let Some(stored) = outer.extensions().get::<SpanOutcomes>()
                && stored.router == self.id
            {
                joined = joined.or(stored.own);
            }
        }
        let missing = self.bits & !joined.known;
        if missing == 0 {
            return joined;
        }
        let context = SpanContext::from_span(span);
        let is_context_key = |name: &str| {
            CONTEXT_KEYS.contains(&name) || filters.context_keys.iter().any(|key| key == name)
        };
        joined.or(filters.tests.run_on_texts(missing, |name| {
            is_context_key(name).then(|| context.get(name)).flatten()
        }))
    }

    /// Changes the outcomes that a span stores. Outcomes of another router are dropped first.
    fn update<S: SpanSubscriber>(
        &self,
        span: &SpanRef<'_, S>,
        change: impl FnOnce(&mut SpanOutcomes),
    ) {
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<SpanOutcomes>() {
            Some(stored) if stored.router == self.id => change(stored),
            _ => {
                let mut new = SpanOutcomes {
                    router: self.id,
                    own: Outcomes::default(),
                    joined: None,
                };
                change(&mut new);
                extensions.replace(new);
            }
        }
    }
}
