//! The layer that collects the [`Context`](crate::Context) of each span.

use std::{cell::Cell, fmt, iter, ops::Range, sync::Arc};

use tracing::{Dispatch, Subscriber};
use tracing_core::{
    Field, Interest, Metadata,
    field::Visit,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context as LayerContext, registry::LookupSpan};

use crate::{
    KeyVerdict, NoRedaction, REDACTED, Redact,
    context_callsites::{begins_unit, pins_context, recorded_callsite},
    internal::{CallsitePlans, FilterInterop, KeyVerdicts, LayerId, SpanData, panic_safe},
    redact,
    span_context::{CONTEXT_KEYS, Entry, Inherited, MAX_CONTEXT_VALUE_LEN},
};

/// Collects the [`Context`](crate::Context) of each span from its fields, at creation and at later
/// `record` calls.
///
/// It writes nothing and filters nothing. The context keys are [`CONTEXT_KEYS`] and the keys that
/// [`key`](Self::key) adds. Values are stored as text and cut at 1,024 bytes.
/// [`context::set`](crate::context::set) adds values later, even if no span declares the field.
#[derive(Debug)]
pub struct ContextLayer {
    id: LayerId,
    more_keys: Vec<String>,
    redact: Arc<dyn Redact>,
    plans: CallsitePlans<Plan>,
    filter_interop: FilterInterop,
}

/// The context fields of a callsite.
#[derive(Debug)]
struct Plan {
    keys: Vec<KeyField>,
    is_pinned: bool,
    begins_unit: bool,
}

/// A field that is a context key.
#[derive(Debug)]
struct KeyField {
    index: usize,
    key: &'static str,
    verdicts: KeyVerdicts,
}

impl ContextLayer {
    /// Declares a context key. Declaring a key twice has no effect.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.more_keys.push(key.into());
        self
    }

    /// Sets the policy that redacts context values. Defaults to [`NoRedaction`].
    #[must_use]
    pub fn redact(mut self, policy: Arc<dyn Redact>) -> Self {
        self.redact = policy;
        self
    }

    pub(crate) fn declares(&self, name: &str) -> bool {
        CONTEXT_KEYS.contains(&name) || self.more_keys.iter().any(|key| key == name)
    }

    fn plan(&self, callsite: &'static Metadata<'static>) -> &Plan {
        self.plans.get(callsite, |callsite| {
            let fields = callsite.fields().iter();
            let keys = fields.filter(|field| self.declares(field.name()));
            let keys = keys.map(|field| KeyField {
                index: field.index(),
                key: field.name(),
                verdicts: self.redact.verdicts(field.name()),
            });
            Plan {
                keys: keys.collect(),
                is_pinned: pins_context(callsite),
                begins_unit: begins_unit(callsite),
            }
        })
    }

    /// Collects values. This formats the values, so the caller must not have locked the span.
    fn collect(&self, keys: &[KeyField], record: impl FnOnce(&mut dyn Visit)) -> Box<Draft> {
        let mut collector = Collector {
            keys,
            redact: &*self.redact,
            draft: Draft::take(),
        };
        record(&mut collector);
        collector.draft
    }
}

impl Default for ContextLayer {
    fn default() -> Self {
        Self {
            id: LayerId::unique(),
            more_keys: Vec::new(),
            redact: Arc::new(NoRedaction),
            plans: CallsitePlans::default(),
            filter_interop: FilterInterop::default(),
        }
    }
}

impl<S> Layer<S> for ContextLayer
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.filter_interop.detect(dispatch);
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.filter_interop.interest_in_all()
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let plan = self.plan(attrs.metadata());
        let own = (!plan.keys.is_empty())
            .then(|| self.collect(&plan.keys, |visitor| attrs.record(visitor)));
        let Some(span) = ctx.span(id) else { return };
        let parent = span
            .parent()
            .and_then(|parent| SpanData::<Inherited>::find(Some(self.id), &parent));
        let data = match (own, parent) {
            // A span without context fields shares the data of its parent.
            (None, Some(parent)) if !plan.begins_unit => parent,
            // A unit of work has its own data, so that `context::set` can change it.
            (None, parent) => SpanData::new(parent.as_ref(), |parent| {
                Inherited::new(iter::empty(), parent)
            }),
            (Some(own), parent) => {
                let data = SpanData::new(parent.as_ref(), |parent| {
                    Inherited::new(own.iter(plan.is_pinned), parent)
                });
                own.put_back();
                data
            }
        };
        data.attach(self.id, &span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: LayerContext<'_, S>) {
        let Some(callsite) = ctx.metadata(id) else {
            return;
        };
        let plan = self.plan(recorded_callsite(values, callsite));
        if plan.keys.is_empty() {
            return;
        }
        let recorded = self.collect(&plan.keys, |visitor| values.record(visitor));
        let data = (!recorded.keys.is_empty())
            .then(|| ctx.span(id))
            .flatten()
            .and_then(|span| SpanData::<Inherited>::find(Some(self.id), &span));
        if let Some(data) = data {
            data.update(|inherited, parent| {
                let recorded = recorded.iter(plan.is_pinned);
                let is_new = |key: &str| recorded.clone().any(|new| new.key == key);
                let kept = inherited.own().filter(|own| !is_new(own.key));
                Inherited::new(kept.chain(recorded.clone()), parent)
            });
        }
        recorded.put_back();
    }
}

