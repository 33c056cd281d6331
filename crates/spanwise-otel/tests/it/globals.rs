//! The exporter as that of `opentelemetry::global`.

use std::collections::HashMap;

use opentelemetry::{
    Context, KeyValue,
    baggage::{BaggageExt as _, KeyValueMetadata},
    global,
    trace::{TraceContextExt as _, Tracer as _},
};
use spanwise_otel::{OtelBuilder, OtelGuard, W3cPropagator};

use crate::support::{GUARD, builder, output_alone, receiver::Receiver, subscriber};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

type Headers = HashMap<String, String>;

fn headers<const N: usize>(headers: [(&str, &str); N]) -> Headers {
    let headers = headers.into_iter();
    headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Installs an exporter in this process.
fn install(receiver: &Receiver, change: impl FnOnce(OtelBuilder) -> OtelBuilder) -> OtelGuard {
    let (otel, guard) = change(builder(receiver)).build().unwrap();
    tracing::dispatcher::set_global_default(subscriber(&otel)).unwrap();
    otel.install_globals();
    guard
}

fn injected(context: &Context) -> Headers {
    let mut headers = Headers::new();
    global::get_text_map_propagator(|all| all.inject_context(context, &mut headers));
    headers
}

fn extracted(headers: &Headers) -> Context {
    global::get_text_map_propagator(|all| all.extract_with_context(&Context::new(), headers))
}

#[test]
fn tracers_and_meters_of_the_api_are_exported() {
    if output_alone("globals::tracers_and_meters_of_the_api_are_exported").is_some() {
        return;
    }
    let receiver = Receiver::start();
    let guard = install(&receiver, |builder| builder);
    let remote = extracted(&headers([("traceparent", PARENT)]));
    let span = global::tracer("shop").start_with_context("consume", &remote);
    let context = remote.with_span(span);
    let sent = injected(&context);
    global::meter("shop")
        .u64_counter("orders")
        .build()
        .add(3, &[KeyValue::new("kind", "new")]);
    drop(context);
    guard.shutdown(GUARD);

    let span = receiver.spans().remove(0).item;
    assert_eq!(span.name, "consume");
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(hex(&span.parent_span_id), "00f067aa0ba902b7");
    let own = format!(
        "00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01",
        hex(&span.span_id)
    );
    assert_eq!(sent, headers([("traceparent", &own)]));
    let metrics = receiver.metrics();
    let scopes = metrics.iter().flat_map(|request| &request.resource_metrics);
    let mut scopes = scopes.flat_map(|of_resource| &of_resource.scope_metrics);
    let shop = scopes.find(|of_scope| of_scope.scope.as_ref().unwrap().name == "shop");
    assert_eq!(shop.unwrap().metrics[0].name, "orders");
}

#[test]
fn spans_of_tracing_are_injected() {
    if output_alone("globals::spans_of_tracing_are_injected").is_some() {
        return;
    }
    let receiver = Receiver::start();
    let guard = install(&receiver, |builder| builder);
    let sent = tracing::info_span!("request").in_scope(|| injected(&Context::current()));
    guard.shutdown(GUARD);
    let span = receiver.spans().remove(0).item;
    let id: String = span
        .span_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(&sent["traceparent"][36..52], id);
    assert!(injected(&Context::new()).is_empty());
}

#[test]
fn trace_context_survives_extraction() {
    if output_alone("globals::trace_context_survives_extraction").is_some() {
        return;
    }
    let receiver = Receiver::start();
    let _guard = install(&receiver, |builder| builder);
    for (state, kept) in [
        ("a=1,b=2", Some("a=1,b=2")),
        (" a=1 ,, b=2", Some("a=1,b=2")),
        ("", None),
        ("no list", None),
    ] {
        let context = extracted(&headers([("traceparent", PARENT), ("tracestate", state)]));
        assert!(context.span().span_context().is_remote());
        let sent = injected(&context);
        assert_eq!(sent["traceparent"], PARENT);
        assert_eq!(sent.get("tracestate").map(|state| &**state), kept);
    }
    for invalid in [
        "",
        "00-0-0-01",
        &PARENT.to_uppercase(),
        &PARENT.replace("00-", "ff-"),
    ] {
        let context = extracted(&headers([("traceparent", invalid)]));
        assert!(!context.has_active_span(), "{invalid}");
    }
}

#[test]
fn baggage_survives_the_way() {
    if output_alone("globals::baggage_survives_the_way").is_some() {
        return;
    }
    let receiver = Receiver::start();
    let _guard = install(&receiver, |builder| builder);
    let context = Context::new().with_baggage([
        KeyValueMetadata::new("tenant", "a=b, c;d \"e\" 100% ü", "ttl=5"),
        KeyValueMetadata::new("evil", "1", "x\r\nset-cookie: y"),
    ]);
    let sent = injected(&context);
    assert!(
        sent["baggage"]
            .bytes()
            .all(|byte| (0x21..0x7F).contains(&byte)),
        "{sent:?}"
    );
    let baggage = extracted(&sent);
    let baggage = baggage.baggage();
    let (value, metadata) = baggage.get_with_metadata("tenant").unwrap();
    assert_eq!(value.as_str(), "a=b, c;d \"e\" 100% ü");
    assert_eq!(metadata.as_str(), "ttl=5");
    assert_eq!(baggage.get_with_metadata("evil").unwrap().1.as_str(), "");

    let strange = extracted(&headers([("baggage", " a = 1 ;p=q; r ,,b,=c,d=%+1,e=%ff")]));
    let strange = strange.baggage();
    let get = |key| strange.get(key).map(|value| value.as_str());
    assert_eq!(get("a"), Some("1"));
    assert_eq!(get("d"), Some("%+1"));
    assert_eq!(get("e"), Some("\u{FFFD}"));
    assert_eq!(strange.len(), 3);

    let many: Vec<String> = (0..900).map(|number| format!("k{number}=v")).collect();
    let many = extracted(&headers([("baggage", &many.join(","))]));
    assert_eq!(many.baggage().len(), 64);
    let huge = format!("a={}", "x".repeat(9000));
    assert!(
        extracted(&headers([("baggage", &huge)]))
            .baggage()
            .is_empty()
    );
}

#[test]
fn propagators_can_be_chosen() {
    if output_alone("globals::propagators_can_be_chosen").is_some() {
        return;
    }
    let receiver = Receiver::start();
    let only = W3cPropagator::baggage();
    let _guard = install(&receiver, |builder| builder.propagator(only));
    let context = extracted(&headers([("traceparent", PARENT), ("baggage", "a=1")]));
    assert!(!context.has_active_span());
    assert_eq!(injected(&context), headers([("baggage", "a=1")]));
    let fields =
        global::get_text_map_propagator(|all| all.fields().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(fields, ["baggage"]);
}
