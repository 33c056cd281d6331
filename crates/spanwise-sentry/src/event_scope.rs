//! The tags, user, trace and fields that an event inherits from its enclosing spans.

use std::sync::Arc;

use sentry_core::protocol::{Map, SpanId, TraceId, Value};
use spanwise_core::{CONTEXT_KEYS, REDACTED, internal::SpanIdentity};

use crate::{
    fields::{field_value, text_of},
    ids,
    open_spans::{OpenSpan, Unit},
    tags::Tags,
};

/// The data that an event inherits from its enclosing spans.
#[derive(Debug)]
pub(crate) struct EventScope {
    pub(crate) tags: Tags,
    pub(crate) user_id: Option<String>,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    /// A map from the name of each span to its fields.
    pub(crate) spans: Map<String, Value>,
    pub(crate) transaction: Option<String>,
}

/// The keys of the fields that become tags, and the static tags.
#[derive(Debug, Clone, Default)]
pub(crate) struct TagKeys {
    /// The keys that [`tag`](crate::SentryBuilder::tag) adds to the built-in ones.
    added: Vec<String>,
    /// The tags of [`static_tag`](crate::SentryBuilder::static_tag), which every event has.
    static_tags: Tags,
}

/// The fields of at most this many spans are sent, the nearest first.
const MAX_SPANS: usize = 32;

impl TagKeys {
    pub(crate) fn add(&mut self, key: String) {
        self.added.push(key);
    }

    /// Adds a static tag, unless its value is redacted. Returns `false` if Sentry would refuse the
    /// tag, which is then not added.
    pub(crate) fn add_static(&mut self, tag: &str, value: &Value) -> bool {
        let refused_before = self.static_tags.refused;
        self.static_tags.insert(tag, value);
        self.static_tags.refused == refused_before
    }

    /// Returns whether a field of this name becomes a tag even though it lacks the prefix `tags.`.
    fn is_tag(&self, name: &str) -> bool {
        // These fields do not become tags, because an event has other members for them.
        let has_other_member = matches!(name, "user_id" | "trace_id" | "span_id");
        CONTEXT_KEYS.contains(&name) && !has_other_member || self.is_added(name)
    }

    /// Returns whether this is the name of a context key, which a span can [pin](OpenSpan::pins).
    fn is_context_key(&self, name: &str) -> bool {
        CONTEXT_KEYS.contains(&name) || self.is_added(name)
    }

    fn is_added(&self, name: &str) -> bool {
        self.added.iter().any(|key| key == name)
    }

