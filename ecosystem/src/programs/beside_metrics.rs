//! `metrics-tracing-context`: the fields of spans as labels of metrics.

use metrics::counter;
use metrics_tracing_context::{MetricsLayer, TracingContextLayer};
use metrics_util::{debugging::DebuggingRecorder, layers::Layer as _};
use tracing::{info, info_span};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _telemetry = spanwise::builder!()?.layer(MetricsLayer::new()).init()?;
    let recorder = DebuggingRecorder::new(); // in a service: the exporter
    let snapshotter = recorder.snapshotter();
    // Without a list each request is a time series of its own, by its id.
    let labels = TracingContextLayer::only_allow(["tenant_id", "user_id", "api_token"]);
    metrics::set_global_recorder(labels.layer(recorder))?;

    let request = info_span!(
        "request",
        request_id = "r-1",
        tenant_id = "acme",
        user_id = tracing::field::Empty,
        api_token = "hunter2"
    );
    request.in_scope(|| {
        spanwise::context::set("user_id", "ada");
        counter!("orders").increment(1);
    });

    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        info!(metric = %key.key(), ?value, "measured");
    }
    Ok(())
}
