//! JSON lines from `tracing`: one event, one line, one `write` call, and no allocation once warm.
//!
//! ```
//! use spanwise_json::JsonLayer;
//! use tracing_subscriber::prelude::*;
//! # let lines = spanwise_testing::support::Lines::default();
//!
//! let layer = JsonLayer::new(); // to stdout
//! # let layer = layer.without_timestamp().with_writer(lines.clone());
//! let _default = tracing_subscriber::registry().with(layer).set_default();
//!
//! let request = tracing::info_span!(target: "shop", "request", request_id = "r-1", tenant_id = "acme");
//! let _entered = request.enter();
//! tracing::info!(target: "shop::orders", order_id = 42, "order created");
//! # assert_eq!(
//! #     lines.text(),
//! #     concat!(r#"{"level":"INFO","target":"shop::orders","message":"order created","order_id":42,"#,
//! #         r#""request_id":"r-1","tenant_id":"acme","span":"request"}"#, "\n")
//! # );
//! ```
//!
//! prints, on one line:
//!
//! ```json
//! {"timestamp":"2026-11-20T08:46:12.123456Z","level":"INFO","target":"shop::orders","message":"order created","order_id":42,
//!  "request_id":"r-1","tenant_id":"acme","span":"request"}
//! ```
//!
//! Use it where a program reads the lines. It writes each line itself, when the event happens, to any
//! [`MakeWriter`](tracing_subscriber::fmt::MakeWriter); it does not filter, rotate files, or write in the background.
//!
//! # The line
//!
//! The order is the same on every line: `timestamp`, `level`, `target`, `message`, the fields of the event as written, those of
//! the spans from the innermost outwards, `span` (the name of the innermost), `spans` if asked for, the source location, the thread,
//! and what was [added](JsonLayer::add).
//!
//! * **No key twice, ever.** Of a name that is in several places the nearest value stands: the event's, then the innermost
//!   span's. A field whose name is a key of the line itself (`level`, `timestamp`, a span's `message`, …), or begins with `fields.`,
//!   is written as `fields.<name>`, `file` and `line` only where the source location is shown: nothing is lost, and a field cannot forge a line. So is a field that is called as a key of
//!   the context which the HTTP layer or `spanwise_core::context::set` pinned.
//! * A field recorded late is on every line that follows, also of the spans inside.
//! * An explicit parent (`parent: &span`) decides whose fields are shown; `parent: None` has none.
//! * Records of the `log` crate show their own target, file and line.
//!
//! # Values
//!
//! | value | JSON |
//! | --- | --- |
//! | `u64`, `i64`, `bool` | number, `true`, `false` |
//! | `u128`, `i128` | number if it fits in 64 bits, else string |
//! | `f64` | the shortest number that reads back the same; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `&str`, `%x`, `?x` | string |
//! | `&[u8]` | string of lowercase hex |
//! | `&dyn Error` | `{"message":…,"chain":[…]}`, outermost first, at most 16 causes; a text in [`json-nested`](#json-nested) |
//! | `%`[`as_json(&x)`](as_json()) | nested JSON of anything that serialises |
//!
//! Strings are escaped so that a line is one line and does nothing to a terminal: beyond [RFC 8259] also DEL, C1 controls, U+2028,
//! U+2029 and bidirectional controls.
//!
//! # Limits
//!
//! A value's text ends at [`max_field`](JsonLayer::max_field) (16 KiB), that of a
//! [context key](JsonLayer::context_key) on a span at 1 KiB, and a line at
//! [`max_line`](JsonLayer::max_line) (256 KiB). The line then says what was cut or left out:
//! `"truncated":["body"]`, at most 64 names and then `"…"`. A span shows at most 64 fields, `spans` at
//! most 64 names. A name of a field, a span, a target or a thread takes at most 256 bytes of a line:
//! of a longer one you see the start, `…` and 16 digits that tell it from others. Of a path you see
//! the last 1,024 bytes. [`as_json()`] stops at 1 MiB.
//! A `Debug` that panics or fails costs its own text only: `"<panicked while formatting>"`, `"<format error>"`.
//!
//! A line that the writer refuses is lost, counted, and said so on stderr: see [`SelfReport`](spanwise_core::SelfReport).
//!
//! # Redaction
//!
//! With a policy ([`JsonLayer::redact`]) keys are asked about once per callsite and texts before they are escaped or cut; bytes are read
//! as the text they are. The line lists the fields whose values are not what was logged: `"redacted":["password"]`.
//!
//! # `json-nested`
//!
//! [`Format::JsonNested`] prints byte for byte what `tracing_subscriber::fmt().as_json()` 0.3.23 prints, so that changing over changes no
//! dashboard. It does not share these of its faults: the same key twice (a field given twice, a span's field called `name`, which
//! becomes `fields.name`); unescaped control characters; `spans` of the current span where the event has another parent; `log.*` fields; `r#`
//! before keywords. As there, NaN and the infinities are `null`, and a closing span has no times
//! where lines have no timestamp.
//!
//! Two kinds of values differ. An error is one text here too, and its causes follow its message:
//! `charge failed: no connection: connection refused`. `fmt` drops the causes. [`as_json()`] is nested
//! here, and a text there.
//!
//! # Cost
//!
//! A callsite's keys, level and target are encoded when it is first seen, a span's fields when they are recorded: an event formats
//! its own values and copies the rest. The figures are in the repository's `docs/performance.md`.
//!
//! [RFC 8259]: https://www.rfc-editor.org/rfc/rfc8259

mod altered_fields;
mod as_json;
mod assemble;
mod builder;
mod escape;
mod format;
mod fragment;
mod json_lexer;
mod layer;
mod line_buffer;
mod line_template;
mod local_offset;
mod name_limits;
mod plan;
mod scratch;
mod span_events;
mod text_value;
mod timestamp;
mod truncate;
mod visit;
mod work;

pub use as_json::{AsJson, as_json};
pub use format::{Format, FormatError};
pub use layer::JsonLayer;
pub use span_events::SpanEvents;
pub use timestamp::Timestamp;
