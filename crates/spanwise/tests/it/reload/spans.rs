//! Spans that are open during a reload.

use super::{AUDIT, MAIN, Program};
use spanwise_core::internal::SpanIdentity;
use tracing::{Subscriber, info, info_span, span};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// Gives each span ids, like an exporter of traces.
struct Ids;

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Ids {
    fn on_new_span(&self, _: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let span = ctx.span(id).unwrap();
        SpanIdentity::new([1; 16], [2; 8], 1, None).attach(&span);
    }
}

#[cfg(feature = "pseudonyms")]
#[test]
fn new_lines_have_the_same_pseudonyms() {
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "0123456789abcdef0123456789abcdef").unwrap();
    let vars = [
        ("LOG_REDACT_KEY_FILE", key.path().to_str().unwrap()),
        ("LOG_CONTEXT", "email"),
    ];
    let program = Program::start_with_vars(MAIN, &vars, |builder| builder);
    program.log(|| {
        let _request = info_span!("request", email = "ada@example.com").entered();
        info!("before");
        let file = format!("{MAIN}{AUDIT}max_line = '4KiB'\n");
        program.reload(&file).unwrap();
        info!("after");
    });
    let lines = program.lines();
    let pseudonym = &lines["main"][0]["email"];
    assert!(pseudonym.as_str().unwrap().starts_with("k1:"), "{lines:?}");
    assert_eq!(lines["audit"].last().unwrap()["email"], *pseudonym);
}

#[test]
fn new_lines_have_the_ids_of_older_spans() {
    let program = Program::start_with(MAIN, |builder| builder.layer(Ids));
    program.log(|| {
        let _request = info_span!("request", request_id = "r-1").entered();
        let file = format!("{MAIN}{AUDIT}max_line = '4KiB'\n");
        program.reload(&file).unwrap();
        info!("after");
    });
    let lines = program.lines();
    let after = lines["audit"].last().unwrap();
    assert_eq!(after["message"], "after");
    assert_eq!(after["request_id"], "r-1");
    assert_eq!(after["trace_id"], "01".repeat(16));
    assert_eq!(after["span_id"], "02".repeat(8));
}
