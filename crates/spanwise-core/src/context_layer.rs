//! The layer that collects the [`Context`](crate::Context) of each span, such as its request id.

use std::{cell::Cell, fmt, ops::Range, ptr, sync::Arc};

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
    internal::{CallsitePlans, FilterInterop, KeyVerdicts, LayerId, panic_safe},
    span_context::{CONTEXT_KEYS, ContextNode, Entries, Entry, MAX_CONTEXT_VALUE_LEN, PolicyStep},
};

/// Collects the [`Context`](crate::Context) of each span from its fields, at creation and at later
/// `record` calls.
///
/// It writes nothing and filters nothing. The context keys are [`CONTEXT_KEYS`] and the keys that
/// [`key`](Self::key) adds. Values are stored as text and cut at 1,024 bytes.
/// [`context::set`](crate::context::set) adds values later, even if no span declares the field.
///
/// One layer serves all sinks of a stack. If a stack has several of these layers, a `Context` has
/// only the values of the layer that receives the root span first.
#[derive(Debug)]
pub struct ContextLayer {
    id: LayerId,
    /// The keys that [`key`](Self::key) declares.
    custom_keys: Vec<String>,
    policy: Arc<dyn Redact>,
    plans: CallsitePlans<Plan>,
    filter_interop: FilterInterop,
}

/// The context fields of a callsite.
#[derive(Debug)]
struct Plan {
    keys: Vec<KeyField>,
    /// Whether the values are pinned: only another pinned value replaces them.
    is_pinned: bool,
    /// Whether a span of the callsite begins a unit of work (a root span with all spans inside it)
    /// of its own, even inside another one.
    begins_unit: bool,
}

/// A field that is a context key.
#[derive(Debug)]
struct KeyField {
    index: usize,
    key: &'static str,
    verdicts: KeyVerdicts,
}

impl Plan {
    /// Returns whether a span of the callsite has its own [`ContextNode`], which stores its values.
    /// The first span of a unit of work always has one, because `context::set` adds values to it.
    /// Any other span without context fields needs none, so readers use the node of an ancestor.
    fn has_own_node(&self, has_parent: bool) -> bool {
        !self.keys.is_empty() || self.begins_unit || !has_parent
    }
}

