//! The label of a span: `POST /orders`, or its name.

use spanwise_core::internal::sync::Mutex;

use super::{escaped_text::push_name, fields::Fields};

/// The name of a span, or the method and the path of its request.
#[derive(Debug)]
pub(crate) struct SpanLabel {
    name: &'static str,
    request: Option<HttpRequest>,
}

#[derive(Debug)]
struct HttpRequest {
    method: String,
    /// It is a request to this program, not one that it sends.
    is_served: bool,
    /// The server that a client calls.
    server: Option<String>,
    path: Mutex<Option<String>>,
}

/// The fields of a request, in the conventions of OpenTelemetry and of `tower-http`.
const METHODS: [&str; 3] = ["http.request.method", "http.method", GENERIC_METHOD];
const PATHS: [&str; 6] = [
    "http.route",
    "url.path",
    "http.target",
    "path",
    "uri",
    "url",
];

/// The methods that make a field called `method` that of a request.
const HTTP_METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "_OTHER",
];

/// The name of the field with the method that other spans than those of requests have, too.
const GENERIC_METHOD: &str = "method";

impl HttpRequest {
    /// Takes the fields of a request. `kind` is that of OpenTelemetry.
    fn take(kind: Option<&str>, fields: &mut Fields) -> Option<Self> {
        let has_path = PATHS.iter().any(|name| fields.get(name).is_some());
        let is_method = |name: &&&str| {
            let text = fields.text(name);
            let is_http = text.is_some_and(|text| HTTP_METHODS.contains(&text));
            is_http && (has_path || **name != GENERIC_METHOD)
        };
        let method = METHODS.iter().find(is_method).copied()?;
        let method = fields.remove(method)?.text;
        let is_served = match kind {
            Some(kind) => kind.eq_ignore_ascii_case("server"),
            None => fields.get("server.address").is_none(),
        };
        Some(Self {
            method,
            is_served,
            server: if is_served { None } else { take_server(fields) },
            path: Mutex::new(take_path(fields)),
        })
    }
}

impl SpanLabel {
    /// Takes the fields that make the label.
    pub(crate) fn new(name: &'static str, fields: &mut Fields) -> Self {
        let kind = fields.remove("otel.kind").map(|kind| kind.text);
        fields.remove("otel.name");
        let request = HttpRequest::take(kind.as_deref(), fields);
        Self { name, request }
    }

    /// Takes the path of a request that was recorded late. Returns whether the label has changed.
    pub(crate) fn update(&self, fields: &mut Fields) -> bool {
        let Some(request) = &self.request else {
            return false;
        };
        let Some(late) = take_path(fields) else {
            return false;
        };
        let before = request.path.lock().replace(late.clone());
        before != Some(late)
    }

    /// Returns whether it is a request to this program, not one that it sends.
    pub(crate) fn is_served(&self) -> bool {
        self.request
            .as_ref()
            .is_some_and(|request| request.is_served)
    }

    /// Returns the method and the path of a request.
    pub(crate) fn request(&self) -> Option<(&str, Option<String>)> {
        let request = self.request.as_ref()?;
        Some((&request.method, request.path.lock().clone()))
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
        let path = path.as_deref().unwrap_or_default();
        out.push(' ');
        push_name(out, &format!("{server}{path}"));
    }
}

/// Takes the address of a server, with its port.
fn take_server(fields: &mut Fields) -> Option<String> {
    let host = fields.remove("server.address")?.text;
    Some(match fields.remove("server.port") {
        Some(port) => format!("{host}:{}", port.text),
        None => host,
    })
}

fn take_path(fields: &mut Fields) -> Option<String> {
    let is_set = |name: &&&str| fields.get(name).is_some();
    let name = PATHS.iter().find(is_set).copied()?;
    fields.remove(name).map(|path| path.text)
}
