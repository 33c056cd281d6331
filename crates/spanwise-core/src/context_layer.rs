//! Who a line belongs to: `request_id`, `tenant_id` and the like, inherited down the span tree.

use std::{cell::Cell, fmt, iter, ops::Range, sync::Arc};

use tracing::{Dispatch, Event, Subscriber};
use tracing_core::{
    Field, Interest, Metadata,
    field::Visit,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer, Registry,
    layer::Context as LayerContext,
    registry::{LookupSpan, SpanRef},
};

use crate::{
    KeyVerdict, NoRedaction, REDACTED, Redact,
    context_set::{self, pins_context, recorded_callsite},
    internal::{CallsitePlans, FilterInterop, Inherit, KeyVerdicts, LayerId, SpanData, panic_safe},
    redact,
};

/// The keys that every [`ContextLayer`] knows: a span field of such a name enters the context.
pub const CONTEXT_KEYS: [&str; 5] = ["request_id", "tenant_id", "user_id", "trace_id", "span_id"];

/// A context value is cut at this many bytes: it is copied to lines, headers and metric labels.
pub const MAX_CONTEXT_VALUE_LEN: usize = 1024;

/// The context of a span: what it and the spans above it said under the declared keys.
///
/// The nearest span wins. A value that [`set`] or the HTTP layer decided is replaced by another
/// such value alone.
///
/// Cheap to clone. Empty outside any span, and where no [`ContextLayer`] is installed.
///
/// ```
/// use spanwise_core::{Context, ContextLayer};
/// use tracing_subscriber::prelude::*;
///
/// let stack = tracing_subscriber::registry().with(ContextLayer::default().key("order_id"));
/// let _default = stack.set_default();
///
/// let request = tracing::info_span!("request", request_id = "r-1", order_id = tracing::field::Empty);
/// let _entered = request.enter();
/// let _inner = tracing::info_span!("load").entered();
/// request.record("order_id", 42);
///
/// let context = Context::current();
/// assert_eq!(context.get("request_id"), Some("r-1"));
/// assert_eq!(context.iter().collect::<Vec<_>>(), [("request_id", "r-1"), ("order_id", "42")]);
/// ```
#[derive(Clone, Default)]
pub struct Context {
    entries: Option<Arc<Entries>>,
}

/// Keys with their values, which stand one after the other in one text. Open spans hold them: they
/// take no more than they need.
#[derive(Debug)]
struct Entries {
    keys: Box<[Key]>,
    text: Box<str>,
}

#[derive(Debug, Clone, Copy)]
struct Key {
    name: &'static str,
    is_pinned: bool,
    /// Where its value ends in the text.
    end: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    key: &'static str,
    value: &'a str,
    /// No other span of the program replaces it.
    is_pinned: bool,
}

impl Context {
    /// The context of the current span: for a response header, an outgoing call, a metric label.
    ///
    /// No user code runs and nothing is formatted. Works under any subscriber built on [`Registry`].
    #[must_use]
    pub fn current() -> Self {
        tracing::dispatcher::get_default(|dispatch| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            let current = registry.current_span();
            Some(Self::from_span(&registry.span(current.id()?)?))
        })
        .unwrap_or_default()
    }

    /// The context of `span`: one look-up, however deep the span.
    #[must_use]
    pub fn from_span<R: for<'s> LookupSpan<'s>>(span: &SpanRef<'_, R>) -> Self {
        SpanData::<Inherited>::find(None, span)
            .map(|node| node.read(|inherited| inherited.all.clone()))
            .unwrap_or_default()
    }

    /// The context an event belongs to: that of its explicit parent, else of the current span.
    #[must_use]
    pub fn from_event<S>(event: &Event<'_>, ctx: &LayerContext<'_, S>) -> Self
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        ctx.event_span(event)
            .map(|span| Self::from_span(&span))
            .unwrap_or_default()
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// The value of `key`, if [`set`] or the HTTP layer decided it: no field of a span or an event
    /// has it instead.
    #[must_use]
    pub fn pinned(&self, key: &str) -> Option<&str> {
        let mut entries = self.entries.iter().flat_map(|entries| entries.iter());
        let entry = entries.find(|entry| entry.key == key)?;
        entry.is_pinned.then_some(entry.value)
    }

    /// Keys with their values: those of the outermost span first, each span's in the order of its fields.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let entries = self.entries.iter().flat_map(|entries| entries.iter());
        entries.map(|entry| (entry.key, entry.value))
    }

    /// True where there is no context at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_none()
    }
}

