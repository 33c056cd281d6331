//! Reads and writes the W3C headers of a trace and its baggage, for code that uses the
//! OpenTelemetry API.

use std::fmt::Write as _;

use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    baggage::{Baggage, BaggageExt as _},
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanContext, TraceContextExt as _, TraceState},
};
use spanwise_core::{
    TraceParent,
    internal::{parse_tracestate, percent_decode, propagators},
};

/// A propagator of [`traceparent`, `tracestate`][trace context] and [`baggage`], for
/// [`set_text_map_propagator`](opentelemetry::global::set_text_map_propagator).
///
/// ```
/// use std::collections::HashMap;
/// use opentelemetry::{Context, propagation::TextMapPropagator as _, trace::TraceContextExt as _};
/// use spanwise_otel::W3cPropagator;
///
/// let propagator = W3cPropagator::default();
/// let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let received = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
/// let context = propagator.extract_with_context(&Context::new(), &received);
/// assert!(context.span().span_context().is_remote());
///
/// let mut sent = HashMap::new();
/// propagator.inject_context(&context, &mut sent);
/// assert_eq!(sent["traceparent"], traceparent);
/// ```
///
/// [trace context]: https://www.w3.org/TR/trace-context/
/// [`baggage`]: https://www.w3.org/TR/baggage/
#[derive(Debug, Clone)]
pub struct W3cPropagator {
    has_trace_context: bool,
    has_baggage: bool,
    /// The names of the headers.
    header_names: Vec<String>,
}

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// The maximum length of `baggage` in bytes, with several headers joined. Received baggage that is
/// longer is ignored. When baggage is sent, entries that do not fit are omitted.
const MAX_BAGGAGE_LEN: usize = 8192;

impl W3cPropagator {
    /// Creates the propagator of `traceparent` and `tracestate`, without baggage.
    #[must_use]
    pub fn trace_context() -> Self {
        Self::new(true, false)
    }

    /// Creates a propagator that reads and sends no headers.
    #[must_use]
    pub fn none() -> Self {
        Self::new(false, false)
    }

    /// Creates the propagator of `baggage`, without the trace.
    #[must_use]
    pub fn baggage() -> Self {
        Self::new(false, true)
    }

    /// Makes `spanwise-http` and `child_env` use the headers of this propagator.
    pub(crate) fn apply_to_requests(&self) {
        propagators::TRACE_CONTEXT.set(self.has_trace_context);
        propagators::BAGGAGE.set(self.has_baggage);
    }

    fn new(has_trace_context: bool, has_baggage: bool) -> Self {
        let trace_headers: &[&str] = if has_trace_context {
            &[TRACEPARENT, TRACESTATE]
        } else {
            &[]
        };
        let baggage_headers: &[&str] = if has_baggage { &[BAGGAGE] } else { &[] };
        let header_names = trace_headers.iter().chain(baggage_headers);
        Self {
            has_trace_context,
            has_baggage,
            header_names: header_names.map(|name| (*name).to_owned()).collect(),
        }
    }
}

impl Default for W3cPropagator {
    fn default() -> Self {
        Self::new(true, true)
    }
}

impl TextMapPropagator for W3cPropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        if self.has_trace_context {
            inject_trace(cx.span().span_context(), injector);
        }
        if self.has_baggage && !cx.baggage().is_empty() {
            let header = baggage_header(cx.baggage());
            if !header.is_empty() {
                injector.set(BAGGAGE, header);
            }
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let caller = self.has_trace_context.then(|| extract_trace(extractor));
        let cx = match caller.flatten() {
            Some(caller) => cx.with_remote_span_context(caller),
            None => cx.clone(),
        };
        // The baggage may be spread over several headers.
        match extractor.get_all(BAGGAGE) {
            Some(headers) if self.has_baggage => cx.with_baggage(parse_baggage(&headers.join(","))),
            _ => cx,
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.header_names)
    }
}

fn inject_trace(span: &SpanContext, injector: &mut dyn Injector) {
    let parent = TraceParent::new(
        span.trace_id().to_bytes(),
        span.span_id().to_bytes(),
        span.trace_flags().to_u8(),
    );
    let Some(parent) = parent else {
        return;
    };
    injector.set(TRACEPARENT, parent.to_string());
    let state = span.trace_state().header();
    if !state.is_empty() {
        injector.set(TRACESTATE, state);
    }
}

fn extract_trace(extractor: &dyn Extractor) -> Option<SpanContext> {
    let parent = TraceParent::parse(extractor.get(TRACEPARENT)?.trim().as_bytes())?;
    // An invalid `tracestate` does not make the `traceparent` invalid. `parse_tracestate` refuses
    // control characters, repeated keys and empty keys, which `TraceState` accepts.
    let state = extractor.get_all(TRACESTATE).and_then(parse_tracestate);
    let state = state.and_then(|state| state.parse::<TraceState>().ok());
    Some(SpanContext::new(
        TraceId::from_bytes(parent.trace_id()),
        SpanId::from_bytes(parent.span_id()),
        TraceFlags::new(parent.flags()),
        true,
        state.unwrap_or_default(),
    ))
}