    /// Collects the scope of an event from `spans`, the innermost first, and from the fields of the
    /// event. The nearest value counts, unless an outer span [pins](OpenSpan::pins) the key.
    pub(crate) fn event_scope(
        &self,
        spans: &[Arc<OpenSpan>],
        unit: &Unit,
        event_fields: &[(&'static str, Value)],
    ) -> EventScope {
        let mut values = ScopeValues::default();
        let mut pinned: Vec<&'static str> = Vec::new();
        for span in spans.iter().rev() {
            span.with_fields(|fields| {
                for (name, value) in fields {
                    if self.is_context_key(name) && span.pins(name) {
                        pinned.push(name);
                    } else if pinned.contains(&context_key(name)) {
                        continue;
                    }
                    values.set(self, name, value);
                }
            });
        }
        for (name, value) in event_fields {
            if !pinned.contains(&context_key(name)) {
                values.set(self, name, value);
            }
        }
        values.tags.extend(&self.static_tags);
        let (trace_id, span_id) = match nearest_identity(spans) {
            Some(identity) => (
                Some(identity.trace_id().into()),
                Some(identity.span_id().into()),
            ),
            None => {
                let span_id = spans.first().and_then(|span| span.span_id());
                (values.trace_id, span_id.or(values.span_id))
            }
        };
        let root = spans.iter().find(|span| span.begins_unit);
        EventScope {
            tags: values.tags,
            user_id: values.user_id,
            trace_id: trace_id.unwrap_or_else(|| unit.trace_id()),
            span_id: span_id.unwrap_or_else(ids::new_span_id),
            spans: spans_with_fields(spans),
            transaction: root.map(|span| transaction_name(span)),
        }
    }
}

/// The values of fields that become tags or other members of an event.
#[derive(Default)]
struct ScopeValues {
    tags: Tags,
    user_id: Option<String>,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
}

impl ScopeValues {
    fn set(&mut self, keys: &TagKeys, name: &str, value: &Value) {
        match name {
            "user_id" => self.user_id = unredacted_text(value),
            "trace_id" => self.trace_id = parse_trace_id(value).or(self.trace_id),
            "span_id" => {
                let span_id = unredacted_text(value).and_then(|id| id.parse().ok());
                self.span_id = span_id.or(self.span_id);
            }
            _ => {
                let tag = name.strip_prefix("tags.");
                if let Some(tag) = tag.or(keys.is_tag(name).then_some(name)) {
                    self.tags.insert(tag, value);
                }
            }
        }
    }
}

/// Returns a map from span names to the fields of the nearest spans. An inner span replaces an
/// outer one with the same name.
fn spans_with_fields(spans: &[Arc<OpenSpan>]) -> Map<String, Value> {
    let mut all = Map::new();
    for span in spans.iter().take(MAX_SPANS).rev() {
        let fields = span.fields().into_iter();
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        let fields: serde_json::Map<String, Value> = fields.collect();
        if !fields.is_empty() {
            all.insert(span.callsite.name().to_owned(), fields.into());
        }
    }
    all
}

/// Returns the ids that another exporter has given to the nearest span that has such ids.
pub(crate) fn nearest_identity(spans: &[Arc<OpenSpan>]) -> Option<SpanIdentity> {
    spans.iter().find_map(|span| span.identity())
}

/// Returns the trace id of the [nearest identity](nearest_identity), or else of the context key
/// `trace_id`, or else of the unit.
pub(crate) fn current_trace_id(spans: &[Arc<OpenSpan>], unit: &Unit) -> TraceId {
    if let Some(identity) = nearest_identity(spans) {
        return identity.trace_id().into();
    }
    context_value(spans, "trace_id", parse_trace_id).unwrap_or_else(|| unit.trace_id())
}

/// Returns the value of a context key in the nearest span that [pins](OpenSpan::pins) the key, or
/// else in the nearest span that has it.
pub(crate) fn context_value<T>(
    spans: &[Arc<OpenSpan>],
    key: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<T> {
    let value = |span: &Arc<OpenSpan>| span.with_fields(|fields| read(field_value(fields, key)?));
    let pinned = spans.iter().filter(|span| span.pins(key));
    pinned.chain(spans).find_map(value)
}

/// Returns the context key that a field sets. `tags.request_id` sets the same key as `request_id`.
fn context_key(name: &'static str) -> &'static str {
    name.strip_prefix("tags.").unwrap_or(name)
}

/// Returns the name of the transaction that `span` begins: the field `otel.name`, or else the
/// method and the route of a request, such as `POST /orders/{id}/pay`, or else the name of the
/// span.
pub(crate) fn transaction_name(span: &OpenSpan) -> String {
    let name = span.with_fields(|fields| {
        let find = |name: &str| unredacted_text(field_value(fields, name)?);
        find("otel.name").or_else(|| {
            let method = find("http.request.method")?;
            let route = find("http.route")?;
            Some(format!("{method} {route}"))
        })
    });
    name.unwrap_or_else(|| span.callsite.name().to_owned())
}

/// Returns the text of a value, or `None` if it is empty or redacted.
pub(crate) fn unredacted_text(value: &Value) -> Option<String> {
    let text = text_of(value);
    let is_shown = !value.is_null() && !text.is_empty() && text != REDACTED;
    is_shown.then(|| text.into_owned())
}

/// Parses a trace id, also in the form of a UUID. Rejects all zeros, which W3C Trace Context
/// defines as invalid.
fn parse_trace_id(value: &Value) -> Option<TraceId> {
    let id = unredacted_text(value)?.replace('-', "");
    let is_all_zeros = id.bytes().all(|byte| byte == b'0');
    (!is_all_zeros).then(|| id.parse().ok()).flatten()
}
