//! The options of the server layer.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderName, StatusCode, request::Parts, uri::PathAndQuery};
use spanwise_core::Clock;
use tracing::Level;

use super::{plain_path, request_span::RequestSpan, statuses::Statuses};
use crate::{client_address::ClientAddress, trust::Trust};

/// The options, shared by all clones of a service.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) trust: Trust,
    pub(crate) request_id_headers: Vec<HeaderName>,
    pub(crate) tenant: TenantSource,
    /// Whether a tenant is adopted from the baggage.
    pub(crate) adopts_tenant_of_baggage: bool,
    pub(crate) client_address: ClientAddress,
    pub(crate) slow_threshold: Option<Duration>,
    pub(crate) quiet_paths: Vec<QuietPath>,
    /// Rules that set the level of complete responses by status. If several rules contain a status,
    /// the last of them counts.
    pub(crate) level_rules: Vec<(Statuses, Level)>,
    /// Whether `url.path` is logged even if the outcome is `ok`.
    pub(crate) always_logs_url_path: bool,
    /// The request headers that are logged, with the indexes of their fields.
    pub(crate) headers: Vec<(HeaderName, u8)>,
    pub(crate) sends_server_timing: bool,
    pub(crate) answers_panics: bool,
    pub(crate) clock: Clock,
    /// The context keys besides the built-in keys.
    pub(crate) context_keys: Vec<String>,
    /// The callsite of the span, which declares the context keys.
    pub(crate) span: RequestSpan,
}

/// The source of the tenant of a request.
#[derive(Clone)]
pub(crate) enum TenantSource {
    None,
    Header(HeaderName),
    Function(Arc<TenantFn>),
}

/// A function that determines the tenant of a request.
pub(crate) type TenantFn = dyn Fn(&Parts) -> Option<String> + Send + Sync;

/// A path, or a path with all paths below it. Requests to it have no access event if their outcome
/// is `ok` and they are not slow.
#[derive(Debug, Clone)]
pub(crate) enum QuietPath {
    Path(String),
    /// The path and all paths below it.
    Below(String),
}

impl QuietPath {
    /// Parses the argument of [`quiet`](super::ServerLayer::quiet). Returns `None` if no request
    /// could match.
    pub(crate) fn new(path: &str) -> Option<Self> {
        let (root, variant): (_, fn(String) -> Self) = match path.strip_suffix("/*") {
            Some(root) => (root, Self::Below),
            None => (path, Self::Path),
        };
        // The parser refuses characters that a request cannot have, and removes a fragment. So a
        // valid path is parsed and remains unchanged.
        let parsed = PathAndQuery::try_from(path);
        let is_valid = path.starts_with('/')
            && !root.contains(['*', '?'])
            && parsed.is_ok_and(|parsed| parsed.as_str() == path)
            && plain_path::is_plain(path);
        is_valid.then(|| variant(root.to_owned()))
    }

    /// Returns whether this matches `path`. A match counts only if the path is
    /// [plain](plain_path::is_plain).
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Path(quiet) => path == quiet,
            Self::Below(root) => path
                .strip_prefix(root.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

impl Options {
    /// Returns whether requests to `path` are quiet.
    pub(crate) fn is_quiet(&self, path: &str) -> bool {
        self.quiet_paths.iter().any(|quiet| quiet.matches(path)) && plain_path::is_plain(path)
    }

    /// Returns the level that a rule sets for `status`.
    pub(crate) fn status_level(&self, status: u16) -> Option<Level> {
        let mut rules = self.level_rules.iter().rev();
        let rule = rules.find(|(statuses, _)| statuses.contains(status));
        rule.map(|(_, level)| *level)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            trust: Trust::default(),
            request_id_headers: vec![HeaderName::from_static("x-request-id")],
            tenant: TenantSource::None,
            adopts_tenant_of_baggage: false,
            client_address: ClientAddress::default(),
            slow_threshold: None,
            quiet_paths: Vec::new(),
            // These statuses are warnings, because the client or this service is too slow or busy.
            level_rules: [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS]
                .map(|status| (status.into(), Level::WARN))
                .into(),
            always_logs_url_path: false,
            headers: Vec::new(),
            sends_server_timing: false,
            answers_panics: false,
            clock: Clock::system(),
            context_keys: Vec::new(),
            span: RequestSpan::default(),
        }
    }
}

impl fmt::Debug for TenantSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Header(name) => f.debug_tuple("Header").field(name).finish(),
            Self::Function(_) => f.write_str("Function(..)"),
        }
    }
}
