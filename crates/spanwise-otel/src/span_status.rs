//! The status of a span, by the rules of its kind.

use std::borrow::Cow;

use spanwise_core::internal::{announced_span::SpanKind, panic_safe};

use crate::{
    attributes::{AnyValue, Attributes},
    wire::WireWriter as _,
};

/// The information about the success of a span, collected until it ends.
#[derive(Debug, Default)]
pub(crate) struct StatusFacts {
    /// The status that the application set.
    code: SetCode,
    description: Option<Box<str>>,
    /// The last event at ERROR in the span. Events in its exported descendants do not count.
    pub(crate) error: Option<ErrorEvent>,
    /// How an HTTP request ended.
    pub(crate) outcome: Option<RequestOutcome>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SetCode {
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
    pub(crate) outcome: &'static str,
    pub(crate) status: Option<u16>,
    pub(crate) error_type: Option<Box<str>>,
}

/// The status of a span that ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Status<'a> {
    code: SetCode,
    description: Option<&'a str>,
    /// The value of `error.type`, if the status is an error.
    pub(crate) error_type: Option<Cow<'a, str>>,
}

/// The maximum length of a description in bytes.
pub(crate) const MAX_DESCRIPTION_LEN: usize = 256;

impl StatusFacts {
    /// Sets the status that a text names, in upper or lower case. OK beats ERROR, in any order.
    pub(crate) fn set_code(&mut self, code: &str) {
        if code.eq_ignore_ascii_case("ok") {
            self.code = SetCode::Ok;
        } else if code.eq_ignore_ascii_case("error") {
            self.set_error();
        }
    }

    pub(crate) fn set_ok(&mut self) {
        self.code = SetCode::Ok;
    }

    pub(crate) fn set_error(&mut self) {
        if self.code == SetCode::Unset {
            self.code = SetCode::Error;
        }
    }

    /// Sets the description of an error. The last one wins.
    pub(crate) fn set_description(&mut self, description: &str) {
        self.description = Some(panic_safe::truncate_at(description, MAX_DESCRIPTION_LEN).into());
    }

    /// Returns the status of a span that ends.
    pub(crate) fn resolve<'a>(&'a self, kind: SpanKind, attributes: &Attributes) -> Status<'a> {
        let exception_type = || {
            let error = self.error.as_ref()?;
            error.exception_type.as_deref().map(Cow::Borrowed)
        };
        let outcome_type = || {
            self.outcome
                .as_ref()?
                .error_type
                .as_deref()
                .map(Cow::Borrowed)
        };
        let failed = |description, error_type| Status {
            code: SetCode::Error,
            description,
            error_type,
        };
        match self.code {
            SetCode::Ok => return Status::new(SetCode::Ok),
            SetCode::Error => {
                let message = self.error.as_ref().map(|error| &*error.message);
                let description = self.description.as_deref().or(message);
                let error_type = outcome_type().or_else(exception_type);
                return failed(description.filter(|text| !text.is_empty()), error_type);
            }
            SetCode::Unset => {}
        }
        match (kind, &self.outcome) {
            (SpanKind::Server, Some(outcome)) => match outcome.outcome {
                "server_error" | "panicked" | "stream_aborted" => {
                    return failed(None, outcome.error_type());
                }
                _ => return Status::new(SetCode::Unset),
            },
            (SpanKind::Client, Some(outcome)) => match (outcome.status, outcome.outcome) {
                (Some(400..), _) | (None, "no_response") => {
                    return failed(None, outcome.error_type());
                }
                _ => return Status::new(SetCode::Unset),
            },
            _ => {}
        }
        // Without an outcome, the span may be from another HTTP library. Such a library records the
        // HTTP status as a field.
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
                false => Status::new(SetCode::Unset),
            };
        }
        match &self.error {
            Some(error) => {
                let description = Some(&*error.message).filter(|text| !text.is_empty());
                failed(description, exception_type())
            }
            None => Status::new(SetCode::Unset),
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
    const fn new(code: SetCode) -> Self {
        Self {
            code,
            description: None,
            error_type: None,
        }
    }

    pub(crate) fn is_unset(&self) -> bool {
        self.code == SetCode::Unset
    }

    /// Appends the fields of a `Status`.
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        const MESSAGE: u32 = 2;
        const CODE: u32 = 3;
        if let Some(description) = self.description {
            to.bytes(MESSAGE, description.as_bytes());
        }
        let code = match self.code {
            SetCode::Unset => 0,
            SetCode::Ok => 1,
            SetCode::Error => 2,
        };
        to.uint(CODE, code);
    }
}
