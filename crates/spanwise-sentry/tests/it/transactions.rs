//! Transactions: off by default, sampled by the trace id as the event sampler does.

use crate::support::{plain, sent};
use spanwise_core::internal::consistent_sampling::Threshold;
use spanwise_sentry::SentryBuilder;
use tracing::{error, info_span};

fn traced(builder: SentryBuilder) -> SentryBuilder {
    builder.traces_sample_rate(1.0)
}

fn request(trace_id: &str) {
    let request = info_span!(
        "http.request",
        trace_id,
        request_id = "r-1",
        http.request.method = "GET",
        http.route = "/orders/{id}",
        http.response.status_code = tracing::field::Empty,
    );
    let _entered = request.enter();
    info_span!("load", rows = 3).in_scope(|| {
        info_span!("query").in_scope(|| {});
    });
    request.record("http.response.status_code", 200);
}

#[test]
fn transactions_are_off_by_default() {
    let (receiver, _) = sent(plain, || request("0af7651916cd43dd8448eb211c80319c"));
    assert!(receiver.bodies().is_empty());
}

#[test]
fn root_span_is_a_transaction_with_child_spans() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let (receiver, stats) = sent(traced, || request(TRACE));
    let transactions = receiver.items("transaction");
    let [transaction] = &transactions[..] else {
        panic!("{transactions:#?}")
    };
    assert_eq!(transaction["transaction"], "GET /orders/{id}");
    assert_eq!(transaction["tags"]["request_id"], "r-1");
    let trace = &transaction["contexts"]["trace"];
    assert_eq!(
        (&trace["trace_id"], &trace["op"], &trace["status"]),
        (&TRACE.into(), &"http.server".into(), &"ok".into())
    );
    let spans = transaction["spans"].as_array().unwrap();
    let names: Vec<_> = spans
        .iter()
        .map(|span| span["description"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["query", "load"]);
    assert_eq!(spans[0]["parent_span_id"], spans[1]["span_id"]);
    assert_eq!(spans[1]["parent_span_id"], trace["span_id"]);
    assert_eq!(spans[1]["data"]["rows"], 3);
    assert!(spans.iter().all(|span| span["trace_id"] == TRACE));
    assert_eq!(stats.sent.delivered, 1);
}

#[test]
fn error_has_the_trace_of_its_transaction() {
    let (receiver, _) = sent(traced, || {
        let _job = info_span!("job").entered();
        error!("failed");
    });
    let transaction = receiver.items("transaction").remove(0);
    let event = crate::support::one(&receiver);
    let (event_trace, transaction_trace) = (
        &event["contexts"]["trace"],
        &transaction["contexts"]["trace"],
    );
    assert_eq!(event_trace["trace_id"], transaction_trace["trace_id"]);
    assert_eq!(event_trace["span_id"], transaction_trace["span_id"]);
    assert_eq!(transaction_trace["status"], "internal_error");
}

#[test]
fn sampling_agrees_with_the_event_sampler() {
    let half = |builder: SentryBuilder| builder.traces_sample_rate(0.5);
    let traces: Vec<String> = (0..200_u64)
        .map(|number| {
            format!(
                "0af7651916cd43dd84{:014x}",
                number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8
            )
        })
        .collect();
    let (receiver, _) = sent(half, || traces.iter().for_each(|trace| request(trace)));
    let transactions = receiver.items("transaction");
    let sent = transactions
        .iter()
        .map(|one| one["contexts"]["trace"]["trace_id"].as_str().unwrap());
    let threshold = Threshold::from_ratio(0.5).unwrap();
    let kept = traces.iter().filter(|trace| {
        let number = spanwise_core::internal::consistent_sampling::randomness_from_entries(
            [("trace_id", &***trace)].into_iter(),
        );
        threshold.keeps(number.unwrap())
    });
    let kept: Vec<&str> = kept.map(String::as_str).collect();
    assert!((60..140).contains(&kept.len()), "{}", kept.len());
    assert_eq!(sent.collect::<Vec<_>>(), kept);
}

#[test]
fn health_check_is_not_a_transaction() {
    let (receiver, _) = sent(traced, || {
        let _probe = info_span!("http.request", url.path = "/healthz").entered();
    });
    assert!(receiver.bodies().is_empty());
}
