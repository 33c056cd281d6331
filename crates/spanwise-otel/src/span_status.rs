//! Decides the status of a span when it ends.
//!
//! The first source that exists decides: the status that the application sets, the outcome of the
//! HTTP request, the HTTP status in a field, or an event at ERROR.

use std::borrow::Cow;

use spanwise_core::internal::{announced_span::SpanKind, panic_safe};

use crate::{
    attributes::{AnyValue, Attributes},
    wire::WireWriter as _,
};

/// The facts that decide the status of a span, collected until it ends.
#[derive(Debug, Default)]
pub(crate) struct StatusFacts {
    /// The status that the application set.
    code: StatusCode,
    /// The description that the application set, for a status that is an error.
    description: Option<Box<str>>,
    /// The last event at ERROR in the span. Events in its exported descendants do not count.
    pub(crate) error: Option<ErrorEvent>,
    /// How an HTTP request ended.
    pub(crate) outcome: Option<RequestOutcome>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum StatusCode {
    #[default]
    Unset,
    Error,
    Ok,
}

/// An event at ERROR.
#[derive(Debug)]
pub(crate) struct ErrorEvent {
    pub(crate) message: Box<str>,
    pub(crate) exception_type: Option<Box<str>>,
}

/// How an HTTP request ended, from [`RequestEnd`](spanwise_core::internal::request_observer).
#[derive(Debug)]
pub(crate) struct RequestOutcome {
    /// The outcome, such as `server_error`.
    pub(crate) outcome: &'static str,
    /// The HTTP status of the response.
    pub(crate) status: Option<u16>,
    pub(crate) error_type: Option<Box<str>>,
}

/// The status of a span that ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Status<'a> {
    code: StatusCode,
    description: Option<&'a str>,
    /// The value of `error.type`, if the status is an error.
    pub(crate) error_type: Option<Cow<'a, str>>,
}

/// The maximum length of a description in bytes.
pub(crate) const MAX_DESCRIPTION_LEN: usize = 256;

impl StatusFacts {
    /// Sets the status `ok` or `error`, in upper or lower case. Ignores other texts. OK takes
    /// precedence over ERROR, regardless of the order of the calls.
    pub(crate) fn set_code(&mut self, code: &str) {
        if code.eq_ignore_ascii_case("ok") {
            self.code = StatusCode::Ok;
        } else if code.eq_ignore_ascii_case("error") {
            self.set_error();
        }
    }

    pub(crate) fn set_ok(&mut self) {
        self.code = StatusCode::Ok;
    }

    pub(crate) fn set_error(&mut self) {
        if self.code == StatusCode::Unset {
            self.code = StatusCode::Error;
        }
    }

    /// Sets the description of an error. The last description replaces earlier ones.
    pub(crate) fn set_description(&mut self, description: &str) {
        self.description = Some(panic_safe::truncate_at(description, MAX_DESCRIPTION_LEN).into());
    }

    /// Returns the status of a span that ends.
    pub(crate) fn resolve<'a>(&'a self, kind: SpanKind, attributes: &Attributes) -> Status<'a> {
        let exception_type = || {
            let error = self.error.as_ref()?;
            error.exception_type.as_deref().map(Cow::Borrowed)
        };
        let outcome_error_type = || {
            self.outcome
                .as_ref()?
                .error_type
                .as_deref()
                .map(Cow::Borrowed)
        };
        let failed = |description, error_type| Status {
            code: StatusCode::Error,
            description,
            error_type,
        };
        match self.code {
            StatusCode::Ok => return Status::new(StatusCode::Ok),
            StatusCode::Error => {
                let message = self.error.as_ref().map(|error| &*error.message);
                let description = self.description.as_deref().or(message);
                let error_type = outcome_error_type().or_else(exception_type);
                return failed(description.filter(|text| !text.is_empty()), error_type);
            }
            StatusCode::Unset => {}
        }
        match (kind, &self.outcome) {
            (SpanKind::Server, Some(outcome)) => match outcome.outcome {
                "server_error" | "panicked" | "stream_aborted" => {
                    return failed(None, outcome.error_type());
                }
                _ => return Status::new(StatusCode::Unset),
            },
            (SpanKind::Client, Some(outcome)) => match (outcome.status, outcome.outcome) {
                (Some(400..), _) | (None, "no_response") => {
                    return failed(None, outcome.error_type());
                }
                _ => return Status::new(StatusCode::Unset),
            },
            _ => {}
        }
        // Without an outcome, the span may be from an HTTP library other than `spanwise-http`. Such
        // a library records the HTTP status as a field.
        let min_error_status = match kind {
            SpanKind::Server => Some(500),
            SpanKind::Client => Some(400),
            SpanKind::Internal | SpanKind::Producer | SpanKind::Consumer => None,
        };
        if let Some(min_error_status) = min_error_status
            && let Some(AnyValue::Int(status)) = attributes.get("http.response.status_code")
        {
            return match status >= min_error_status {
                true => failed(None, Some(status.to_string().into())),
                false => Status::new(StatusCode::Unset),
            };
        }
        match &self.error {
            Some(error) => {
                let description = Some(&*error.message).filter(|text| !text.is_empty());
                failed(description, exception_type())
            }
            None => Status::new(StatusCode::Unset),
        }
    }
}

impl RequestOutcome {
    /// Returns the value of `error.type`: the observed type, or else an error status as text, or
    /// else the outcome.
    fn error_type(&self) -> Option<Cow<'_, str>> {
        Some(match (&self.error_type, self.status) {
            (Some(error_type), _) => Cow::Borrowed(&**error_type),
            (None, Some(status @ 400..)) => status.to_string().into(),
            (None, _) => self.outcome.into(),
        })
    }
}

impl Status<'_> {
    const fn new(code: StatusCode) -> Self {
        Self {
            code,
            description: None,
            error_type: None,
        }
    }

    pub(crate) fn is_unset(&self) -> bool {
        self.code == StatusCode::Unset
    }

    /// Appends the fields of a `Status`.
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        const MESSAGE: u32 = 2;
        const CODE: u32 = 3;
        if let Some(description) = self.description {
            to.bytes(MESSAGE, description.as_bytes());
        }
        let code = match self.code {
            StatusCode::Unset => 0,
            StatusCode::Ok => 1,
            StatusCode::Error => 2,
        };
        to.uint(CODE, code);
    }
}
