//! What a server layer was told.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderName, StatusCode, request::Parts};
use spanwise_core::Clock;
use tracing::Level;

use super::{plain_path, request_span::RequestSpan, statuses::Statuses};
use crate::{client_address::ClientAddress, trust::Trust};

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) trust: Trust,
    pub(crate) request_id_headers: Vec<HeaderName>,
    pub(crate) tenant: Tenant,
    /// Whether it may be what the baggage says.
    pub(crate) tenant_baggage: bool,
    pub(crate) client_address: ClientAddress,
    pub(crate) slow: Option<Duration>,
    pub(crate) quiet: Vec<QuietPath>,
    /// The levels of statuses; of several rules for one status the last counts.
    pub(crate) levels: Vec<(Statuses, Level)>,
    /// Whether `url.path` is logged where the outcome is `ok`, too.
    pub(crate) url_path: bool,
    /// Those that are told, with the indexes of their fields.
    pub(crate) headers: Vec<(HeaderName, u8)>,
    pub(crate) server_timing: bool,
    pub(crate) answer_panics: bool,
    pub(crate) clock: Clock,
    /// Keys of the context beside those that are always there.
    pub(crate) context_keys: Vec<String>,
    pub(crate) span: RequestSpan,
}

/// Where the tenant of a request comes from.
#[derive(Clone)]
pub(crate) enum Tenant {
    None,
    Header(HeaderName),
    Function(Arc<TenantFn>),
}

pub(crate) type TenantFn = dyn Fn(&Parts) -> Option<String> + Send + Sync;

/// A path whose requests are told only if they fail.
#[derive(Debug, Clone)]
pub(crate) enum QuietPath {
    Path(String),
    /// It, and all below.
    Below(String),
}

impl QuietPath {
    /// `None` if no path is ever so.
    pub(crate) fn new(path: &str) -> Option<Self> {
        let (root, quiet): (_, fn(String) -> Self) = match path.strip_suffix("/*") {
            Some(root) => (root, Self::Below),
            None => (path, Self::Path),
        };
        let is_path =
            path.starts_with('/') && !root.contains(['*', '?']) && plain_path::is_plain(path);
        is_path.then(|| quiet(root.to_owned()))
    }

    /// Whether requests to `path`, which is [plain](plain_path::is_plain), are quiet.
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
    /// Whether requests to `path` are told only if they fail.
    pub(crate) fn is_quiet(&self, path: &str) -> bool {
        self.quiet.iter().any(|quiet| quiet.matches(path)) && plain_path::is_plain(path)
    }

    /// The level that a rule sets for responses of `status`.
    pub(crate) fn status_level(&self, status: u16) -> Option<Level> {
        let mut rules = self.levels.iter().rev();
        let rule = rules.find(|(statuses, _)| statuses.contains(status));
        rule.map(|(_, level)| *level)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            trust: Trust::default(),
            request_id_headers: vec![HeaderName::from_static("x-request-id")],
            tenant: Tenant::None,
            tenant_baggage: false,
            client_address: ClientAddress::default(),
            slow: None,
            quiet: Vec::new(),
            // The client, or this service, is too slow or too busy: somebody should know.
            levels: [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS]
                .map(|status| (status.into(), Level::WARN))
                .into(),
            url_path: false,
            headers: Vec::new(),
            server_timing: false,
            answer_panics: false,
            clock: Clock::system(),
            context_keys: Vec::new(),
            span: RequestSpan::default(),
        }
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Header(name) => f.debug_tuple("Header").field(name).finish(),
            Self::Function(_) => f.write_str("Function(..)"),
        }
    }
}
