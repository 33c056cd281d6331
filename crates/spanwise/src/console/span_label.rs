//! The label of a span: the method and the path of its HTTP request, such as `POST /orders`, or
//! else the name of the span.

use spanwise_core::internal::sync::Mutex;

use super::{escaped_text::push_name, fields::Fields};

/// The label of a span.
#[derive(Debug)]
pub(crate) struct SpanLabel {
    name: &'static str,
    request: Option<HttpRequest>,
}

#[derive(Debug)]
struct HttpRequest {
    method: String,
    /// Whether the application receives the request. If not, it sends the request.
    is_incoming: bool,
    /// The address of the server that an outgoing request goes to.
    server: Option<String>,
    path: Mutex<Option<RequestPath>>,
}

#[derive(Debug, PartialEq, Eq)]
struct RequestPath {
    /// The index in [`PATHS`] of the field with the path.
    field_index: usize,
    text: String,
}

/// The fields with the method of a request, in the conventions of OpenTelemetry and of
/// `tower-http`. The first field that has an HTTP method counts.
const METHODS: [&str; 3] = ["http.request.method", "http.method", GENERIC_METHOD];

/// The fields with the path of a request, in the same conventions. The first field that is present
/// counts.
const PATHS: [&str; 6] = [
    "http.route",
    "url.path",
    "http.target",
    "path",
    "uri",
    "url",
];

/// The values of a method field that are HTTP methods. With any other value, the span has no
/// request.
const HTTP_METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "_OTHER",
];

/// The name of a field that spans without a request may also have. It counts only beside a field of
/// [`PATHS`].
const GENERIC_METHOD: &str = "method";

impl HttpRequest {
    /// Removes the fields of a request from `fields`, and returns the request. Returns `None`, and
    /// removes nothing, if there is no HTTP method. `kind` is the value of `otel.kind`, the kind of
    /// an OpenTelemetry span.
    fn take(kind: Option<&str>, fields: &mut Fields) -> Option<Self> {
        let has_path = PATHS.iter().any(|name| fields.get(name).is_some());
        let is_method = |name: &&&str| {
            let text = fields.text(name);
            let is_http = text.is_some_and(|text| HTTP_METHODS.contains(&text));
            is_http && (has_path || **name != GENERIC_METHOD)
        };
        let method = METHODS.iter().find(is_method).copied()?;
        let method = fields.remove(method)?.text;
        let is_incoming = match kind {
            Some(kind) => kind.eq_ignore_ascii_case("server"),
            None => fields.get("server.address").is_none(),
        };
        Some(Self {
            method,
            is_incoming,
            server: if is_incoming {
                None
            } else {
                take_server(fields)
            },
            path: Mutex::new(take_path(fields, PATHS.len())),
        })
    }
}

impl SpanLabel {
    /// Creates the label of a span, and removes from `fields` those that the label shows.
    pub(crate) fn new(name: &'static str, fields: &mut Fields) -> Self {
        let kind = fields.remove("otel.kind").map(|kind| kind.text);
        fields.remove("otel.name");
        let request = HttpRequest::take(kind.as_deref(), fields);
        Self { name, request }
    }

    /// Removes the path of the request from fields that were recorded later, and adds it to the
    /// label. Ignores fields that come later in [`PATHS`] than the field of the current path.
    /// Returns whether the label has changed.
    pub(crate) fn update(&self, fields: &mut Fields) -> bool {
        let Some(request) = &self.request else {
            return false;
        };
        let mut path = request.path.lock();
        let field_count = path
            .as_ref()
            .map_or(PATHS.len(), |path| path.field_index + 1);
        let Some(new) = take_path(fields, field_count) else {
            return false;
        };
        let is_changed = path.as_ref().is_none_or(|path| path.text != new.text);
        *path = Some(new);
        is_changed
    }

    /// Returns whether the span belongs to a request that the application receives.
    pub(crate) fn is_incoming(&self) -> bool {
        self.request
            .as_ref()
            .is_some_and(|request| request.is_incoming)
    }

    /// Returns the method and the path of the request, if the span has a request.
    pub(crate) fn request(&self) -> Option<(&str, Option<String>)> {
        let request = self.request.as_ref()?;
        let path = request.path.lock();
        Some((&request.method, path.as_ref().map(|path| path.text.clone())))
    }

    /// Appends the label.
    pub(crate) fn push(&self, out: &mut String) {
        let Some(request) = &self.request else {
            return push_name(out, self.name);
        };
        push_name(out, &request.method);
        let path = request.path.lock();
        if request.server.is_none() && path.is_none() {
            return;
        }
        let server = request.server.as_deref().unwrap_or_default();
        let path = path.as_ref().map_or("", |path| path.text.as_str());
        out.push(' ');
        push_name(out, &format!("{server}{path}"));
    }
}

/// Removes and returns the address of a server, with its port.
fn take_server(fields: &mut Fields) -> Option<String> {
    let host = fields.remove("server.address")?.text;
    Some(match fields.remove("server.port") {
        Some(port) => format!("{host}:{}", port.text),
        None => host,
    })
}

/// Removes and returns the path: the value of the first field that is present, among the first
/// `field_count` fields of [`PATHS`].
fn take_path(fields: &mut Fields, field_count: usize) -> Option<RequestPath> {
    let is_set = |name: &&str| fields.get(name).is_some();
    let field_index = PATHS[..field_count].iter().position(is_set)?;
    let text = fields.remove(PATHS[field_index])?.text;
    Some(RequestPath { field_index, text })
}
