//! What the spans scope an event say of it.

use std::sync::Arc;

use sentry_core::protocol::{Map, SpanId, TraceId, Value};
use spanwise_core::{CONTEXT_KEYS, REDACTED};

use crate::{
    ids,
    open_spans::{OpenSpan, Unit},
    tags::Tags,
};

/// The tags, the user, the trace and the fields that an event has from its spans.
#[derive(Debug)]
pub(crate) struct EventScope {
    pub(crate) tags: Tags,
    pub(crate) user_id: Option<String>,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) spans: Map<String, Value>,
    pub(crate) transaction: Option<String>,
}

/// Which fields are tags.
#[derive(Debug, Clone, Default)]
pub(crate) struct TagKeys {
    more: Vec<String>,
    /// Those of every event.
    constant: Tags,
}

/// Of so many spans, the nearest, the fields are shown.
const MAX_SPANS: usize = 32;

impl TagKeys {
    pub(crate) fn add(&mut self, key: String) {
        self.more.push(key);
    }

    /// Adds a tag that every event has, or returns `false` if Sentry would not take it. A value that
    /// may not be shown is none.
    pub(crate) fn add_static(&mut self, tag: &str, value: &Value) -> bool {
        let refused = self.constant.refused;
        self.constant.insert(tag, value);
        self.constant.refused == refused
    }

    fn is_tag(&self, name: &str) -> bool {
        let is_own = matches!(name, "user_id" | "trace_id" | "span_id");
        !is_own && CONTEXT_KEYS.contains(&name) || self.more.iter().any(|key| key == name)
    }

    fn is_context(&self, name: &str) -> bool {
        CONTEXT_KEYS.contains(&name) || self.more.iter().any(|key| key == name)
    }

    /// What `spans`, the innermost first, and the event itself say: the nearest wins, but over
    /// context that was decided.
    pub(crate) fn scope(
        &self,
        spans: &[Arc<OpenSpan>],
        unit: &Unit,
        event: &[(&'static str, Value)],
    ) -> EventScope {
        let mut tags = Tags::default();
        let mut user_id = None;
        let (mut trace_id, mut span_id) = (None, None);
        let mut take = |name: &str, value: &Value| match name {
            "user_id" => user_id = text(value),
            "trace_id" => trace_id = text(value).and_then(|id| valid_trace(&id)).or(trace_id),
            "span_id" => span_id = text(value).and_then(|id| id.parse().ok()).or(span_id),
            _ => {
                let tag = name.strip_prefix("tags.");
                if let Some(tag) = tag.or(self.is_tag(name).then_some(name)) {
                    tags.insert(tag, value);
                }
            }
        };
        let mut decided: Vec<&'static str> = Vec::new();
        for span in spans.iter().rev() {
            span.with_fields(|fields| {
                for (name, value) in fields {
                    let is_decided = self.is_context(name) && span.decides(name);
                    if is_decided {
                        decided.push(name);
                    } else if decided.contains(&context_key(name)) {
                        continue;
                    }
                    take(name, value);
                }
            });
        }
        let of_event = event
            .iter()
            .filter(|(name, _)| !decided.contains(&context_key(name)));
        of_event.for_each(|(name, value)| take(name, value));
        tags.extend(&self.constant);
        let timed = spans.first().and_then(|span| span.timing.as_ref());
        let mut scope = EventScope {
            tags,
            user_id,
            trace_id: trace_id.unwrap_or_else(|| unit.trace_id()),
            span_id: match (timed, span_id) {
                (Some(timing), _) => timing.span_id,
                (None, Some(id)) => id,
                (None, None) => ids::new_span_id(),
            },
            spans: Map::new(),
            transaction: None,
        };
        for span in spans.iter().take(MAX_SPANS).rev() {
            let fields = span.fields();
            if !fields.is_empty() {
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                scope
                    .spans
                    .insert(span.callsite.name().to_owned(), fields.collect());
            }
        }
        let begin = spans.iter().find(|span| span.begins_unit);
        scope.transaction = begin.map(|span| transaction_name(span));
        scope
    }
}

/// The trace that the nearest of `spans` decided or else names, else that of the unit.
pub(crate) fn current_trace_id(spans: &[Arc<OpenSpan>], unit: &Unit) -> TraceId {
    let named = context_value(spans, "trace_id", |value| {
        text(value).and_then(|id| valid_trace(&id))
    });
    named.unwrap_or_else(|| unit.trace_id())
}

/// What the nearest of `spans` decided under a key of the context, else what the nearest says.
pub(crate) fn context_value<T>(
    spans: &[Arc<OpenSpan>],
    key: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<T> {
    let of_span = |span: &Arc<OpenSpan>| {
        span.with_fields(|fields| {
            let (_, value) = fields.iter().find(|(name, _)| *name == key)?;
            read(value)
        })
    };
    let decided = spans.iter().filter(|span| span.decides(key));
    decided.chain(spans).find_map(of_span)
}

/// `tags.request_id` is the tag that `request_id` is.
fn context_key(name: &'static str) -> &'static str {
    name.strip_prefix("tags.").unwrap_or(name)
}

/// `POST /orders/{id}/pay` if the span is of a request and says its route, else the name of the span.
pub(crate) fn transaction_name(span: &OpenSpan) -> String {
    span.with_fields(|fields| {
        let find = |wanted: &str| {
            let (_, value) = fields.iter().find(|(name, _)| *name == wanted)?;
            text(value)
        };
        find("otel.name").or_else(|| {
            let method = find("http.request.method")?;
            let route = find("http.route")?;
            Some(format!("{method} {route}"))
        })
    })
    .unwrap_or_else(|| span.callsite.name().to_owned())
}

/// A value that says something.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.is_empty() || text == REDACTED => None,
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// The id of a trace, but for the W3C's id of no trace.
fn valid_trace(id: &str) -> Option<TraceId> {
    let is_none = id.bytes().all(|byte| byte == b'0');
    // With the hyphens of a UUID, too.
    let id = id.replace('-', "");
    (!is_none).then(|| id.parse().ok()).flatten()
}
