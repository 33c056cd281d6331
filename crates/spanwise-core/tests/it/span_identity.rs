//! Identities of spans: their readers, and the time until which they may change.

use spanwise_core::{
    Context, ContextLayer, TraceParent,
    internal::{
        SpanIdentity,
        announced_span::{
            Announced, AnnouncedTrace, SpanKind, announce, identities_are_wanted, take_announced,
        },
        consistent_sampling::randomness_from_context,
        span_identity::NotReplaced,
    },
};
use tracing::{Span, info, info_span, span::Id};
use tracing_subscriber::{Registry, prelude::*, registry, registry::LookupSpan};

use crate::identities::{Identities, UNKNOWN, move_to};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn ids() -> (String, String) {
    let context = Context::current();
    let id = |key| context.get(key).unwrap_or("none").to_owned();
    (id("trace_id"), id("span_id"))
}

#[test]
fn context_has_the_ids_of_the_identity() {
    let _default = registry()
        .with(Identities::default())
        .with(ContextLayer::default())
        .set_default();
    let root = info_span!(
        "root",
        request_id = "r-1",
        trace_id = TRACE,
        span_id = "own"
    );
    let _root = root.enter();
    let identity = SpanIdentity::current().unwrap();
    let context = Context::current();
    let entries: Vec<_> = context.iter().collect();
    assert_eq!(
        entries,
        [
            ("request_id", "r-1"),
            ("trace_id", identity.trace_id_digits().as_str()),
            ("span_id", identity.span_id_digits().as_str()),
        ]
    );
    assert_eq!(context.pinned("trace_id"), context.get("trace_id"));
    assert_ne!(context.get("trace_id"), Some(TRACE));
    // Samplers keep the trace that is exported.
    let low = u64::from_str_radix(&identity.trace_id_digits().as_str()[18..], 16);
    assert_eq!(randomness_from_context(&context), low.ok());

    let child = info_span!("child");
    let (outer, inner) = (ids(), child.in_scope(ids));
    assert_eq!(outer.0, inner.0, "one trace");
    assert_ne!(outer.1, inner.1, "two spans");
    assert!(!info_span!("other").in_scope(Context::current).is_empty());
}

#[test]
fn ids_need_no_context_layer() {
    let _default = registry().with(Identities::default()).set_default();
    let span = info_span!("span");
    assert_eq!(span.in_scope(ids).1, "0000000000000002");
    assert!(Context::current().is_empty());
    assert_eq!(SpanIdentity::current(), None);
}

#[test]
fn provisional_identity_is_replaced() {
    let _default = registry()
        .with(Identities::default())
        .with(ContextLayer::default())
        .set_default();
    let span = info_span!("consume");
    assert_eq!(move_to(&span, 0xabc, 1), Ok(()));
    assert_eq!(move_to(&span, 0xdef, 2), Ok(()), "still provisional");
    let (trace_id, span_id) = span.in_scope(ids);
    assert_eq!(trace_id, format!("{:032x}", 0xdef));
    assert_eq!(span_id, format!("{:016x}", 2));
}

#[test]
fn replaced_ids_do_not_reach_the_parent() {
    let _default = registry()
        .with(Identities::default())
        .with(ContextLayer::default())
        .set_default();
    // The parent has no identity, as a span that is not exported.
    let parent = info_span!(target: UNKNOWN, "request", request_id = "r-1");
    for child in [
        info_span!(parent: &parent, "consume"),
        info_span!(parent: &parent, "consume", user_id = "ada"),
    ] {
        assert_eq!(move_to(&child, 0xabc, 1), Ok(()));
        assert_eq!(child.in_scope(ids).0, format!("{:032x}", 0xabc));
        assert_eq!(parent.in_scope(ids), ("none".to_owned(), "none".to_owned()));
    }
}

#[test]
fn visible_identity_is_frozen() {
    let identities = Identities::default();
    let _default = registry().with(identities).set_default();
    type Use = fn(&Span);
    let cases: [(&str, Use); 5] = [
        ("entered", |span| drop(span.enter())),
        ("has a child", |span| {
            drop(info_span!(parent: span, "child"))
        }),
        ("has an event", |span| info!(parent: span, "event")),
        ("is sent", |span| drop(SpanIdentity::find_and_freeze(span))),
        ("is read", |span| {
            span.with_subscriber(|(id, dispatch)| {
                let registry = dispatch.downcast_ref::<Registry>();
                let registry = registry.unwrap();
                let span = registry.span(id).unwrap();
                assert!(!Context::from_span(&span).is_empty());
            });
        }),
    ];
    for (what, used) in cases {
        let span = info_span!("root");
        used(&span);
        let before = SpanIdentity::find_and_freeze(&span);
        assert_eq!(move_to(&span, 0xabc, 1), Err(NotReplaced::Frozen), "{what}");
        assert_eq!(SpanIdentity::find_and_freeze(&span), before, "{what}");
    }
}

#[test]
fn span_without_identity_is_not_moved() {
    let _default = registry().set_default();
    let span = info_span!("root");
    assert_eq!(move_to(&span, 0xabc, 1), Err(NotReplaced::NoIdentity));
    assert_eq!(SpanIdentity::find_and_freeze(&span), None);
    assert_eq!(SpanIdentity::find_and_freeze(&Span::none()), None);
}

