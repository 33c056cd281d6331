//! Law 4: a `Debug` may read the span it is recorded in, its context, and its own subscriber.

use std::fmt;

use spanwise::context::Context;
use tracing::{Span, field::Empty, info, info_span};
use tracing_subscriber::{Registry, registry::LookupSpan as _};

struct Reads;

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = tracing::dispatcher::get_default(|dispatch| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            let id = Span::current().id()?;
            let span = registry.span(&id)?;
            // Takes both locks of the span, for reading and for writing.
            let _ = span.extensions().get::<u8>();
            span.extensions_mut().replace(7_u8);
            Some(span.scope().map(|span| span.name()).collect::<Vec<_>>())
        });
        write!(
            f,
            "{:?} {:?}",
            names.unwrap_or_default(),
            Context::current().get("request_id")
        )
    }
}

#[test]
fn debug_that_reads_the_span_does_not_deadlock() {
    alone!();
    crate::support::bounded(|| {
        let (json, console, _telemetry) = crate::support::install();
        let outer = info_span!("outer", request_id = "r-1", late = Empty, tenant_id = Empty);
        let _outer = outer.enter();
        outer.record("late", tracing::field::debug(Reads));
        outer.record("tenant_id", tracing::field::debug(Reads));
        let _inner = info_span!("inner", value = ?Reads).entered();
        info!(value = ?Reads, "read");

        let line = json.with_message("read");
        assert_eq!(line["value"], r#"["inner", "outer"] Some("r-1")"#);
        assert_eq!(
            (&line["late"], &line["tenant_id"]),
            (&r#"["outer"] Some("r-1")"#.into(), &line["late"])
        );
        assert!(
            console
                .text()
                .contains(r#"value='["inner", "outer"] Some("r-1")'"#),
            "{}",
            console.text()
        );
    });
}
