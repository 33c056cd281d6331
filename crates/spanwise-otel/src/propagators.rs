//! The global propagator of OpenTelemetry, for instrumentation that uses its API.
//!
//! It reads and writes the headers of [Trace Context] and of [Baggage].
//!
//! [Trace Context]: https://www.w3.org/TR/trace-context/
//! [Baggage]: https://www.w3.org/TR/baggage/

use std::{
    fmt::{self, Write as _},
    str::FromStr,
    sync::OnceLock,
};

use opentelemetry::{
    Context,
    baggage::{Baggage, BaggageExt as _},
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{
        SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState as ApiTraceState,
    },
};
use spanwise_core::{ParseError, TraceParent, internal::percent_decode};

/// Headers by which a trace goes on in another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Propagator {
    /// `traceparent` and `tracestate`: `tracecontext`.
    TraceContext,
    /// `baggage`: `baggage`.
    Baggage,
}

/// Reads and writes the headers of several propagators.
#[derive(Debug, Clone)]
pub(crate) struct Propagators(pub(crate) Vec<Propagator>);

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// The most members and bytes of a `baggage`.
const MAX_MEMBERS: usize = 64;
const MAX_BAGGAGE_LEN: usize = 8192;

impl Default for Propagators {
    fn default() -> Self {
        Self(vec![Propagator::TraceContext, Propagator::Baggage])
    }
}

impl TextMapPropagator for Propagators {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        for propagator in &self.0 {
            match propagator {
                Propagator::TraceContext => inject_trace(context, injector),
                Propagator::Baggage => inject_baggage(context, injector),
            }
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let mut context = context.clone();
        for propagator in &self.0 {
            context = match propagator {
                Propagator::TraceContext => match extracted_trace(extractor) {
                    Some(remote) => context.with_remote_span_context(remote),
                    None => context,
                },
                Propagator::Baggage => match extracted_baggage(extractor) {
                    baggage if baggage.is_empty() => context,
                    baggage => context.with_baggage(baggage),
                },
            };
        }
        context
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: OnceLock<[String; 3]> = OnceLock::new();

        let fields = FIELDS.get_or_init(|| [TRACEPARENT, TRACESTATE, BAGGAGE].map(str::to_owned));
        let has = |propagator| self.0.contains(&propagator);
        FieldIter::new(
            match (has(Propagator::TraceContext), has(Propagator::Baggage)) {
                (true, true) => fields,
                (true, false) => &fields[..2],
                (false, true) => &fields[2..],
                (false, false) => &[],
            },
        )
    }
}

fn inject_trace(context: &Context, injector: &mut dyn Injector) {
    let span = context.span();
    let span = span.span_context();
    let parent = TraceParent::new(
        span.trace_id().to_bytes(),
        span.span_id().to_bytes(),
        span.trace_flags().to_u8(),
    );
    let Some(parent) = parent else { return };
    injector.set(TRACEPARENT, parent.to_string());
    let state = span.trace_state().header();
    if !state.is_empty() {
        injector.set(TRACESTATE, state);
    }
}

fn extracted_trace(extractor: &dyn Extractor) -> Option<SpanContext> {
    let parent: TraceParent = extractor.get(TRACEPARENT)?.trim().parse().ok()?;
    let state = extractor.get_all(TRACESTATE).unwrap_or_default().join(",");
    Some(SpanContext::new(
        TraceId::from_bytes(parent.trace_id()),
        SpanId::from_bytes(parent.span_id()),
        TraceFlags::new(parent.flags()),
        true,
        // A list that is not valid does not spoil the trace.
        ApiTraceState::from_str(&state).unwrap_or_default(),
    ))
}

fn inject_baggage(context: &Context, injector: &mut dyn Injector) {
    let mut header = String::new();
    for (key, (value, metadata)) in context.baggage().iter().take(MAX_MEMBERS) {
        let start = header.len();
        if start > 0 {
            header.push(',');
        }
        push_encoded(&mut header, key.as_str().trim());
        header.push('=');
        push_encoded(&mut header, value.as_str().trim());
        let metadata = metadata.as_str().trim();
        if !metadata.is_empty() && metadata.bytes().all(is_metadata_octet) {
            header.push(';');
            header.push_str(metadata);
        }
        if header.len() > MAX_BAGGAGE_LEN {
            header.truncate(start);
        }
    }
    if !header.is_empty() {
        injector.set(BAGGAGE, header);
    }
}

fn extracted_baggage(extractor: &dyn Extractor) -> Baggage {
    let header = extractor.get_all(BAGGAGE).unwrap_or_default().join(",");
    let mut baggage = Baggage::new();
    if header.len() > MAX_BAGGAGE_LEN {
        return baggage;
    }
    for member in header.split(',').take(MAX_MEMBERS) {
        let (pair, metadata) = member.split_once(';').unwrap_or((member, ""));
        let Some((key, value)) = pair.split_once('=') else {
            continue;
        };
        let (key, value) = (percent_decode(key.trim()), percent_decode(value.trim()));
        if !key.is_empty() {
            baggage.insert_with_metadata(key, value, metadata.trim().to_owned());
        }
    }
    baggage
}

fn push_encoded(to: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            // Others split at `=`, also in a value.
            b'%' | b'=' | b';' | b',' | b'"' | b'\\' => write_percent(to, byte),
            0x21..=0x7E => to.push(byte.into()),
            _ => write_percent(to, byte),
        }
    }
}

fn write_percent(to: &mut String, byte: u8) {
    // A string takes everything.
    let _ = write!(to, "%{byte:02X}");
}

fn is_metadata_octet(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x21..=0x7E) && !matches!(byte, b',' | b'"' | b'\\')
}

impl FromStr for Propagator {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "tracecontext" => Ok(Self::TraceContext),
            "baggage" => Ok(Self::Baggage),
            _ => Err(ParseError::word(
                text,
                "is not a propagator that spanwise has",
                "write tracecontext or baggage",
            )),
        }
    }
}

impl fmt::Display for Propagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
        })
    }
}
