//! The span of a request.
//!
//! Its callsite is created at set-up, because its fields are the built-in fields and the context
//! keys that the application adds.

use spanwise_core::internal::{
    custom_key_declared,
    runtime_callsite::{Origin, RuntimeCallsite},
    sync::Mutex,
};
use tracing::{Level, Span, Value, level_filters::STATIC_MAX_LEVEL};

use super::TARGET;
use crate::warn_once::WarnOnce;

/// The built-in fields, in the order of [`SpanValues`]. They include all built-in context keys, so
/// that `Span::record` can set them.
const BUILT_IN_FIELDS: [&str; BUILT_IN_COUNT] = [
    "http.request.method",
    "http.route",
    "url.path",
    "request_id",
    "tenant_id",
    "user_id",
    "client.address",
    "trace_id",
    "span_id",
    "http.response.status_code",
    "spanwise.cancelled",
];
/// The number of built-in fields.
const BUILT_IN_COUNT: usize = 11;

/// The values of [`BUILT_IN_FIELDS`].
pub(crate) type SpanValues<'a> = [Option<&'a dyn Value>; BUILT_IN_COUNT];

/// The maximum number of further context keys, besides the built-in ones. If there are further
/// keys, each request puts an array with room for this many further values on the stack.
const MAX_FURTHER_KEYS: usize = 21;

/// Opens the spans of requests. The callsite declares the fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestSpan {
    callsite: &'static RuntimeCallsite,
}

impl RequestSpan {
    /// Declares the further context keys. Server layers with the same keys share a callsite.
    pub(crate) fn new(further_keys: &[String]) -> Self {
        static CALLSITES: Mutex<Vec<&RuntimeCallsite>> = Mutex::new(Vec::new());
        static KEYS_EXHAUSTED_WARNING: WarnOnce = WarnOnce::new();
        let mut fields = BUILT_IN_FIELDS.to_vec();
        for key in further_keys {
            if fields.contains(&key.as_str()) {
                continue;
            }
            if fields.len() == BUILT_IN_COUNT + MAX_FURTHER_KEYS {
                KEYS_EXHAUSTED_WARNING.warn(|| {
                    format!(
                        "`http.request` declares at most {MAX_FURTHER_KEYS} further context keys, \
                         and not `{key}`: use `context::set` for it"
                    )
                });
                break;
            }
            fields.push(key);
        }
        if fields.len() > BUILT_IN_COUNT {
            custom_key_declared();
        }
        let mut callsites = CALLSITES.lock();
        let has_fields = |callsite: &&&RuntimeCallsite| {
            let declared = callsite.metadata().fields();
            let declared = declared.iter().map(|field| field.name());
            declared.eq(fields.iter().copied())
        };
        if let Some(callsite) = callsites.iter().find(has_fields) {
            return Self { callsite };
        }
        let origin = Origin {
            name: "http.request",
            level: Level::INFO,
            target: TARGET,
            module_path: Some(module_path!()),
            file: Some(file!()),
            line: Some(line!()),
            fields: &fields,
        };
        let callsite = RuntimeCallsite::new_span(&origin);
        callsites.push(callsite);
        Self { callsite }
    }

    /// Returns whether a subscriber enables the span now.
    #[inline]
    pub(crate) fn is_enabled(self) -> bool {
        Level::INFO <= STATIC_MAX_LEVEL && self.callsite.is_enabled()
    }

    /// Opens a root span. Call [`is_enabled`](Self::is_enabled) first.
    #[inline]
    pub(crate) fn open(self, values: &SpanValues<'_>) -> Span {
        let field_count = self.callsite.metadata().fields().len();
        if field_count == BUILT_IN_COUNT {
            return self.callsite.open_root(values);
        }
        let mut all_values: [Option<&dyn Value>; BUILT_IN_COUNT + MAX_FURTHER_KEYS] =
            [None; BUILT_IN_COUNT + MAX_FURTHER_KEYS];
        all_values[..BUILT_IN_COUNT].copy_from_slice(values);
        self.callsite.open_root(&all_values[..field_count])
    }
}

impl Default for RequestSpan {
    fn default() -> Self {
        Self::new(&[])
    }
}

#[cfg(test)]
mod tests {
    use spanwise_core::internal::may_pin_custom_keys;

    use super::*;

    /// For a custom key, a sampler reads the context of an event only if the key may be pinned.
    #[test]
    fn further_keys_may_be_pinned() {
        RequestSpan::default();
        assert!(!may_pin_custom_keys());
        RequestSpan::new(&["order_id".to_owned()]);
        assert!(may_pin_custom_keys());
    }
}