#[test]
fn message_keeps_its_flags_without_an_exporter() {
    let _default = registry().with(ContextLayer::default()).set_default();
    for flags in ["00", "01", "02", "03"] {
        let parent: TraceParent = format!("00-{TRACE}-00f067aa0ba902b7-{flags}")
            .parse()
            .unwrap();
        let consume = parent.unit(|| info_span!(parent: None, "consume"));
        let sent = consume.in_scope(|| info_span!("inner").in_scope(TraceParent::current));
        assert_eq!(sent.unwrap().flags(), parent.flags());
        // A span inside that has ids of its own does not begin another trace.
        let other = info_span!(parent: &consume, "other", trace_id = "1", span_id = "2");
        assert_eq!(
            other.in_scope(TraceParent::current),
            sent,
            "the ids are pinned"
        );
    }
    let begun = format!("{:032x}", 7);
    let begins = info_span!("begins", trace_id = begun, span_id = "00f067aa0ba902b7");
    assert_eq!(begins.in_scope(TraceParent::current).unwrap().flags(), 1);
}

fn client(span_id: u8) -> Announced {
    Announced {
        span_id: [span_id; 8],
        kind: SpanKind::Client,
        trace: None,
    }
}

#[test]
fn announcement_is_for_the_span_that_opens() {
    let identities = Identities::default();
    let _default = registry().with(identities.clone()).set_default();
    assert!(identities_are_wanted());
    let span = announce(|| client(7), || info_span!("call"));
    let _other = info_span!("other");
    assert_eq!(identities.announced(), [client(7)]);
    assert_eq!(
        SpanIdentity::find_and_freeze(&span).unwrap().span_id(),
        [7; 8]
    );

    // No layer took the announcement, because the span is disabled.
    announce(|| client(8), Span::none);
    assert_eq!(take_announced(&Id::from_u64(1)), None);

    // One announcement inside another one, and one after it.
    announce(
        || client(1),
        || {
            announce(|| client(2), || drop(info_span!("inner")));
            drop(info_span!("outer"));
        },
    );
    assert_eq!(identities.announced(), [client(2), client(1)]);

    let panicked = std::panic::catch_unwind(|| announce(|| client(9), || panic!("in a field")));
    assert!(panicked.is_err());
    assert_eq!(take_announced(&Id::from_u64(1)), None);
}

#[test]
fn trace_parent_is_that_of_the_specification() {
    let parse = |text: &str| text.parse::<TraceParent>().ok();
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let parsed = parse(&parent).unwrap();
    assert_eq!(parsed.to_string(), parent);
    assert!(parsed.is_sampled());
    assert_eq!(
        parsed.span_id(),
        [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
    );
    // Spaces around, unknown flags and later versions are allowed.
    for (text, flags) in [
        (format!(" {parent}\t"), 1),
        (format!("00-{TRACE}-00f067aa0ba902b7-00"), 0),
        (format!("00-{TRACE}-00f067aa0ba902b7-ff"), 3),
        (format!("cc-{TRACE}-00f067aa0ba902b7-01"), 1),
        (format!("cc-{TRACE}-00f067aa0ba902b7-01-more"), 1),
    ] {
        assert_eq!(parse(&text).map(TraceParent::flags), Some(flags), "{text}");
    }
    for text in [
        String::new(),
        parent.to_uppercase(),
        parent.replace(TRACE, "00000000000000000000000000000000"),
        parent.replace("00f067aa0ba902b7", "0000000000000000"),
        parent.replace("-", "_"),
        format!("{parent}-more"),
        format!("{parent}0"),
        parent.replacen("00", "ff", 1),
        parent.replacen('4', "é", 1),
    ] {
        assert_eq!(parse(&text), None, "{text}");
    }
    let error = "00-1-2-01".parse::<TraceParent>().unwrap_err().to_string();
    assert!(
        error.starts_with("not a valid traceparent: write `00-"),
        "{error}"
    );
}

#[test]
fn consumer_joins_the_trace_of_its_message() {
    let parent: TraceParent = format!("00-{TRACE}-00f067aa0ba902b7-01").parse().unwrap();
    let identities = Identities::default();
    for exports in [false, true] {
        let _default = registry()
            .with(exports.then(|| identities.clone()))
            .with(ContextLayer::default())
            .set_default();
        assert_eq!(TraceParent::current(), None);
        let consume = parent.unit(|| info_span!(parent: None, "consume", trace_id = "own"));
        let _consume = consume.enter();
        let own = TraceParent::current().unwrap();
        assert_eq!(own.trace_id(), parent.trace_id());
        assert_ne!(own.span_id(), parent.span_id());
        assert_eq!(ids().0, TRACE);
        // A span inside does not move to another trace.
        let other: TraceParent = parent.to_string().replace("4bf9", "0000").parse().unwrap();
        let inner = other.unit(|| info_span!("inner"));
        assert_eq!(inner.in_scope(|| ids().0), TRACE, "{exports}");
        assert_eq!(ids().0, TRACE);
    }
    let announced = &identities.announced()[0];
    assert_eq!(
        announced.trace,
        Some(AnnouncedTrace {
            trace_id: parent.trace_id(),
            parent: Some(parent.span_id()),
            flags: 1,
            state: None,
            link: None,
        })
    );
}
