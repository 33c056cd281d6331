//! HTTP statuses, and ranges of them, as arguments of options.

use std::ops::{Range, RangeInclusive};

use http::StatusCode;

/// A status or a range of statuses, for
/// [`ServerLayer::expect_status`](crate::ServerLayer::expect_status) and
/// [`ServerLayer::warn_on`](crate::ServerLayer::warn_on).
///
/// ```
/// use spanwise_http::http::StatusCode;
///
/// let layer = spanwise_http::server()
///     .warn_on(400..500)
///     .expect_status(404)
///     .expect_status(StatusCode::GONE..=StatusCode::PAYLOAD_TOO_LARGE);
/// # let _ = layer;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    first: u16,
    last: u16,
}

impl Statuses {
    pub(crate) fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }

    /// Returns the range. Panics if the range is empty, or has a number that is not a status.
    #[track_caller]
    pub(crate) fn checked(self) -> Self {
        let Self { first, last } = self;
        assert!(
            first <= last && (100..=999).contains(&first) && last <= 999,
            "`{first}..={last}` is not a range of statuses; write `404`, or `400..=499`"
        );
        self
    }
}

impl From<u16> for Statuses {
    fn from(status: u16) -> Self {
        (status..=status).into()
    }
}

impl From<StatusCode> for Statuses {
    fn from(status: StatusCode) -> Self {
        status.as_u16().into()
    }
}

impl From<RangeInclusive<u16>> for Statuses {
    fn from(range: RangeInclusive<u16>) -> Self {
        let (first, last) = range.into_inner();
        Self { first, last }
    }
}

impl From<RangeInclusive<StatusCode>> for Statuses {
    fn from(range: RangeInclusive<StatusCode>) -> Self {
        (range.start().as_u16()..=range.end().as_u16()).into()
    }
}

impl From<Range<u16>> for Statuses {
    fn from(range: Range<u16>) -> Self {
        let Range { start, end } = range;
        // `checked` refuses an empty range.
        let last = end.saturating_sub(1);
        Self { first: start, last }
    }
}
