//! Names of HTTP methods, as values of `http.request.method`.

use http::Method;

/// Returns the name of a method of RFC 9110 or 5789. Returns `_OTHER` for any other method, because
/// clients could invent any number of methods.
pub(crate) fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}