fn baggage_header(baggage: &Baggage) -> String {
    let mut header = String::new();
    for (key, (value, metadata)) in baggage {
        let mut entry = String::from(key.as_str());
        entry.push('=');
        percent_encode(value.as_str(), &mut entry);
        let metadata = metadata.as_str().trim();
        if !metadata.is_empty() && metadata.bytes().all(is_metadata_byte) {
            entry.extend([";", metadata]);
        }
        let separator = usize::from(!header.is_empty());
        if header.len() + separator + entry.len() > MAX_BAGGAGE_LEN {
            continue;
        }
        if separator > 0 {
            header.push(',');
        }
        header.push_str(&entry);
    }
    header
}

/// Returns whether metadata may have this byte. A comma would end the entry, and a line break the
/// header.
fn is_metadata_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b',' | b'\\')
}

/// Appends a percent-encoded value. Also encodes `=`, because some parsers end the value there.
fn percent_encode(value: &str, to: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'"' | b',' | b';' | b'=' | b'\\' | b'%' | 0..=b' ' | 0x7F.. => {
                // Writing to a `String` does not fail.
                let _ = write!(to, "%{byte:02X}");
            }
            other => to.push(char::from(other)),
        }
    }
}

fn parse_baggage(header: &str) -> Baggage {
    let header = match header.len() {
        0..=MAX_BAGGAGE_LEN => header,
        _ => "",
    };
    let mut baggage = Baggage::new();
    for entry in header.split(',') {
        let (pair, metadata) = entry.split_once(';').unwrap_or((entry, ""));
        let Some((key, value)) = pair.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim().to_owned(), percent_decode(value.trim()));
        baggage.insert_with_metadata(key, value, metadata.trim().to_owned());
    }
    baggage
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use opentelemetry::KeyValue;

    use super::*;

    fn received(headers: &[(&str, &str)]) -> Context {
        let headers: HashMap<String, String> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        W3cPropagator::default().extract_with_context(&Context::new(), &headers)
    }

    fn sent(propagator: &W3cPropagator, context: &Context) -> Vec<(String, String)> {
        let mut headers = HashMap::new();
        propagator.inject_context(context, &mut headers);
        let mut headers: Vec<_> = headers.into_iter().collect();
        headers.sort();
        headers
    }

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";

    #[test]
    fn received_headers_are_sent_again() {
        let headers = [
            ("baggage", "tier=gold%20%C3%A4"),
            ("traceparent", PARENT),
            ("tracestate", "congo=t61,ot=th:8"),
        ];
        let context = received(&headers);
        assert!(context.span().span_context().is_remote());
        let value = context.baggage().get("tier").unwrap();
        assert_eq!(value.as_str(), "gold ä");
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(sent(&W3cPropagator::default(), &context), headers);
        assert_eq!(
            sent(&W3cPropagator::trace_context(), &context),
            headers[1..]
        );
        assert_eq!(sent(&W3cPropagator::baggage(), &context), headers[..1]);
    }

    #[test]
    fn invalid_headers_are_dropped() {
        for parent in [
            "",
            "00-0-0-00",
            &PARENT.to_uppercase(),
            &PARENT.replace("4bf9", ""),
        ] {
            let context = received(&[("traceparent", parent), ("tracestate", "a=b")]);
            assert!(!context.has_active_span(), "{parent}");
        }
        let state = |state: &str| {
            let context = received(&[("traceparent", PARENT), ("tracestate", state)]);
            context.span().span_context().trace_state().header()
        };
        for invalid in ["no list", "a=1\r\nevil: yes", "a=\u{7F}", "a=ä", "=1", "a="] {
            assert_eq!(state(invalid), "", "{invalid:?}");
        }
        assert_eq!(state(" a=1 ,,b=2,a=3"), "a=1,b=2");
        let context = received(&[("baggage", "no pair,a=%FF,b=%zz,c=1;meta=x")]);
        let mut kept: Vec<_> = context
            .baggage()
            .iter()
            .map(|(key, (value, metadata))| (key.as_str(), value.as_str(), metadata.as_str()))
            .collect();
        kept.sort_unstable();
        let expected = [
            ("a", "\u{FFFD}", ""),
            ("b", "%zz", ""),
            ("c", "1", "meta=x"),
        ];
        assert_eq!(kept, expected);
    }

    #[test]
    fn empty_context_and_long_baggage_send_nothing() {
        assert_eq!(sent(&W3cPropagator::default(), &Context::new()), []);
        let context = Context::new().with_baggage([KeyValue::new("k", "x".repeat(9000))]);
        assert_eq!(sent(&W3cPropagator::default(), &context), []);
    }

    #[test]
    fn fields_are_the_names_of_sent_headers() {
        let fields = |propagator: &W3cPropagator| -> Vec<String> {
            propagator.fields().map(str::to_owned).collect()
        };
        let all = ["traceparent", "tracestate", "baggage"];
        assert_eq!(fields(&W3cPropagator::default()), all);
        assert_eq!(fields(&W3cPropagator::trace_context()), all[..2]);
        assert_eq!(fields(&W3cPropagator::baggage()), all[2..]);
    }
}