/// The entries of a span while its values are formatted. Each thread reuses its memory.
#[derive(Debug, Default)]
struct Draft {
    keys: Vec<(&'static str, Range<usize>)>,
    text: String,
}

thread_local! {
    static DRAFT: Cell<Option<Box<Draft>>> = const { Cell::new(None) };
}

impl Draft {
    /// Takes the draft of the thread. If a value opens another span while it is formatted, that
    /// span uses a new draft.
    fn take() -> Box<Self> {
        let kept = DRAFT.try_with(Cell::take).ok().flatten();
        kept.unwrap_or_default()
    }

    fn put_back(mut self: Box<Self>) {
        self.keys.clear();
        self.text.clear();
        // An ending thread cannot store the draft.
        let _ = DRAFT.try_with(|draft| draft.set(Some(self)));
    }

    fn iter(&self, is_pinned: bool) -> impl Iterator<Item = Entry<'_>> + Clone {
        self.keys.iter().map(move |(key, range)| Entry {
            key,
            value: &self.text[range.clone()],
            is_pinned,
        })
    }
}

struct Collector<'a> {
    keys: &'a [KeyField],
    redact: &'a dyn Redact,
    draft: Box<Draft>,
}

impl<'a> Collector<'a> {
    fn key(&self, field: &Field) -> Option<&'a KeyField> {
        self.keys.iter().find(|key| key.index == field.index())
    }

    fn add(&mut self, verdict: KeyVerdict, key: &KeyField, value: fmt::Arguments<'_>) {
        let text = &mut self.draft.text;
        let start = text.len();
        let mut push = |shown: &str| {
            text.push_str(panic_safe::truncate_at(shown, MAX_CONTEXT_VALUE_LEN));
        };
        match verdict {
            KeyVerdict::Remove => return,
            KeyVerdict::Redact => push(REDACTED),
            KeyVerdict::Text | KeyVerdict::Pass if self.redact.reads_text() => {
                push(&redact::redacted_display(self.redact, key.key, value));
            }
            KeyVerdict::Replace => push(&self.redact.replace_display(key.key, value)),
            KeyVerdict::Text | KeyVerdict::Pass | KeyVerdict::Trust => {
                panic_safe::format_into(text, value, MAX_CONTEXT_VALUE_LEN);
            }
        }
        self.finish(key, start);
    }

    fn add_number(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if let Some(key) = self.key(field) {
            self.add(key.verdicts.number, key, value);
        }
    }

    /// Ends the value of `key`, which starts at offset `start` of the text. The last value of a
    /// field wins.
    fn finish(&mut self, key: &KeyField, start: usize) {
        let draft = &mut *self.draft;
        draft.keys.retain(|(known, _)| *known != key.key);
        draft.keys.push((key.key, start..draft.text.len()));
    }
}

impl Visit for Collector<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(key) = self.key(field) {
            self.add(key.verdicts.text, key, format_args!("{value:?}"));
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add_number(field, format_args!("{value:?}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add_number(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add_number(field, format_args!("{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.add_number(field, format_args!("{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.add_number(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if let Some(key) = self.key(field) {
            self.add(key.verdicts.boolean, key, format_args!("{value}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let Some(key) = self.key(field) else { return };
        let is_unchanged = match key.verdicts.text {
            KeyVerdict::Trust => true,
            KeyVerdict::Text | KeyVerdict::Pass => !self.redact.reads_text(),
            KeyVerdict::Remove | KeyVerdict::Redact | KeyVerdict::Replace => false,
        };
        // Avoids the cost of formatting.
        if is_unchanged && value.len() <= MAX_CONTEXT_VALUE_LEN {
            let start = self.draft.text.len();
            self.draft.text.push_str(value);
            self.finish(key, start);
        } else {
            self.add(key.verdicts.text, key, format_args!("{value}"));
        }
    }
}
