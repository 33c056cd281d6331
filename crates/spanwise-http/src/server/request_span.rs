//! The span of a request, whose callsite is made when the program is set up: its fields are ours, and
//! the keys of the context that the program adds.

use spanwise_core::internal::{
    runtime_callsite::{Origin, RuntimeCallsite},
    sync::Mutex,
};
use tracing::{Level, Span, Value, level_filters::STATIC_MAX_LEVEL};

use super::TARGET;
use crate::warn_once::WarnOnce;

/// Our fields, and their places in [`Own`]. All keys of the context are among them, for
/// `Span::record`.
const OWN_FIELDS: [&str; OWN] = [
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
const OWN: usize = 11;

/// Values by the places of [`OWN_FIELDS`].
pub(crate) type Own<'a> = [Option<&'a dyn Value>; OWN];

/// More keys than this are not declared. Room for them is made for each request.
const MAX_MORE_KEYS: usize = 21;

/// What opens the spans of requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestSpan {
    callsite: &'static RuntimeCallsite,
}

impl RequestSpan {
    /// With the keys of the context in `more`.
    pub(crate) fn new(more: &[String]) -> Self {
        static MADE: Mutex<Vec<&RuntimeCallsite>> = Mutex::new(Vec::new());
        static TOO_MANY: WarnOnce = WarnOnce::new();
        let mut fields = OWN_FIELDS.to_vec();
        for key in more {
            if fields.len() == OWN + MAX_MORE_KEYS {
                TOO_MANY.warn(|| {
                    format!(
                        "`http.request` declares {MAX_MORE_KEYS} keys of the context, and not \
                         `{key}`: use `context::set` for it"
                    )
                });
                break;
            }
            if !fields.contains(&key.as_str()) {
                fields.push(key);
            }
        }
        let mut made = MADE.lock();
        let has_them = |callsite: &&&RuntimeCallsite| {
            let declared = callsite.metadata().fields();
            let declared = declared.iter().map(|field| field.name());
            declared.eq(fields.iter().copied())
        };
        if let Some(callsite) = made.iter().find(has_them) {
            return Self { callsite };
        }
        let origin = Origin {
            level: Level::INFO,
            target: TARGET,
            module_path: Some(module_path!()),
            file: Some(file!()),
            line: Some(line!()),
            fields: &fields,
        };
        let callsite = RuntimeCallsite::new_span("http.request", &origin);
        made.push(callsite);
        Self { callsite }
    }

    /// Returns whether some subscriber wants the span now.
    #[inline]
    pub(crate) fn is_enabled(self) -> bool {
        Level::INFO <= STATIC_MAX_LEVEL && self.callsite.is_enabled()
    }

    /// Opens one that [is enabled](Self::is_enabled), without a parent.
    #[inline]
    pub(crate) fn open(self, own: &Own<'_>) -> Span {
        let declared = self.callsite.metadata().fields().len();
        if declared == OWN {
            return self.callsite.open_root(own);
        }
        let mut values: [Option<&dyn Value>; OWN + MAX_MORE_KEYS] = [None; OWN + MAX_MORE_KEYS];
        values[..OWN].copy_from_slice(own);
        self.callsite.open_root(&values[..declared])
    }
}

impl Default for RequestSpan {
    fn default() -> Self {
        Self::new(&[])
    }
}