impl ContextLayer {
    /// Declares a context key. Declaring a key again has no effect.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.custom_keys.push(key.into());
        self
    }

    /// Sets the policy that redacts context values. Defaults to [`NoRedaction`].
    #[must_use]
    pub fn redact(mut self, policy: Arc<dyn Redact>) -> Self {
        self.policy = policy;
        self
    }

    pub(crate) fn declares(&self, name: &str) -> bool {
        CONTEXT_KEYS.contains(&name) || self.custom_keys.iter().any(|key| key == name)
    }

    fn plan(&self, callsite: &'static Metadata<'static>) -> &Plan {
        self.plans.get(callsite, |callsite| {
            let fields = callsite.fields().iter();
            let keys = fields.filter(|field| self.declares(field.name()));
            let keys = keys.map(|field| KeyField {
                index: field.index(),
                key: field.name(),
                verdicts: self.policy.verdicts(field.name()),
            });
            Plan {
                keys: keys.collect(),
                is_pinned: pins_context(callsite),
                begins_unit: begins_unit(callsite),
            }
        })
    }

    /// Formats and collects the values of `keys`. The caller must not hold a lock on the extensions
    /// of the span, because formatting may run user code that logs.
    fn collect(&self, keys: &[KeyField], record: impl FnOnce(&mut dyn Visit)) -> Box<Draft> {
        let mut collector = Collector {
            keys,
            policy: &*self.policy,
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
            custom_keys: Vec::new(),
            policy: Arc::new(NoRedaction),
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
        self.filter_interop.always_or_sometimes()
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let plan = self.plan(attrs.metadata());
        let draft = (!plan.keys.is_empty())
            .then(|| self.collect(&plan.keys, |visitor| attrs.record(visitor)));
        let Some(span) = ctx.span(id) else { return };
        let parent = span.parent();
        let has_own_node = plan.has_own_node(parent.is_some());
        if !has_own_node && !stores_shortcut(id) {
            return;
        }
        let parent = parent.and_then(|parent| ContextNode::find(Some(self.id), &parent));
        let node = match (draft, parent) {
            (None, Some(parent)) if !has_own_node => parent,
            (draft, parent) => {
                let draft = draft.unwrap_or_else(Draft::take);
                let node = ContextNode::new(&span, parent, draft.to_entries(plan, &self.policy));
                draft.put_back();
                node
            }
        };
        node.attach(self.id, &span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: LayerContext<'_, S>) {
        let Some(span) = ctx.span(id) else {
            return;
        };
        let callsite = recorded_callsite(values, span.metadata());
        let plan = self.plan(callsite);
        if plan.keys.is_empty() {
            return;
        }
        // With another callsite than that of the span, the values are either from `context::set`,
        // which finds a span that has its own node, or the trace and span id of an exported span,
        // which may have none. Such ids would change the node of an ancestor. They are not needed,
        // because readers take them from the `SpanIdentity` of the span.
        if !ptr::eq(callsite, span.metadata()) {
            let own_plan = self.plan(span.metadata());
            if !own_plan.has_own_node(span.parent().is_some()) {
                return;
            }
        }
        let draft = self.collect(&plan.keys, |visitor| values.record(visitor));
        if !draft.entries.is_empty()
            && let Some(node) = ContextNode::find(Some(self.id), &span)
        {
            node.record(draft.iter(plan.is_pinned), &self.policy);
        }
        draft.put_back();
    }
}

/// The number of bytes that is reserved for each value that may be recorded after its span was
/// opened. Most such values are short, such as a user id.
const LATE_VALUE_LEN: usize = 12;

/// Returns whether a span without its own node stores the node of its nearest ancestor as a
/// shortcut. One span in 16 does, so the average number of look-ups does not grow with the depth of
/// the spans. The span id decides, because it is known without a look-up.
fn stores_shortcut(id: &Id) -> bool {
    // The four top bits of a multiplicative hash. They are all zero for one id in 16.
    id.into_u64().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60 == 0
}

/// The entries of a span while its values are formatted. Each thread reuses the memory of its last
/// draft.
#[derive(Debug, Default)]
struct Draft {
    /// The key of each entry, the range of its value in `text`, and the policy step that remains.
    entries: Vec<(&'static str, Range<usize>, PolicyStep)>,
    text: String,
}

thread_local! {
    static DRAFT: Cell<Option<Box<Draft>>> = const { Cell::new(None) };
}

impl Draft {
    /// Takes the draft of the thread. If a value opens another span while it is formatted, that
    /// span uses a new draft.
    fn take() -> Box<Self> {
        let reused = DRAFT.try_with(Cell::take).ok().flatten();
        reused.unwrap_or_default()
    }

    /// Clears the draft and returns it to the thread.
    fn put_back(mut self: Box<Self>) {
        self.entries.clear();
        self.text.clear();
        // An ending thread cannot store the draft.
        let _ = DRAFT.try_with(|draft| draft.set(Some(self)));
    }

    /// Returns the entries. Reserves room for a short value of each context field that has no value
    /// yet.
    fn to_entries(&self, plan: &Plan, policy: &Arc<dyn Redact>) -> Entries {
        let keys_without_value = plan.keys.len().saturating_sub(self.entries.len());
        let text_len = self.text.len() + keys_without_value * LATE_VALUE_LEN;
        let mut entries = Entries::with_capacity(plan.keys.len(), text_len);
        for entry in self.iter(plan.is_pinned) {
            entries.push(entry, Some(policy));
        }
        entries
    }

    fn iter(&self, is_pinned: bool) -> impl Iterator<Item = Entry<'_>> + Clone {
        let entries = self.entries.iter();
        entries.map(move |(key, range, policy_step)| Entry {
            key,
            value: &self.text[range.clone()],
            is_pinned,
            policy_step: *policy_step,
        })
    }
}

struct Collector<'a> {
    keys: &'a [KeyField],
    policy: &'a dyn Redact,
    draft: Box<Draft>,
}