impl Entries {
    fn new<'a>(entries: impl Iterator<Item = Entry<'a>> + Clone) -> Self {
        let lens = entries.clone().map(|entry| entry.value.len());
        let (count, len) = lens.fold((0, 0), |(count, sum), len| (count + 1, sum + len));
        let (mut keys, mut text) = (Vec::with_capacity(count), String::with_capacity(len));
        for entry in entries {
            text.push_str(entry.value);
            keys.push(Key {
                name: entry.key,
                is_pinned: entry.is_pinned,
                end: text.len() as u32,
            });
        }
        Self {
            keys: keys.into(),
            text: text.into(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = Entry<'_>> + Clone {
        let mut start = 0;
        self.keys.iter().map(move |key| {
            let value = &self.text[start..key.end as usize];
            start = key.end as usize;
            Entry {
                key: key.name,
                value,
                is_pinned: key.is_pinned,
            }
        })
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

struct Inherited {
    /// How many of the entries, from the last, are the span's own.
    own_len: u32,
    all: Context,
}

impl Inherited {
    /// The inherited entries first, without those that are own ones too.
    fn new<'a>(own: impl Iterator<Item = Entry<'a>> + Clone, parent: Option<&'a Self>) -> Self {
        let outer = parent.and_then(|parent| parent.all.entries.as_ref());
        let Some(outer) = outer else {
            let count = own.clone().count() as u32;
            return Self {
                own_len: count,
                all: Context {
                    entries: (count > 0).then(|| Arc::new(Entries::new(own))),
                },
            };
        };
        // What was decided above stands, unless it is decided again.
        let own = own.filter(|own| {
            own.is_pinned
                || !outer
                    .iter()
                    .any(|outer| outer.key == own.key && outer.is_pinned)
        });
        let count = own.clone().count() as u32;
        let entries = if count > 0 {
            let is_own = |key: &str| own.clone().any(|own| own.key == key);
            let inherited = outer.iter().filter(|outer| !is_own(outer.key));
            Arc::new(Entries::new(inherited.chain(own.clone())))
        } else {
            Arc::clone(outer)
        };
        Self {
            own_len: count,
            all: Context {
                entries: Some(entries),
            },
        }
    }

    fn own(&self) -> impl Iterator<Item = Entry<'_>> + Clone {
        let own = self.own_len as usize;
        self.all.entries.iter().flat_map(move |entries| {
            let inherited = entries.keys.len() - own;
            entries.iter().skip(inherited)
        })
    }
}

impl Inherit for Inherited {
    fn rebuild(&self, parent: Option<&Self>) -> Self {
        Self::new(self.own(), parent)
    }
}

/// The entries of a span while its values are formatted: memory that each thread keeps.
#[derive(Debug, Default)]
struct Draft {
    keys: Vec<(&'static str, Range<usize>)>,
    text: String,
}

thread_local! {
    static DRAFT: Cell<Option<Box<Draft>>> = const { Cell::new(None) };
}

impl Draft {
    /// The thread's. A span that is opened by a value of another finds it taken.
    fn take() -> Box<Self> {
        let kept = DRAFT.try_with(Cell::take).ok().flatten();
        kept.unwrap_or_default()
    }

    fn put_back(mut self: Box<Self>) {
        self.keys.clear();
        self.text.clear();
        // A thread that is ending keeps nothing.
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

/// Collects the [`Context`] of each span from its fields, at creation and by late `record`.
///
/// It writes nothing and filters nothing. Default keys: [`CONTEXT_KEYS`]; add yours with [`ContextLayer::key`]. Values are kept
/// as text, at most 1,024 bytes of it. [`set`] adds what becomes known later, in spans that do not
/// declare it.
#[derive(Debug)]
pub struct ContextLayer {
    id: LayerId,
    more_keys: Vec<String>,
    redact: Arc<dyn Redact>,
    plans: CallsitePlans<Plan>,
    filter_interop: FilterInterop,
}

/// What of a callsite is context.
#[derive(Debug)]
struct Plan {
    keys: Vec<KeyField>,
    is_pinned: bool,
    begins_unit: bool,
}

/// A field of a span's callsite that is a context key.
#[derive(Debug)]
struct KeyField {
    index: usize,
    key: &'static str,
    verdicts: KeyVerdicts,
}

impl ContextLayer {
    /// Declares one more context key. Declaring a key twice changes nothing.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.more_keys.push(key.into());
        self
    }

    /// Hides context values as `policy` says. Default: [`NoRedaction`].
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
                begins_unit: context_set::begins_unit(callsite),
            }
        })
    }

    /// Formats values: nothing of the span may be locked.
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
        self.filter_interop.interest()
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let plan = self.plan(attrs.metadata());
        let own = (!plan.keys.is_empty())
            .then(|| self.collect(&plan.keys, |visitor| attrs.record(visitor)));
        let Some(span) = ctx.span(id) else { return };
        let parent = span
            .parent()
            .and_then(|parent| SpanData::<Inherited>::find(Some(self.id), &parent));
        let node = match (own, parent) {
            // A span that adds nothing shares its parent's node.
            (None, Some(parent)) if !plan.begins_unit => parent,
            // But a unit has room of its own for what becomes known later.
            (None, parent) => SpanData::new(parent.as_ref(), |parent| {
                Inherited::new(iter::empty(), parent)
            }),
            (Some(own), parent) => {
                let node = SpanData::new(parent.as_ref(), |parent| {
                    Inherited::new(own.iter(plan.is_pinned), parent)
                });
                own.put_back();
                node
            }
        };
        node.attach(self.id, &span);
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
        let node = (!recorded.keys.is_empty())
            .then(|| ctx.span(id))
            .flatten()
            .and_then(|span| SpanData::<Inherited>::find(Some(self.id), &span));
        if let Some(node) = node {
            node.update(|inherited, parent| {
                let recorded = recorded.iter(plan.is_pinned);
                let is_new = |key: &str| recorded.clone().any(|new| new.key == key);
                let kept = inherited.own().filter(|own| !is_new(own.key));
                Inherited::new(kept.chain(recorded.clone()), parent)
            });
        }
        recorded.put_back();
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

    fn add(&mut self, key: &KeyField, value: fmt::Arguments<'_>) {
        self.add_as(key.verdicts.text, key, value);
    }

    fn add_as(&mut self, verdict: KeyVerdict, key: &KeyField, value: fmt::Arguments<'_>) {
        let text = &mut self.draft.text;
        let start = text.len();
        match verdict {
            KeyVerdict::Remove => return,
            KeyVerdict::Redact => text.push_str(REDACTED),
            KeyVerdict::Text | KeyVerdict::Pass if self.redact.reads_text() => {
                text.push_str(panic_safe::truncate_at(
                    &redact::redacted_display(self.redact, key.key, value),
                    MAX_CONTEXT_VALUE_LEN,
                ));
            }
            KeyVerdict::Replace => {
                let shown = self.redact.replace_display(key.key, value);
                text.push_str(panic_safe::truncate_at(&shown, MAX_CONTEXT_VALUE_LEN));
            }
            KeyVerdict::Text | KeyVerdict::Pass | KeyVerdict::Trust => {
                panic_safe::format_into(text, value, MAX_CONTEXT_VALUE_LEN);
            }
        }
        self.added(key, start);
    }

    fn add_number(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if let Some(key) = self.key(field) {
            self.add_as(key.verdicts.number, key, value);
        }
    }

    /// The value of `key` is what stands in the text from `start` on. Of a field given twice the last value stands.
    fn added(&mut self, key: &KeyField, start: usize) {
        let draft = &mut *self.draft;
        draft.keys.retain(|(known, _)| *known != key.key);
        draft.keys.push((key.key, start..draft.text.len()));
    }
}

impl Visit for Collector<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(key) = self.key(field) {
            self.add(key, format_args!("{value:?}"));
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
            self.add_as(key.verdicts.boolean, key, format_args!("{value}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let Some(key) = self.key(field) else { return };
        let is_unchanged = match key.verdicts.text {
            KeyVerdict::Trust => true,
            KeyVerdict::Text | KeyVerdict::Pass => !self.redact.reads_text(),
            KeyVerdict::Remove | KeyVerdict::Redact | KeyVerdict::Replace => false,
        };
        if is_unchanged && value.len() <= MAX_CONTEXT_VALUE_LEN {
            let start = self.draft.text.len();
            self.draft.text.push_str(value);
            self.added(key, start);
        } else {
            self.add(key, format_args!("{value}"));
        }
    }
}
