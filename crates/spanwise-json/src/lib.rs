//! JSON lines from `tracing`: one event, one line, one `write_all` call. Once warm, most events
//! allocate nothing.
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
//! let request = tracing::info_span!("request", request_id = "r-1", tenant_id = "acme");
//! let _entered = request.enter();
//! tracing::info!(target: "shop::orders", order_id = 42, "order created");
//! # assert_eq!(
//! #     lines.text(),
//! #     concat!(
//! #         r#"{"level":"INFO","target":"shop::orders","message":"order created","order_id":42,"#,
//! #         r#""request_id":"r-1","tenant_id":"acme","span":"request"}"#,
//! #         "\n"
//! #     )
//! # );
//! ```
//!
//! prints, on one line:
//!
//! ```json
//! {"timestamp":"2026-11-20T08:46:12.123456Z","level":"INFO","target":"shop::orders",
//!  "message":"order created","order_id":42,"request_id":"r-1","tenant_id":"acme","span":"request"}
//! ```
//!
//! # When to use it
//!
//! Use it if a program reads the lines. The layer writes each line when its event happens, to any
//! [`MakeWriter`](tracing_subscriber::fmt::MakeWriter). It does not filter, rotate files or write
//! in the background. For people, use the console output of `spanwise`.
//!
//! # The line
//!
//! Every line of [`Format::Json`] has this order:
//!
//! * `timestamp`, `level`, `critical` for an event of `spanwise::critical!`, `target`, `message`;
//! * the fields of the event in the order of the code, then those of the spans from the innermost
//!   outwards;
//! * `trace_id`, `span_id` and `trace_flags` of the innermost span, if a layer exports traces to
//!   OpenTelemetry. They replace fields with these names;
//! * `span`, the name of the innermost span, and `spans` if enabled;
//! * the lists `truncated` and `redacted`, if a field was cut, dropped or redacted;
//! * members that only some lines have, in an order that varies: the source location, the thread,
//!   `sample_rate` and `buffered`;
//! * `service`, then `host` and `pid` if enabled, then the [static fields](JsonLayer::add).
//!
//! These rules apply:
//!
//! * **No key is repeated.** If a name occurs in several places, the nearest value is shown: that
//!   of the event, then that of the innermost span.
//! * **A field cannot forge a line.** A field is written as `fields.<name>` if its name is a key of
//!   the line, such as `level`, `timestamp`, or `message` for a field of a span. This also applies
//!   to a name that starts with `fields.`, and to a context key that the HTTP layer or
//!   `spanwise_core::context::set` has set. `file` and `line` are renamed only if lines show the
//!   source location.
//! * A field that is recorded after its span was opened is on every later line of the span and of
//!   the spans inside it.
//! * An event with an explicit parent (`parent: &span`) shows the fields of that span and of the
//!   spans around it. With `parent: None`, it shows no fields of spans.
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
//! | `&dyn Error` | `{"message":…,"chain":[…]}`, outermost first, at most 16 causes, with `type` and `backtrace` if known; text in [`json-nested`](#json-nested) |
//! | `%`[`as_json(&x)`](as_json()) | nested JSON of anything that serializes |
//!
//! Strings are escaped so that a line stays one line and cannot control a terminal. In addition to
//! the characters that [RFC 8259] requires, these are escaped: DEL, the C1 controls, the line
//! separators U+2028 and U+2029, and the bidirectional controls U+202A–U+202E and U+2066–U+2069.
//!
//! # Limits
//!
//! | what | limit |
//! | --- | --- |
//! | text of a value | [`max_field`](JsonLayer::max_field): 16 KiB |
//! | text of a span's [context key](JsonLayer::context_key) | 1 KiB |
//! | line | [`max_line`](JsonLayer::max_line): 256 KiB |
//! | name of a field, span, target or thread | 256 bytes; of a longer one, its start, `…` and a hash are shown |
//! | path of a source file | 1,024 bytes; of a longer one, `…` and its end are shown |
//! | fields of a span | 64; `truncated` does not list the others |
//! | names in `spans`, `truncated` and `redacted` | 64; longer lists of fields end in `"…"`, and `spans_omitted` counts further spans |
//! | [`as_json()`] | 1 MiB, and 64 levels of nesting; deeper JSON is a string |
//!
//! A line lists the fields that these limits cut or dropped: `"truncated":["body"]`.
//!
//! # Failures
//!
//! A `Debug` or `Display` that panics or fails loses only its own text, and the line shows
//! `"<panicked while formatting>"` or `"<format error>"` in its place. A line that the writer
//! refuses is lost, counted and reported on stderr: see [`SelfReport`](spanwise_core::SelfReport).
//!
//! # Redaction
//!
//! A policy ([`JsonLayer::redact`]) decides about keys once per callsite. It scans texts before
//! they are escaped or cut, and bytes as text. The line lists the fields whose values are not what
//! was logged: `"redacted":["password"]`.
//!
//! # Formats of receivers
//!
//! Other [formats](Format), such as [`Format::Ecs`] for Elasticsearch, write names, levels, times
//! and errors as a receiver expects them. The rules of this page about fields, limits and redaction
//! also apply to them. `docs/formats.md` in the repository shows a line of each.
//!
//! # Fields and formats of your own
//!
//! [`JsonLayer::fields`] applies a [`FieldList`], which shows, omits and renames fields and parts
//! of the line.
//! [`Format::custom`] builds a format from names and values. A template such as
//! `text:{level} {time} {message} {fields}` parses into a format. A [`LineFormat`] is code that
//! writes lines.
//!
//! # `json-nested`
//!
//! [`Format::JsonNested`] prints byte for byte what `tracing_subscriber::fmt().json()` 0.3.23
//! prints, so that dashboards keep working. The [limits](#limits) and the redaction of this crate
//! apply, and these faults of `fmt` are corrected:
//!
//! * repeated keys: a field that is given twice, and a span's field `name`, which becomes
//!   `fields.name`;
//! * unescaped control characters;
//! * a list `spans` about the current span, although the event has another parent;
//! * the fields `log.*` of records of the `log` crate, and the `r#` of raw identifiers.
//!
//! As in `fmt`, NaN and the infinities are `null`. Without timestamps, the line of a closed span
//! has no times.
//!
//! Two kinds of values differ from `fmt`. An error is one text, to which its causes are added:
//! `charge failed: no connection: connection refused`. [`as_json()`] is nested JSON, while `fmt`
//! prints text.
//!
//! # Cost
//!
//! The keys, level and target of a callsite are encoded at its first event, and the fields of a
//! span when they are recorded. An event formats its own values and copies everything else.
//! The repository has figures in `docs/performance.md`.
//!
//! # Troubleshooting
//!
//! | symptom | cause |
//! | --- | --- |
//! | a field is called `fields.<name>` | its name is a key of the line, or a context key that is set |
//! | a field is missing | `truncated` lists it, its span has more than 64 fields, [`include`](JsonLayer::include), [`exclude`](JsonLayer::exclude) or [`fields`](JsonLayer::fields) omits it, or the policy removes it |
//! | lines without the fields of a span | the span was opened before the layer was added, or is disabled |
//! | lines are lost, and stderr shows `write failed` | the writer returned an error, such as a full disk |
//!
//! [RFC 8259]: https://www.rfc-editor.org/rfc/rfc8259

mod addition;
mod altered_fields;
mod as_json;
mod assemble;
mod builder;
mod clean_texts;
mod conversion;
mod custom_format;
mod digits;
mod escape;
mod field_list;
mod format;
mod format_table;
mod fragment;
mod json_lexer;
mod layer;
mod line_buffer;
mod line_format;
mod line_parts;
mod line_template;
mod local_offset;
mod member_keys;
mod name_limits;
mod per_layer;
mod plan;
mod rewrite;
mod rewritten_plan;
mod scratch;
mod span_events;
mod span_ids;
mod span_plan;
mod spelling;
mod stored_values;
mod text_template;
mod text_value;
mod timestamp;
mod truncate;
mod unencoded;
mod value_starts;
mod visit;
mod work;

pub use as_json::{AsJson, as_json};
pub use custom_format::{CustomFormat, ErrorLayout, FormatBuilder, FormatError, OtherFields};
pub use field_list::{FieldList, ShownPart};
pub use format::Format;
pub use layer::JsonLayer;
pub use line_format::{EventView, LineBuf, LineFormat, LineValue};
pub use span_events::SpanEvents;
pub use timestamp::Timestamp;
