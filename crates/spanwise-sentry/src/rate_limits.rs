//! Rate limits of the server, by category.

use std::time::{Duration, Instant};

/// The data category of an envelope. `Other` comprises all further categories of Sentry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Error,
    Transaction,
    Log,
    Other,
}

/// The rate limits that the server set last.
#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    /// The end of the limit of each [`Category`], indexed by its discriminant.
    limit_ends: [Option<Instant>; 4],
}

/// The minimum wait. A shorter wait is raised to it.
const MIN_WAIT: Duration = Duration::from_secs(1);
/// The maximum wait. A longer wait is lowered to it.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

/// The wait after the status 429, if the response does not contain a time.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);

impl RateLimits {
    /// Returns whether the category may be sent at `now`.
    pub(crate) fn allows(&self, category: Category, now: Instant) -> bool {
        self.limit_ends[category as usize].is_none_or(|until| now >= until)
    }

    /// Applies the limits in the header `X-Sentry-Rate-Limits` of a response. If none of them can
    /// be parsed and the status is 429, applies the header `Retry-After`, or else [`DEFAULT_WAIT`].
    pub(crate) fn update(
        &mut self,
        status: u16,
        retry_after: Option<&str>,
        rate_limits: Option<&str>,
        now: Instant,
    ) {
        let limits = rate_limits.unwrap_or_default().split(',');
        let applied_count = limits.filter(|limit| self.apply_limit(limit, now)).count();
        if applied_count == 0 && status == 429 {
            let wait = retry_after.and_then(parse_wait).unwrap_or(DEFAULT_WAIT);
            self.limit_ends = [Some(now + wait); 4];
        }
    }

    /// Applies one limit of the header, such as `60:error;transaction:organization:quota_exceeded`.
    /// A limit without categories applies to all categories. Returns whether the limit can be
    /// parsed.
    fn apply_limit(&mut self, limit: &str, now: Instant) -> bool {
        let mut parts = limit.trim().split(':');
        let Some(wait) = parts.next().and_then(parse_wait) else {
            return false;
        };
        let until = Some(now + wait);
        let categories = parts.next().unwrap_or_default();
        for category in categories.split(';') {
            match category.trim() {
                "" => self.limit_ends = [until; 4],
                "error" | "default" => self.limit_ends[Category::Error as usize] = until,
                "transaction" | "span" => self.limit_ends[Category::Transaction as usize] = until,
                "log_item" | "log_byte" => self.limit_ends[Category::Log as usize] = until,
                _ => {}
            }
        }
        true
    }
}

/// Parses a number of seconds, and clamps it to the range from [`MIN_WAIT`] to [`MAX_WAIT`]. `None`
/// for other texts, such as a date, which few servers send.
fn parse_wait(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    let wait = Duration::try_from_secs_f64(seconds.ceil()).ok();
    // The conversion fails for negative numbers, for very large ones, and for NaN.
    let wait = wait.unwrap_or(if seconds > 0.0 { MAX_WAIT } else { MIN_WAIT });
    (!seconds.is_nan()).then(|| wait.clamp(MIN_WAIT, MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_wait(text: &str, expected: Option<u64>) {
        assert_eq!(
            parse_wait(text),
            expected.map(Duration::from_secs),
            "{text}"
        );
    }

    #[test]
    fn waits_are_between_a_second_and_an_hour() {
        assert_wait("2", Some(2));
        assert_wait(" 2.1 ", Some(3));
        assert_wait("0", Some(1));
        assert_wait("-5", Some(1));
        assert_wait("86400", Some(3600));
        assert_wait("1e300", Some(3600));
        assert_wait("inf", Some(3600));
        assert_wait("NaN", None);
        assert_wait("Wed, 21 Oct 2026 07:28:00 GMT", None);
    }

    #[test]
    fn limits_apply_to_their_categories() {
        let now = Instant::now();
        let mut limits = RateLimits::default();
        let header = "60:transaction;log_item:organization, 2:error:key:quota, nonsense";
        limits.update(200, None, Some(header), now);
        assert!(!limits.allows(Category::Error, now) && limits.allows(Category::Other, now));
        let later = now + Duration::from_secs(3);
        assert!(limits.allows(Category::Error, later) && !limits.allows(Category::Log, later));
        limits.update(429, Some("7"), None, now);
        assert!(!limits.allows(Category::Error, later) && !limits.allows(Category::Other, later));
        limits.update(200, Some("7"), None, later);
        assert!(limits.allows(Category::Error, now + Duration::from_secs(8)));
    }

    #[test]
    fn refusal_without_readable_limits_is_a_limit() {
        let now = Instant::now();
        let later = now + Duration::from_secs(8);
        for header in ["", "nonsense", ":error:key"] {
            let mut limits = RateLimits::default();
            limits.update(429, Some("9"), Some(header), now);
            assert!(!limits.allows(Category::Error, later), "{header}");
            limits = RateLimits::default();
            limits.update(200, Some("9"), Some(header), now);
            assert!(limits.allows(Category::Error, now), "{header}");
        }
        let mut limits = RateLimits::default();
        limits.update(429, Some("9"), Some("60:attachment:key"), now);
        assert!(limits.allows(Category::Error, now));
    }
}