impl<'a> Collector<'a> {
    fn key(&self, field: &Field) -> Option<&'a KeyField> {
        self.keys.iter().find(|key| key.index == field.index())
    }

    /// Returns the step that the policy must still take for the text of a value. Returns `None` if
    /// the verdict forbids storing the text.
    fn policy_step(&self, verdict: KeyVerdict) -> Option<PolicyStep> {
        match verdict {
            KeyVerdict::Remove | KeyVerdict::Redact => None,
            KeyVerdict::Replace => Some(PolicyStep::MustReplace),
            KeyVerdict::Text | KeyVerdict::Pass if self.policy.reads_text() => {
                Some(PolicyStep::MustScan)
            }
            KeyVerdict::Text | KeyVerdict::Pass | KeyVerdict::Trust => Some(PolicyStep::Done),
        }
    }

    /// Formats `value` and adds its entry. Does not format the value if `verdict` hides it.
    fn add(&mut self, verdict: KeyVerdict, key: &KeyField, value: fmt::Arguments<'_>) {
        let Some(step) = self.policy_step(verdict) else {
            if verdict == KeyVerdict::Redact {
                self.add_str(key, REDACTED, PolicyStep::Done);
            }
            return;
        };
        let text = &mut self.draft.text;
        let start = text.len();
        if step == PolicyStep::Done {
            panic_safe::format_into(text, value, MAX_CONTEXT_VALUE_LEN);
            return self.add_entry(key, start, step);
        }
        panic_safe::format_into(text, value, <dyn Redact>::MAX_COLLECT_LEN);
        if text.len() - start <= MAX_CONTEXT_VALUE_LEN {
            return self.add_entry(key, start, step);
        }
        // Redact before truncating, because the policy does not recognize a part of a secret.
        let whole = text.split_off(start);
        let shown = match step {
            PolicyStep::MustReplace => self.policy.replace_text(key.key, &whole),
            _ => self.policy.redact_value(key.key, &whole).into_owned(),
        };
        let shown = panic_safe::truncate_at(&shown, MAX_CONTEXT_VALUE_LEN);
        self.add_str(key, shown, PolicyStep::Done);
    }

    fn add_str(&mut self, key: &KeyField, value: &str, step: PolicyStep) {
        let start = self.draft.text.len();
        self.draft.text.push_str(value);
        self.add_entry(key, start, step);
    }

    fn add_number(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if let Some(key) = self.key(field) {
            self.add(key.verdicts.number, key, value);
        }
    }

    /// Adds the entry of `key`, in place of an earlier one. Its value is the text of the draft from
    /// the byte offset `start`.
    fn add_entry(&mut self, key: &KeyField, start: usize, step: PolicyStep) {
        let draft = &mut *self.draft;
        draft.entries.retain(|(known, ..)| *known != key.key);
        let value = start..draft.text.len();
        draft.entries.push((key.key, value, step));
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
        match u64::try_from(value) {
            Ok(value) => self.record_u64(field, value),
            Err(_) => self.add_number(field, format_args!("{value}")),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let Some(key) = self.key(field) else { return };
        match self.policy_step(key.verdicts.number) {
            // Avoids the cost of formatting.
            Some(step @ PolicyStep::Done) => {
                self.add_str(key, itoa::Buffer::new().format(value), step);
            }
            _ => self.add(key.verdicts.number, key, format_args!("{value}")),
        }
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
        match self.policy_step(key.verdicts.text) {
            // Avoids the cost of formatting.
            Some(step) if value.len() <= MAX_CONTEXT_VALUE_LEN => self.add_str(key, value, step),
            _ => self.add(key.verdicts.text, key, format_args!("{value}")),
        }
    }
}
