//! Events and transactions have the ids that another layer exports.

use serde_json::Value;
use spanwise_core::Context;
use spanwise_sentry::SentryBuilder;
use tracing::{error, info_span};
use tracing_subscriber::prelude::*;

use crate::{
    identities::{Identities, move_to},
    support::{Receiver, builder, one},
};

/// Returns what a stack with identities sends.
fn sent(change: impl FnOnce(SentryBuilder) -> SentryBuilder, log: impl FnOnce()) -> Receiver {
    let receiver = Receiver::start();
    let (layer, guard) = change(builder(&receiver)).build().unwrap();
    let stack = tracing_subscriber::registry()
        .with(Identities::default())
        .with(layer);
    tracing::subscriber::with_default(stack, log);
    guard.shutdown(std::time::Duration::from_secs(60));
    receiver
}

/// Returns `trace_id` and `span_id` of the current context.
fn context_ids() -> [String; 2] {
    let context = Context::current();
    ["trace_id", "span_id"].map(|key| context.get(key).unwrap().to_owned())
}

fn ids(object: &Value) -> [String; 2] {
    ["trace_id", "span_id"].map(|key| object[key].as_str().unwrap().to_owned())
}

const FIELD: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn event_has_the_exported_ids() {
    for traces in [false, true] {
        let mut expected = None;
        let change = |builder: SentryBuilder| match traces {
            true => builder.traces_sample_rate(1.0),
            false => builder,
        };
        let receiver = sent(change, || {
            let _root =
                info_span!("root", trace_id = FIELD, span_id = "00f067aa0ba902b7").entered();
            let _inner = info_span!("inner", span_id = "00f067aa0ba902b8").entered();
            expected = Some(context_ids());
            error!(trace_id = FIELD, "failed");
        });
        let trace = &one(&receiver)["contexts"]["trace"];
        assert_eq!(Some(ids(trace)), expected, "{traces}");
    }
}

#[test]
fn transaction_has_the_exported_ids() {
    let (mut root, mut inner) = (None, None);
    let receiver = sent(
        |builder| builder.traces_sample_rate(1.0),
        || {
            let span = info_span!("consume", trace_id = FIELD);
            move_to(&span, 0xabc, 7).unwrap();
            let _span = span.entered();
            root = Some(context_ids());
            info_span!("inner").in_scope(|| inner = Some(context_ids()));
        },
    );
    let transaction = receiver.items("transaction").remove(0);
    let trace = &transaction["contexts"]["trace"];
    assert_eq!(Some(ids(trace)), root);
    assert_eq!(
        ids(trace),
        [format!("{:032x}", 0xabc), format!("{:016x}", 7)]
    );
    let span = &transaction["spans"][0];
    assert_eq!(Some(ids(span)), inner);
    assert_eq!(span["parent_span_id"], trace["span_id"]);
}
