//! The parts and fields that `LOG_FIELDS` adds to human-readable lines or omits from them. A *part*
//! is data that is not a field, such as the name of the thread.

use spanwise_core::internal::{host_name, log_record::LogRecord};
use spanwise_json::{FieldList, ShownPart};
use tracing_core::Metadata;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::fields::Fields;

/// A line lists the names of at most this many spans, as a line of JSON does.
const MAX_SPANS: usize = 64;

/// The parts and fields of `LOG_FIELDS`.
#[derive(Debug, Default)]
pub(crate) struct ShownParts {
    list: FieldList,
    /// The names of omitted fields and parts.
    omitted: Vec<String>,
}

impl ShownParts {
    pub(crate) fn new(list: FieldList) -> Self {
        let omitted = list.omitted().map(str::to_owned).collect();
        Self { list, omitted }
    }

    /// Returns whether a field or a part is omitted.
    pub(crate) fn omits(&self, name: &str) -> bool {
        self.omitted.iter().any(|omitted| omitted == name)
    }

    /// Removes the omitted fields.
    pub(crate) fn remove_omitted(&self, fields: &mut Fields) {
        if !self.omitted.is_empty() {
            fields.others.retain(|(name, _)| !self.omits(name));
        }
    }

    /// Returns the keys that lines show with the fields of a span: `trace_id`, `span_id`, both or
    /// none.
    pub(crate) fn trace_keys(&self) -> Vec<&'static str> {
        let ids = [ShownPart::TraceId, ShownPart::SpanId];
        let shown = ids.into_iter().filter(|part| self.list.shows(*part));
        shown.map(ShownPart::name).collect()
    }

    /// Returns the names of `span` and its ancestors, if they are shown.
    pub(crate) fn span_names<R: for<'s> LookupSpan<'s>>(
        &self,
        span: &SpanRef<'_, R>,
    ) -> Option<String> {
        if !self.list.shows(ShownPart::Spans) {
            return None;
        }
        let names: Vec<&str> = span
            .scope()
            .from_root()
            .take(MAX_SPANS)
            .map(|span| span.name())
            .collect();
        Some(names.join(":"))
    }

    /// Adds the shown parts of an event to its fields, such as its location. A field with the name
    /// of a shown part is renamed.
    pub(crate) fn add_to(
        &self,
        fields: &mut Fields,
        callsite: &Metadata<'_>,
        log: Option<&LogRecord>,
        span_names: Option<String>,
    ) {
        if self.list.is_empty() {
            return;
        }
        let source_line = match log {
            Some(log) => log.file.as_deref().zip(log.line),
            None => callsite.file().zip(callsite.line().map(u64::from)),
        };
        let thread = std::thread::current();
        let mut add = |part: ShownPart, new_name: &'static str, value: Option<String>| {
            if let (true, Some(value)) = (self.list.shows(part), value) {
                fields.rename(part.name(), new_name);
                fields.set(part.name(), value);
            }
        };
        let location = source_line.map(|(file, line)| format!("{file}:{line}"));
        add(ShownPart::Location, "fields.location", location);
        let name = thread.name().map(str::to_owned);
        add(ShownPart::Thread, "fields.thread", name);
        let id = format!("{:?}", thread.id());
        add(ShownPart::ThreadId, "fields.thread_id", Some(id));
        add(ShownPart::Spans, "fields.spans", span_names);
        add(ShownPart::Host, "fields.host", host_name());
        let pid = std::process::id().to_string();
        add(ShownPart::Pid, "fields.pid", Some(pid));
    }
}
